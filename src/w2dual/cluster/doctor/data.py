"""Are the data of people's where the jobs look for them: MNIST, a population, images?

What a preparation's own module says (`measures.preparation.at_hand`), so that the doctor knows no
file by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from w2dual.cluster.doctor.checks import Finding, Level
from w2dual.config import places
from w2dual.config.grid import cells_in
from w2dual.config.schema import Config
from w2dual.records import InputError

PATHS = ("folder", "raster")
"""Keys that name data of the user's, relative to the checkout."""


def findings(config: Config) -> list[Finding]:
    """Look for the data of each law that has cells and takes some."""
    measures = config["measures"]
    tasks = dict.fromkeys(cell.pair for cell in cells_in("meta_sinkhorn", config))
    laws = {f"discrete.{task}": measures["discrete"][task] for task in tasks}
    if cells_in("meta_color", config):
        laws["palettes"] = measures["palettes"] | {"kind": "palettes"}
    found = (_of_law(f"measures.{name}", law) for name, law in laws.items())
    return [finding for finding in found if finding is not None]


def _of_law(key: str, law: Mapping[str, Any]) -> Finding | None:
    from w2dual.measures import preparation

    check = f"data of {key.rpartition('.')[2]}"
    paths = [name for name in PATHS if name in law]
    named = {
        name: places.of_config(law[name], places.CHECKOUT)
        for name in paths
        if law[name] is not None
    }
    try:
        found = preparation.at_hand({**law, **named})
    except InputError as error:
        text = "; ".join(line.strip() for line in str(error).splitlines())
        remedy = f"the job that prepares them would stop there too; see `{key}` of the config"
        return Finding(check, Level.FAIL, text, remedy)
    if found is None:
        return None
    source, what = found
    if source == "folder":
        return Finding(check, Level.OK, what)
    own = f"set `{key}.{paths[0]}` to yours" if paths else f"see `{key}` of the config"
    if source == "download":
        remedy = f"if your nodes have no internet, fetch the files on the login node and {own}"
        return Finding(check, Level.NOTE, f"downloaded by the job, from {what}", remedy)
    return Finding(check, Level.NOTE, f"a stand-in: {what}", own)

"""Keeps the results of cells at the paper's own budget, and compares them with the published ones.

Usage:
    python -m benchmarks.paper_budget missing
    python -m benchmarks.paper_budget keep RUN [--into reference/paper] [--tree COMMIT]
    python -m benchmarks.paper_budget render [--records reference/paper] [--document ...]

`missing` names the cells that are to be recorded and are not yet. `keep` copies the finished cells
of a run: metrics.json without the host's name, and the errors of the history; a record of more
seeds stays, and a run with a cell of other settings than the config's is refused. `render` writes
the tables of docs/paper_budget.md between their markers. A record is never typed in: what a table
says of a cell is computed from it. A folder departures/NAME below the records has cells that were
trained with one setting changed, each to be compared with its own.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import kept
from benchmarks.kept import INVERSE, ROOT, Collection
from benchmarks.render import table
from w2dual.config.grid import cells_in
from w2dual.config.names import method_words, words
from w2dual.config.reader import load
from w2dual.records import InputError, read_json
from w2dual.results.published import published_cells
from w2dual.results.summary import METRIC
from w2dual.results.verdict import HALF_UNIT

RECORDS = ROOT / "reference" / "paper"
DOCUMENT = ROOT / "docs" / "paper_budget.md"
PUBLISHED = ROOT / "tables" / "published"
PRESET = ROOT / "presets" / "paper_budget.yaml"
DEPARTURES = "departures"
LIMIT = 100.0
"""Percent; the paper prints a mean above as >100."""
FAR = 3.0
"""Published standard deviations: a cell that is further off is one to look into."""

Record = dict[str, Any]


def wanted() -> list[str]:
    """Name the cells to be recorded: all of n = 2, and regression with L-BFGS at n = 4."""
    cells = cells_in("hd", load([ROOT / "config.yaml", PRESET]))
    return [
        cell.name
        for cell in cells
        if cell.dimension == 2 or (cell.amortization, cell.solver) == ("regression", "lbfgs")
    ]


def read(folder: Path) -> list[Record]:
    """Read the records, by dimension, potential and the paper's order of methods.

    Raises:
        InputError: there is none.
    """
    found = [read_json(path) for path in kept.paths(folder)]
    order = list(published_cells(PUBLISHED, "mlp")[["amortization", "solver"]].agg(tuple, axis=1))

    def place(record: Record) -> tuple[int, str, int]:
        cell = record["cell"]
        return (
            cell["dimension"],
            cell["potential"],
            order.index((cell["amortization"], cell["solver"])),
        )

    return sorted(found, key=place)


def _record(name: str) -> Path:
    return RECORDS / f"{name}.json"


def value(seed: Record, column: str) -> float:
    """Return a seed's error; that of a diverged one at its last evaluation, as the paper does."""
    found = (seed if seed["status"] == "finished" else seed["before_divergence"])[column]
    return math.inf if found is None else float(found)


def published(record: Record) -> tuple[str, float, float]:
    """Return the paper's entry in words, its mean and its standard deviation (not below 0.005)."""
    cell = record["cell"]
    frame = published_cells(PUBLISHED, cell["potential"])
    keys = ("amortization", "solver", "dimension")
    (row,) = frame[(frame[list(keys)] == [cell[key] for key in keys]).all(axis=1)].to_dict(
        "records"
    )
    if row["diverged"]:
        return f">{LIMIT:g}", math.inf, math.nan
    return f"{row['mean']:.2f} ± {row['std']:.2f}", row["mean"], max(row["std"], HALF_UNIT)


def difference(record: Record) -> float:
    """Return ours less the published mean, in published standard deviations.

    NaN where either is above the paper's limit.
    """
    ours = float(np.mean([value(seed, METRIC) for seed in record["seeds"]]))
    _, mean, std = published(record)
    return (ours - mean) / std if math.isfinite(mean) and ours <= LIMIT else math.nan


def agrees(record: Record) -> bool:
    """Whether both are above the paper's limit, or both below and not `FAR` apart."""
    ours = float(np.mean([value(seed, METRIC) for seed in record["seeds"]]))
    _, mean, _ = published(record)
    if math.isinf(mean) or not ours <= LIMIT:
        return math.isinf(mean) and not ours <= LIMIT
    return abs(difference(record)) <= FAR


def _percent(values: Sequence[float]) -> str:
    mean = float(np.mean(values))
    if not mean <= LIMIT:
        return f">{LIMIT:g}"
    spread = f" ± {np.std(values):.3f}" if len(values) > 1 else ""
    return f"{mean:.3f}{spread}"


def _row(record: Record) -> list[str]:
    cell, seeds = record["cell"], record["seeds"]
    diverged = [seed for seed in seeds if seed["status"] == "diverged"]
    spikes = sum(seed["spikes"]["steps"] for seed in seeds)
    off = difference(record)
    notes = []
    if diverged:
        at = ", ".join(f"{seed['diverged_at_step']:,}" for seed in diverged)
        notes.append(f"diverged at {at}")
    if not agrees(record):
        notes.append("**off**")
    return [
        f"{cell['dimension']}, {words(cell['potential'])}",
        method_words(cell["amortization"], cell["solver"]),
        str(len(seeds)),
        _percent([value(seed, METRIC) for seed in seeds]),
        _percent([value(seed, INVERSE) for seed in seeds]),
        published(record)[0],
        "--" if math.isnan(off) else f"{off:+.1f}",
        f"{spikes:,}",
        f"{record['timing']['training_s'] / 60:.1f}",
        record["provenance"]["device"].removeprefix("CPU: "),
        "; ".join(notes) or "agrees",
    ]


def changed(record: Record, usual: Record) -> str:
    """Name the settings in which a record differs from the config's cell."""

    def walk(one: Any, other: Any, path: str) -> list[str]:
        if isinstance(one, dict) and isinstance(other, dict):
            return [
                line
                for key in one
                for line in walk(one[key], other.get(key), f"{path}.{key}" if path else key)
            ]
        return [] if one == other else [f"`{path}: {one}`, not `{other}`"]

    this, own = (cell["settings"] | {"seeds": None} for cell in (record["cell"], usual))
    return ", ".join(walk(this, own, ""))


def admit(record: Mapping[str, Any]) -> None:
    """Check that a record is of the config's cell, whatever its seeds, on the published weights.

    Raises:
        InputError: it is not.
    """
    name = record["cell"]["name"]
    cell = _usual().get(name)
    if cell is None:
        raise InputError(f"{name}: is no cell of the config's `hd`, of which records are kept")
    departure = f"--into {(RECORDS / DEPARTURES / 'NAME').relative_to(ROOT)}"
    given = json.loads(json.dumps(cell["settings"]))
    if record["cell"]["settings"] | {"seeds": None} != given | {"seeds": None}:
        how = changed(dict(record), cell) or "settings of another version of the config"
        raise InputError(
            f"{name}: was trained with {how}; expected the config's settings. A cell with one "
            f"setting changed is kept with {departure}"
        )
    if record["measures"]["source"] == "generated":
        raise InputError(
            f"{name}: was trained on a `generated` pair; expected the benchmark's published weights"
        )


@functools.cache
def _usual() -> dict[str, Record]:
    """Return the config's cells by name."""
    return {cell.name: cell.to_json() for cell in cells_in("hd", load([ROOT / "config.yaml"]))}


def departures_table(records: Sequence[Record], folder: Path) -> str:
    """Return a table of cells trained both ways, in Markdown; seeds that both have."""
    own = {record["cell"]["name"]: record for record in records}
    usual = _usual()
    rows: list[list[str]] = []
    for place in sorted(path for path in folder.glob("*") if path.is_dir()):
        for record in read(place):
            name = record["cell"]["name"]
            seeds = {seed["seed"] for seed in record["seeds"]}
            other = own[name]["seeds"] if name in own else []
            both = [seed for seed in other if seed["seed"] in seeds]
            what = changed(record, usual[name])
            rows.append([name, what, _errors(record["seeds"])])
            rows[-1] += [_errors(both) if both else "not recorded yet", published(record)[0]]
            rows += _judged_always(record, f"{what}, and ")
    for record in records:
        rows += _judged_always(record)
    header = ["cell", "changed", "then: forward / inverse", "as the config has it", "published"]
    return table(header, rows)


def _judged_always(record: Record, more: str = "") -> list[list[str]]:
    """Return a row for each seed with a spike: judged at every step it would have ended there."""
    return [
        [record["cell"]["name"], f"{more}`training.divergence_every: 1`, not `1000`"]
        + [f"diverged at {first:,}", _errors([seed]), published(record)[0]]
        for seed in record["seeds"]
        if (first := seed["spikes"]["first_step"])
    ]


def _errors(seeds: Sequence[Record]) -> str:
    text = " / ".join(_percent([value(seed, name) for seed in seeds]) for name in (METRIC, INVERSE))
    at = [f"{seed['diverged_at_step']:,}" for seed in seeds if seed["status"] == "diverged"]
    return text + (f", diverged at {', '.join(at)}" if at else "")


def tables(folder: Path) -> str:
    """Return the document's tables in Markdown."""
    records = read(folder)
    header = ["n, potential", "method", "seeds", "forward", "inverse", "published", "off by (std)"]
    header += ["spikes", "minutes", "device", "verdict"]
    agreeing = sum(agrees(record) for record in records)
    sentence = (
        f"{len(records)} cells, {agreeing} of which agree: within {FAR:g} published standard "
        f"deviations, or above {LIMIT:g} on both sides."
    )
    rows = [_row(record) for record in records]
    both_ways = departures_table(records, folder / DEPARTURES)
    return f"{sentence}\n\n{table(header, rows)}\n\n### Both ways\n\n{both_ways}"


def _missing() -> str:
    return "".join(f"{name}\n" for name in wanted() if not _record(name).exists())


COLLECTION = Collection(
    name="paper_budget",
    about=__doc__.splitlines()[0] if __doc__ else "",
    records=RECORDS,
    document=DOCUMENT,
    begin="<!-- paper budget: begin; `make paper-budget` writes what stands here -->",
    end="<!-- paper budget: end -->",
    text=tables,
    more={"missing": ("name the cells that have no record yet", _missing)},
    admit=admit,
)


if __name__ == "__main__":
    sys.exit(COLLECTION.main())

# The table of cells, what wildcards may be, and what the rules look up in the config.

import functools
import json
import os
import re
import signal
import sys

from snakemake.io import flag

from w2dual import closure
from w2dual.config import arguments, places
from w2dual.config import studies as choice
from w2dual.config.arguments import image_files
from w2dual.config.cells import modules, pair_modules, preparation_modules
from w2dual.config.grid import cells_in
from w2dual.config.places import CELEBA64_GENERATOR
from w2dual.config.reader import pairs
from w2dual.config.rows import potentials
from w2dual.config.systems import ADDITIONS, SYSTEMS
from w2dual.config.systems.meta_sinkhorn import tasks
from w2dual.environment import PYTHON
from w2dual.records import file_sha256
from w2dual.results import measured
from w2dual.cluster.resources import Requests

if set(ROOT) & set("{}"):  # Snakemake fills in wildcards there
    raise WorkflowError(f"{ROOT}: Snakemake runs in no path with a brace; move the checkout")

# Jobs call `python -m w2dual`, which must be this Python and this checkout, however Snakemake was
# started. Under `--sdm conda` the environment's own Python comes before this one.
for name, value in PYTHON.items():  # what a user's shell says of Python is not for the jobs
    os.environ.pop(name, None)
    os.environ.update({name: value} if value is not None else {})
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()]),
    PYTHONPATH=os.path.join(ROOT, "src"),
)
# Jobs run in the folder of their outputs: what a variable names is found from where this started.
WEIGHTS = config["measures"]["benchmark"]
try:
    os.environ.update(
        places.absolute(
            os.environ,
            config_files.started_in(workflow, os.environ),
            ROOT,
            mirror=not WEIGHTS["mirror"]
            and any("mirror" in settings.get("sources", []) for settings in pairs(config).values()),
        )
    )
except InputError as error:
    raise WorkflowError(str(error))
if config["resources"]["gpus"] == 0:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
if config["resources"]["xla_flags"]:
    os.environ.setdefault("XLA_FLAGS", config["resources"]["xla_flags"])

# A batch system's warning before the time limit goes to every process of a job, also to the
# Snakemake in it, which it would end. What ignores a signal starts its programs ignoring it too;
# training takes it up itself.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

# Cells by the section of the config that they are of.
CELLS_OF = {name: {cell.name: cell for cell in cells_in(name, config)} for name in SYSTEMS}
HD, BASELINES, SYNTHETIC = CELLS_OF["hd"], CELLS_OF["baselines"], CELLS_OF["synthetic"]
IMAGES, IMAGE_BASELINES = CELLS_OF["celeba64"], CELLS_OF["celeba64_baselines"]
CELLS = {name: cell for cells in CELLS_OF.values() for name, cell in cells.items()}
# What systems beside the paper's own add, where the preset has their cells.
ADDED = {name: adds for name, adds in ADDITIONS.items() if CELLS_OF[name]}
# Those of some systems have no figure of training curves each.
CURVED = [
    name
    for section, cells in CELLS_OF.items()
    for name in cells
    if section not in ADDED or ADDED[section].curved
]
# How a cell is measured -> the module that says it.
MEASURED = {
    name: measured.module_of(section) for section, cells in CELLS_OF.items() for name in cells
}
DIMENSIONS = {cell.pair: cell.dimension for cell in CELLS.values()}
PAIRS = pairs(config)
POTENTIALS = potentials(config, config["hd"])
# The rules of analysis.smk: a table or figure of each name.
COST_TABLES = ["runtime_hd", "conjugation_iterations", "conjugation_time"]
ACCURACY_FIGURES = ["accuracy_vs_cost", "accuracy_vs_dimension", "accuracy_over_seeds"]
# Table of settings -> section of the config.
SETTINGS_TABLES = {
    f"hyperparameters_{section}": section
    for section in ("hd", "baselines", "synthetic", "celeba64", *ADDED)
}
# Of CelebA64, where the preset has its cells. The figure is of all of them, and chooses itself.
IMAGE_TABLES = ["celeba64", "verdict_celeba64", "costs_celeba64"] if IMAGES else []
TABLES = (
    [f"hd_{potential}" for potential in POTENTIALS]
    + (["hd_baselines"] if BASELINES else [])
    + ["verdict_hd", "claims", "trivial_maps", *COST_TABLES, "synthetic"]
    + [*SETTINGS_TABLES, *IMAGE_TABLES, *(["claims_celeba64"] if IMAGES else [])]
    + [name for adds in ADDED.values() for name in adds.tables]
)
# Figures of the cells on the plane; each name is a module of w2dual.plots.
PLANE_FIGURES = {name: figure for name, figure in config["synthetic"]["figures"].items() if figure}
# Figures of all cells of a section -> the section.
FIGURES_OF = {"celeba64_samples": "celeba64"} if IMAGES else {}
FIGURES_OF |= {figure: name for name, adds in ADDED.items() for figure in adds.figures}
FIGURES = [*PLANE_FIGURES, *FIGURES_OF]
ANIMATIONS = [name for name in FIGURES if name in ("interpolation",)]

# From the folder of outputs to the checkout: on this disk, and by the config. They differ where the
# outputs are reached by a link, or `--directory` puts them elsewhere.
SOURCE = os.path.relpath(ROOT)
NAMED_SOURCE = os.path.relpath(".", output_folder(config))
PUBLISHED = os.path.join(SOURCE, "tables", "published")


def named(name):
    """A path of the checkout, or a full one, as it is from the folder of outputs by the config."""
    return places.of_config(name, NAMED_SOURCE)


def tracked(name):
    """A file of the checkout, or one with its full path, as an input.

    Recorded is its name by the config, and its content: so neither the disk that it is on nor the
    time when it was written is a reason to run a job again.
    """
    path = places.of_config(name, SOURCE)
    content = digest_of(content_of, places.of_config(name, ROOT))
    # As Snakemake does where it reads a file from its cache: the flag holds what is recorded.
    return flag(ancient(path), "sourcecache_entry", f"{named(name)} {content}")


def content_of(path):
    """The SHA-256 of a file's content; of a missing one, which Snakemake reports, there is none."""
    return file_sha256(path) if os.path.isfile(path) else "missing"


@functools.cache
def digest_of(compute, argument):
    """A digest, computed once a run."""
    return compute(argument)


for settings in PAIRS.values():  # paths in the config are relative to the checkout
    if settings.get("mirror"):
        settings["mirror"] = places.of_config(settings["mirror"], ROOT)


wildcard_constraints:
    cell="|".join(map(re.escape, CELLS)),
    pair="|".join(map(re.escape, PAIRS)),
    potential="|".join(map(re.escape, POTENTIALS)),
    figure="|".join(map(re.escape, FIGURES)),
    images="|".join(IMAGE_TABLES) or "^$",
    added="|".join(ADDED) or "^$",


def code_of(job, kinds=()):
    """What can change the result of a job: its code, and that of the kinds that it loads by name.

    A parameter of its rule, so that a change runs the job again, and a comment does not.
    """
    try:
        return digest_of(closure.digest, ("environment", f"jobs.{job}", *kinds))
    except ValueError as error:
        raise WorkflowError(str(error))


def kinds_of(names):
    """Modules of the kinds that cells and their pairs are of."""
    found = {}
    for name in names:
        kinds = [*modules(CELLS[name]), *pair_modules(PAIRS[CELLS[name].pair]["kind"])]
        found |= dict.fromkeys(kinds)
    return list(found)


def published():
    """The values transcribed from the paper, as input files."""
    folder = os.path.join("tables", "published")
    return [
        tracked(os.path.join(folder, name))
        for name in sorted(os.listdir(os.path.join(ROOT, folder)))
        if name.endswith(".csv")
    ]


def hashes(names):
    """Names and hashes of cells, as `aggregate` expects them."""
    return as_json([{"name": name, "hash": CELLS[name].hash} for name in names])


def as_json(value):
    """One line of JSON, for a command's argument."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


REQUESTS = Requests.of(config, os.path.join(ROOT, "reference", "costs.csv"))

# The table of cells, what wildcards may be, and what the rules look up in the config.

import glob
import json
import os
import re
import sys

from w2dual.cells import grid
from w2dual.config import pairs

# Jobs call `python -m w2dual`, which must be this Python and this checkout, however Snakemake was
# started. Under `--sdm conda` the environment's own Python comes before this one.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()]),
    PYTHONPATH=os.path.join(ROOT, "src"),
)
if config["resources"]["gpus"] == 0:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

CELLS = {cell.name: cell for cell in grid(config)}
DIMENSIONS = {cell.pair: cell.dimension for cell in CELLS.values()}
PAIRS = pairs(config)
POTENTIALS = config["hd"]["potentials"]
TABLES = [f"hd_{potential}" for potential in POTENTIALS] + ["trivial_maps"]

# Where the pairs come from decides nothing, once their files are verified; the rest does.
BENCHMARK_CONTENT = {
    key: value
    for key, value in config["measures"]["benchmark"].items()
    if key not in ("mirror", "url")
}
# A pair that is trained anew is a training job; one that is read is not.
GENERATION_GPUS = config["resources"]["gpus"] if "generated" in BENCHMARK_CONTENT["sources"] else 0

# From the folder of outputs to the checkout. Relative, so that a checkout may be moved.
SOURCE = os.path.relpath(ROOT)
PUBLISHED = os.path.join(SOURCE, "tables", "published")


wildcard_constraints:
    cell="|".join(map(re.escape, CELLS)),
    pair="|".join(map(re.escape, PAIRS)),
    potential="|".join(map(re.escape, POTENTIALS)),


# Files of the package that can change the result of a stage's jobs: they are inputs, so that an edit
# reruns the stage. `!` takes files out again. records.py, the readers and writers, and __main__.py,
# the parser, are left out on purpose.
CODE = {
    "prepare": [
        "measures/*.py",
        "!measures/trivial.py",
        "measures/git-blobs.csv",
        "activations.py",
        "backend.py",
        "rng.py",
    ],
    "train": [
        "train_job.py",
        "training.py",
        "loop.py",
        "checkpoint.py",
        "dual.py",
        "activations.py",
        "amortization.py",
        "potentials/*.py",
        "conjugate/*.py",
        "metrics.py",
        "backend.py",
        "rng.py",
        "measures/*.py",
        # How a pair came about is settled once its file is there.
        "!measures/benchmark_files.py",
        "!measures/generated.py",
        "!measures/prepare.py",
        "!measures/torchfile.py",
        "!measures/trivial.py",
    ],
    "trivial": [
        "measures/*.py",
        "!measures/prepare.py",
        "!measures/generated.py",
        "activations.py",
        "rng.py",
    ],
    "aggregate": ["aggregate.py"],
    "table": ["tables.py", "aggregate.py", "latex.py", "names.py", "published.py"],
    "curves": ["plots/*.py", "aggregate.py", "names.py", "published.py"],
    "report": [
        "report.py",
        "aggregate.py",
        "latex.py",
        "names.py",
        "published.py",
        "tables.py",
        "templates/evaluation.tex",
    ],
}


def code(stage):
    """The modules behind a stage, as input files."""
    return matches(os.path.join("src", "w2dual"), CODE[stage])


def published():
    """The values transcribed from the paper, as input files."""
    return matches(os.path.join("tables", "published"), ["*.csv"])


def matches(folder, patterns):
    """Files of the checkout that fit a pattern; each pattern must fit one."""
    found = []
    for pattern in patterns:
        files = sorted(glob.glob(os.path.join(ROOT, folder, pattern.removeprefix("!"))))
        if not files:
            raise WorkflowError(f"{os.path.join(folder, pattern)}: the checkout has no such file")
        files = [os.path.relpath(file) for file in files]
        if pattern.startswith("!"):
            found = [file for file in found if file not in files]
        else:
            found += files
    return found


def cells_of(potential):
    """Names of the cells of one table, row by row."""
    return [name for name, cell in CELLS.items() if cell.potential == potential]


def as_json(value):
    """One line of JSON, for a command's argument."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def table_settings():
    """How to print a table, and what it says about how its numbers were made."""
    hd = config["hd"]
    return {
        "dimensions": hd["dimensions"],
        "methods": hd["methods"],
        "decimals": config["tables"]["decimals"],
        "diverged_above": config["tables"]["diverged_above"],
        "preset": config["preset"],
        "budget": {
            "iterations": hd["training"]["iterations"],
            "batch_size": hd["training"]["batch_size"],
            "seeds": hd["seeds"],
            "evaluation_samples": hd["evaluation"]["samples"],
        },
    }


def runtime_min(dimension):
    """Minutes that a job gets at its first attempt: the entry of the largest dimension reached."""
    entries = {int(start): minutes for start, minutes in config["resources"]["runtime_min"].items()}
    reached = [start for start in entries if start <= dimension]
    return entries[max(reached, default=min(entries))]

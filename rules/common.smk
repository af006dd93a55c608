# The table of cells, what wildcards may be, and what the rules look up in the config.

import functools
import glob
import json
import os
import re
import signal
import sys

from snakemake.io import flag

from w2dual.config import places
from w2dual.config.cells import method_kind
from w2dual.config.grid import hd_grid, synthetic_grid
from w2dual.config.reader import PAIR_KINDS, methods, pairs
from w2dual.environment import PYTHON
from w2dual.records import file_sha256
from w2dual.site.resources import Requests
from w2dual.config import studies as choice

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
            mirror="mirror" in WEIGHTS["sources"] and not WEIGHTS["mirror"],
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

HD = {cell.name: cell for cell in hd_grid(config)}
SYNTHETIC = {cell.name: cell for cell in synthetic_grid(config)}
CELLS = HD | SYNTHETIC
DIMENSIONS = {cell.pair: cell.dimension for cell in CELLS.values()}
PAIRS = pairs(config)
POTENTIALS = config["hd"]["potentials"]
# The rules of analysis.smk: a table or figure of each name.
COST_TABLES = ["runtime_hd", "conjugation_iterations", "conjugation_time"]
ACCURACY_FIGURES = ["accuracy_vs_cost", "accuracy_vs_dimension"]
# Table of settings -> section of the config.
SETTINGS_TABLES = {
    f"hyperparameters_{section}": section for section in ("hd", "synthetic", "celeba64")
}
TABLES = (
    [f"hd_{potential}" for potential in POTENTIALS]
    + ["verdict_hd", "claims", "trivial_maps", *COST_TABLES, "synthetic"]
    + list(SETTINGS_TABLES)
)
# Figures that are drawn from tables.
SUMMARIES = ["verdict_hd"]
# Figures of the cells on the plane; each name is a module of w2dual.plots.
FIGURES = {name: figure for name, figure in config["synthetic"]["figures"].items() if figure}
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
    content = digest(places.of_config(name, ROOT))
    # As Snakemake does where it reads a file from its cache: the flag holds what is recorded.
    return flag(ancient(path), "sourcecache_entry", f"{named(name)} {content}")


@functools.cache
def digest(path):
    """The SHA-256 of a file's content; of a missing one, which Snakemake reports, there is none."""
    return file_sha256(path) if os.path.isfile(path) else "missing"


for settings in PAIRS.values():  # paths in the config are relative to the checkout
    if settings["kind"] == "benchmark" and settings["mirror"]:
        settings["mirror"] = places.of_config(settings["mirror"], ROOT)


wildcard_constraints:
    cell="|".join(map(re.escape, CELLS)),
    pair="|".join(map(re.escape, PAIRS)),
    potential="|".join(map(re.escape, POTENTIALS)),
    figure="|".join(map(re.escape, FIGURES)),


# Files of the package that can change the result of a stage's jobs: they are inputs, so that an edit
# reruns the stage. `!` takes files out again. tests/unit/test_code.py compares the lists with what the
# jobs import, and says what is left out on purpose and why.
CODE = {
    "prepare": [
        "jobs/prepare.py",
        "measures/*.py",
        "!measures/trivial.py",
        "measures/git-blobs.csv",
        "extensions.py",
        "environment.py",
        "rng.py",
    ],
    "train": [
        "jobs/train.py",
        "train_cell.py",
        "trained_files.py",
        "training.py",
        "loop.py",
        "checkpoint.py",
        "cell_evaluation.py",
        "conjugation_time.py",
        "pretraining.py",
        "watch.py",
        "incidents.py",
        "extensions.py",
        "metrics.py",
        "transport_metrics.py",
        "backend.py",
        "environment.py",
        "progress.py",
        "provenance.py",
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
        "jobs/trivial.py",
        "measures/*.py",
        "!measures/prepare.py",
        "!measures/generated.py",
        "!measures/torchfile.py",
        "environment.py",
        "extensions.py",
        "rng.py",
    ],
    "aggregate": ["jobs/aggregate.py", "aggregate.py"],
    "table": [
        "summary.py",
        "jobs/table.py",
        "jobs/trivial_table.py",
        "tables.py",
        "aggregate.py",
        "latex.py",
        "names.py",
        "published.py",
        "decimals.py",
    ],
    "cost_table": [
        "summary.py",
        "jobs/cost_table.py",
        "cost_tables.py",
        "tables.py",
        "aggregate.py",
        "latex.py",
        "names.py",
        "published.py",
        "decimals.py",
    ],
    "accuracy_figure": [
        "summary.py",
        "jobs/accuracy_figure.py",
        "plots/accuracy.py",
        "plots/style.py",
        "environment.py",
        "aggregate.py",
        "names.py",
        "published.py",
        "decimals.py",
    ],
    "hyperparameters": [
        "jobs/hyperparameters.py",
        "hyperparameters.py",
        "cells.py",
        "config.py",
        "latex.py",
        "names.py",
    ],
    "curves": [
        "jobs/curves.py",
        "plots/curves.py",
        "plots/style.py",
        "aggregate.py",
        "names.py",
        "published.py",
        "decimals.py",
    ],
    "synthetic_table": [
        "summary.py",
        "jobs/synthetic_table.py",
        "synthetic_table.py",
        "tables.py",
        "aggregate.py",
        "latex.py",
        "names.py",
        "published.py",
        "decimals.py",
    ],
    "verdict": [
        "summary.py",
        "jobs/claims.py",
        "jobs/verdict.py",
        "verdict.py",
        "verdict_table.py",
        "claims_table.py",
        "claims.py",
        "equivalence.py",
        "tables.py",
        "aggregate.py",
        "latex.py",
        "names.py",
        "published.py",
        "decimals.py",
    ],
    "verdict_figure": [
        "summary.py",
        "jobs/verdict_figure.py",
        "plots/verdict.py",
        "plots/style.py",
        "environment.py",
        "verdict.py",
        "equivalence.py",
        "aggregate.py",
        "names.py",
        "published.py",
        "decimals.py",
    ],
    "figure": [
        "jobs/figure.py",
        "plots/figure.py",
        "plots/style.py",
        "trained.py",
        "conjugates.py",
        "plots/transport.py",
        "plots/{name}.py",
        "studies/trace.py",
        "methods/__init__.py",
        "methods/base.py",
        "methods/dual.py",
        "names.py",
        "measures/*.py",
    ],
    "table_page": ["jobs/table_page.py", "table_page.py"],
    "bundle": [
        "jobs/bundle.py",
        "bundle.py",
        "archive.py",
        "commands.py",
        "crate.py",
        "environment.py",
        "isolation.py",
        "provenance.py",
        "reevaluation.py",
        "rendering.py",
        "scrub.py",
        "source.py",
        "verify.py",
    ],
    "report": [
        "summary.py",
        "jobs/report.py",
        "environment.py",
        "provenance.py",
        "report.py",
        "verdict.py",
        "verdict_table.py",
        "equivalence.py",
        "captions.py",
        "aggregate.py",
        "latex.py",
        "names.py",
        "published.py",
        "decimals.py",
        "tables.py",
        "templates/evaluation.tex",
    ],
}


def code(stage, name=""):
    """The modules behind a stage, as input files; `name` fills in a pattern's {name}."""
    patterns = [pattern.format(name=name) for pattern in CODE[stage]]
    return matches(os.path.join("src", "w2dual"), patterns)


def code_of_cells(names):
    """Modules of the kinds that cells are of; a kind of another cell is no reason to rerun."""
    patterns = {"conjugate/__init__.py", "conjugate/base.py", "conjugate/costs/*.py"}
    patterns |= {f"{package}/__init__.py" for package in ("potentials", "amortization", "methods")}
    patterns |= {"methods/base.py", "activations.py"}
    for name in names:
        settings = CELLS[name].settings
        patterns.add(f"methods/{method_kind(settings)}.py")
        patterns.add(f"potentials/{settings['potential']['kind']}.py")
        if settings["solver"]["kind"] != "none":
            patterns.add(f"conjugate/{settings['solver']['kind']}.py")
        # The losses of the paper stand in the package itself.
        loss = f"amortization/{settings['amortization']['kind']}.py"
        patterns |= {loss} if os.path.isfile(os.path.join(ROOT, "src", "w2dual", loss)) else set()
    found = matches(os.path.join("src", "w2dual"), sorted(patterns))
    return found + [file for name in names for file in code_of_pair(CELLS[name].pair)]


def code_of_pair(pair):
    """The module of a pair of one's own."""
    kind = PAIRS[pair]["kind"]
    if kind in ("benchmark", *PAIR_KINDS):
        return []
    return matches(os.path.join("src", "w2dual"), [f"measures/pairs/{kind}.py"])


def published():
    """The values transcribed from the paper, as input files."""
    return matches(os.path.join("tables", "published"), ["*.csv"])


def matches(folder, patterns):
    """Files of the checkout that fit a pattern; each pattern must fit one."""
    found = []
    for pattern in patterns:
        files = sorted(
            glob.glob(os.path.join(glob.escape(ROOT), folder, pattern.removeprefix("!")))
        )
        if not files:
            raise WorkflowError(f"{os.path.join(folder, pattern)}: the checkout has no such file")
        files = [os.path.relpath(file, ROOT) for file in files]
        if pattern.startswith("!"):
            found = [file for file in found if file not in files]
        else:
            found += files
    return [tracked(file) for file in found]


def cells_of(potential):
    """Names of the cells of one table, row by row."""
    return [name for name, cell in HD.items() if cell.potential == potential]


def hashes(names):
    """Names and hashes of cells, as `aggregate` expects them."""
    return as_json([{"name": name, "hash": CELLS[name].hash} for name in names])


def cells_of_figure(figure):
    """Names of the cells that a figure shows: of each of its pairs the first with its potential."""
    wanted = FIGURES[figure]
    found = []
    for pair in wanted["pairs"]:
        fits = (
            cell.pair == pair and cell.potential == wanted["potential"] for cell in CELLS.values()
        )
        found.append(next(name for name, fit in zip(CELLS, fits) if fit))
    return found


def pairs_of_figure(figure):
    """Prepared files of the cells that a figure shows, in their order."""
    return [f"results/measures/{CELLS[name].pair}.safetensors" for name in cells_of_figure(figure)]


def content(pair):
    """What decides a pair's file. Where weights come from does not, once they are verified."""
    settings = {key: value for key, value in PAIRS[pair].items() if key not in ("mirror", "url")}
    return settings | {end: named(path) for end, path in image_files(pair).items()}


def prepared(pair):
    """The settings of a pair's job: paths in the config are relative to the checkout."""
    found = {end: places.of_config(path, SOURCE) for end, path in image_files(pair).items()}
    return PAIRS[pair] | found


def generation_gpus(pair):
    """A pair that is trained anew is a training job; one that is read, or a law, is not."""
    return config["resources"]["gpus"] if "generated" in PAIRS[pair].get("sources", []) else 0


def image_files(pair):
    """The images that a pair is made of, as the config names them, by the end they are."""
    ends = ("source", "target") if PAIRS[pair]["kind"] == "images" else ()
    return {end: PAIRS[pair][end] for end in ends if PAIRS[pair][end] is not None}


def images_of(pair):
    """The images that a pair is made of, as input files."""
    return [tracked(path) for path in image_files(pair).values()]


def as_json(value):
    """One line of JSON, for a command's argument."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def synthetic_settings():
    """How to print the table of the plane, and what it says about how its numbers were made."""
    synthetic = config["synthetic"]
    return {
        "epsilon": synthetic["evaluation"]["epsilon"],
        "preset": config["preset"],
        "budget": {
            "iterations": synthetic["training"]["iterations"],
            "batch_size": synthetic["training"]["batch_size"],
            "seeds": synthetic["seeds"],
            "evaluation_samples": synthetic["evaluation"]["samples"],
        },
    }


def table_settings():
    """How to print a table, and what it says about how its numbers were made."""
    hd = config["hd"]
    return {
        "dimensions": hd["dimensions"],
        "methods": methods(hd),
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


def settings_shown(section):
    """The part of the config that a table of settings shows, and the preset's name."""
    shared = ("preset", "potentials", "amortization_model", "amortizations", "solvers")
    shown = {key: value for key, value in config[section].items() if key != "figures"}
    return {key: config[key] for key in shared} | {section: shown}


def verdict_settings():
    """How the cells are judged, and the table's settings."""
    return table_settings() | {"verdict": config["verdict"]}


def report_settings():
    """What the first page says, and the order of the cells."""
    plane = synthetic_settings() | {"cells": list(SYNTHETIC)}
    return table_settings() | {"potentials": POTENTIALS, "plane": plane}


REQUESTS = Requests.of(config, os.path.join(ROOT, "reference", "costs.csv"))


def training_memory_mb(attempt):
    """Memory of a training job."""
    return REQUESTS.memory_mb(config["resources"]["memory_mb"], attempt)


def training_runtime_min(cell, attempt):
    """Minutes of a cell's training job."""
    return REQUESTS.runtime_min(REQUESTS.cell_min(CELLS[cell]), attempt)


def prepare_runtime_min(pair, attempt):
    """Minutes of a pair's job, which may be to train it anew."""
    return REQUESTS.runtime_min(REQUESTS.dimension_min(DIMENSIONS[pair]), attempt)


def light_memory_mb(attempt):
    """Memory of a job that trains nothing."""
    return REQUESTS.memory_mb(config["resources"]["light"]["memory_mb"], attempt)


def light_runtime_min(attempt, times=1):
    """Minutes of a job that trains nothing, or of `times` as much work."""
    return REQUESTS.runtime_min(times * config["resources"]["light"]["runtime_min"], attempt)


# How conjugates are found on trained cells (conjugation.smk).

STUDIED = choice.studied(config)
LINE_SEARCH_CELL = choice.line_search_cell(config)
STUDY_FIGURES = [f"conjugation_hd_{potential}" for potential in STUDIED]
# Each study of a line search, and the cells that it takes.
LINE_SEARCHES = {}
if STUDIED:
    LINE_SEARCHES = {
        "lbfgs_line_search": ("line-search", [LINE_SEARCH_CELL]),
        "wolfe_vs_armijo": ("wolfe-vs-armijo", sum(STUDIED.values(), [])),
    }
TABLES += LINE_SEARCHES
# The report's figures, but for training curves.
DRAWN = [*SUMMARIES, *ACCURACY_FIGURES, *STUDY_FIGURES, *FIGURES]

# Beside `code_of_cells`.
_CONJUGATES = [
    "trained.py",
    "conjugates.py",
    "methods/__init__.py",
    "methods/base.py",
    "methods/dual.py",
    "activations.py",
    "backend.py",
    "environment.py",
    "extensions.py",
    "provenance.py",
    "rng.py",
    "conjugate/lbfgs.py",
    "measures/*.py",
    "!measures/benchmark_files.py",
    "!measures/generated.py",
    "!measures/prepare.py",
    "!measures/torchfile.py",
    "!measures/trivial.py",
]
CODE |= {
    "conjugation_study": [
        "jobs/conjugation_study.py",
        "studies/conjugation.py",
        "studies/trace.py",
        "conjugate/adam.py",
        *_CONJUGATES,
    ],
    "line_search": [
        "jobs/line_search.py",
        "studies/line_search.py",
        "studies/conjugation.py",
        "studies/libraries.py",
        "studies/trace.py",
        "timing.py",
        *_CONJUGATES,
    ],
    "line_search_table": [
        "jobs/line_search_tables.py",
        "studies/line_search_tables.py",
        "latex.py",
        "names.py",
    ],
    "conjugation_figure": [
        "jobs/conjugation_figure.py",
        "plots/conjugation.py",
        "plots/curves.py",
        "plots/style.py",
        "trained.py",
        "conjugates.py",
        "methods/dual.py",
        "studies/conjugation.py",
        "studies/trace.py",
        "aggregate.py",
        "names.py",
        "published.py",
        "decimals.py",
    ],
}


wildcard_constraints:
    studied="|".join(re.escape(cell.name) for cells in STUDIED.values() for cell in cells) or "^$",
    line_search="|".join(map(re.escape, LINE_SEARCHES)) or "^$",


def all_cores():
    """As many threads as there are cores for jobs, so that a job runs alone on this machine.

    On a cluster a job has its cores to itself, as many as it asks for: those of a training job. There
    this is evaluated once more within the job, where Snakemake's `--cores` are the node's.
    """
    cores = workflow.resource_settings.cores
    if workflow.remote_exec or not isinstance(cores, int):
        return config["resources"]["cpus"]
    return max(cores, config["resources"]["cpus"])


def conjugation_settings():
    """What the study of a cell needs."""
    study = config["conjugation"]
    return {
        "lbfgs": config["solvers"][study["lbfgs"]],
        "adam": config["solvers"][study["adam"]],
        "points": study["points"],
        "samples": config["hd"]["evaluation"]["samples"],
    }


def line_search_settings(name):
    """What a study of line searches needs; the keys of the config say how it goes."""
    study = config["conjugation"]
    settings = study["line_search" if name == "lbfgs_line_search" else name]
    chosen = {key: settings[key] for key in settings if key not in ("dimension", "potential")}
    return chosen | study["timing"] | {"lbfgs": config["solvers"][study["lbfgs"]]}


def line_search_files(name, pattern):
    """One file of each cell that a study of line searches takes."""
    return [pattern.format(cell=cell.name, pair=cell.pair) for cell in LINE_SEARCHES[name][1]]

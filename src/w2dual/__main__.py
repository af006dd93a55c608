"""One subcommand per job: `python -m w2dual JOB --help`.

Each is a thin parser over one module; modules are imported when their job runs, so that the light
ones start without JAX.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import sys
from collections.abc import Sequence

from w2dual import __version__, environment
from w2dual.records import InputError

log = logging.getLogger(__name__)

JOBS = {
    "cells": ("w2dual.cells_job", "list the cells of a config, or print the record of one"),
    "estimate": ("w2dual.estimate_job", "say what a config's cells cost before they are started"),
    "simulate": ("w2dual.simulate_job", "run a config's cells on a cluster on paper"),
    "measure": ("w2dual.measure_job", "time training on the device at hand, for estimate"),
    "doctor": ("w2dual.doctor_job", "say what keeps the workflow from running on this cluster"),
    "prepare": ("w2dual.measures.prepare", "make one pair of measures, with its ground truth"),
    "trivial": ("w2dual.measures.trivial", "evaluate maps that need no training"),
    "train": ("w2dual.train_job", "train all seeds of one cell"),
    "status": ("w2dual.status_job", "show the cells in training, and the finished ones"),
    "push": ("w2dual.push", "map points of your own by the ground truth or a trained cell"),
    "conjugation-study": ("w2dual.studies.conjugation", "follow a trained cell's conjugations"),
    "line-search": ("w2dual.studies.line_search", "time line searches on trained cells"),
    "line-search-tables": ("w2dual.studies.line_search_tables", "render what line-search found"),
    "conjugation-figure": ("w2dual.plots.conjugation", "draw the studies of conjugation"),
    "aggregate": ("w2dual.aggregate", "gather the metrics of cells into one tidy file"),
    "table": ("w2dual.tables", "render one table of the HD evaluation"),
    "trivial-table": ("w2dual.tables", "render the table of the maps that need no training"),
    "synthetic-table": ("w2dual.synthetic_table", "render the table of the cells on the plane"),
    "cost-table": ("w2dual.cost_tables", "render a table of run times or conjugations"),
    "hyperparameters": ("w2dual.hyperparameters", "render a table of the settings that ran"),
    "table-page": ("w2dual.table_page", "set a tidy table as a page of the report"),
    "verdict": ("w2dual.verdict", "judge each published cell: reproduced, better, worse, ..."),
    "claims": ("w2dual.claims", "check the paper's claims about its tables"),
    "verdict-figure": ("w2dual.plots.verdict", "draw the verdict"),
    "figure": ("w2dual.figure_job", "draw a figure of the cells on the plane"),
    "accuracy-figure": ("w2dual.plots.accuracy", "draw accuracy against cost or dimension"),
    "curves": ("w2dual.plots.curves", "draw the training curves of one cell"),
    "report": ("w2dual.report", "set evaluation.pdf"),
    "bundle": ("w2dual.bundle", "make the archive for reviewers"),
    "verify": ("w2dual.verify", "check an archive: hashes, crate, tables, a sample of cells"),
    "unpack": ("w2dual.unpack", "unpack an archive, after checking that it is safe to"),
    "rebuild": ("w2dual.rebuild", "make an unpacked archive's tables and figures again"),
    "retrain": ("w2dual.retrain", "train one cell of an unpacked archive again, and compare"),
}


def parser(job: str | None) -> argparse.ArgumentParser:
    """Build the parser; only the module of the job asked for is imported."""
    top = argparse.ArgumentParser(
        prog="w2dual", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    top.add_argument("--version", action="version", version=f"w2dual {__version__}")
    jobs = top.add_subparsers(dest="job", required=True, metavar="JOB")
    for name, (module, summary) in JOBS.items():
        sub = jobs.add_parser(name, help=summary, description=summary)
        if name == job:
            importlib.import_module(module).add_arguments(sub)
    return top


def run(args: argparse.Namespace) -> None:
    """Run the job that was parsed, under settings that the shell does not move."""
    module = importlib.import_module(JOBS[args.job][0])
    environment.settle()
    if "jax" in sys.modules and (left := environment.record()["set"]):
        log.info("left as the environment has it: %s", left)
    module.main(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one job; give the exit code: 0, or 2 where the input cannot be used."""
    argv = list(sys.argv[1:] if argv is None else argv)
    job = next((word for word in argv if word in JOBS), None)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s  %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.getLogger("jax").setLevel(logging.WARNING)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that the terminal lacks ends no job
        sys.stdout.reconfigure(errors="backslashreplace")
    environment.settle()  # before any job's module imports JAX or matplotlib
    try:
        run(parser(job).parse_args(argv))
    except InputError as error:
        sys.stderr.write(f"w2dual {job}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One subcommand per job: `python -m w2dual JOB --help`.

Each is a thin parser over one module; modules are imported when their job runs, so that the light
ones start without JAX.
"""

from __future__ import annotations

import os
import sys

# `python -m` searches the current folder first, before Python's own modules; it may be that of an
# archive, which is no place to take `json` from.
if __name__ == "__main__" and not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]

import argparse
import importlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from w2dual import __version__, environment
from w2dual.records import FULL, InputError, unwritable


@dataclass(frozen=True)
class Job:
    """A subcommand.

    Attributes:
        module: has its `add_arguments` and `main`.
        summary: for the help.
        writes: options of a job that makes tables or figures: each names a file that it writes. It
            reads the files that its other options name, writes no others, and starts no program.
            Such a job alone may be named by an archive that comes from anybody, so a new one
            renders only where it says so.
        computes: what it renders is computed from measures or networks, to no certain last bit.
    """

    module: str
    summary: str
    writes: tuple[str, ...] = ()
    computes: bool = False

    @property
    def renders(self) -> bool:
        """Whether it makes tables or figures."""
        return bool(self.writes)

    @property
    def exact(self) -> bool:
        """Whether it makes text that follows from text: the same bytes on any machine."""
        return self.renders and set(self.writes) <= TEXT and not self.computes


TEXT = frozenset({"--csv", "--html", "--out", "--tex"})
TABLE, PICTURE = ("--tex", "--csv"), ("--pdf", "--png")


log = logging.getLogger(__name__)

_NO_BACKEND = "Unable to initialize backend"
"""How JAX begins its error where what it is to run on is not there."""

JOBS = {
    "cells": Job("w2dual.cells_job", "list the cells of a config, or print the record of one"),
    "estimate": Job("w2dual.estimate_job", "predict what a config's cells cost, before they start"),
    "simulate": Job("w2dual.simulate_job", "simulate a config's cells on a cluster"),
    "measure": Job("w2dual.measure_job", "time training on the device at hand, for estimate"),
    "doctor": Job("w2dual.doctor_job", "check that the workflow can run on this cluster"),
    "prepare": Job("w2dual.measures.prepare", "make one pair of measures, with its ground truth"),
    "trivial": Job(
        "w2dual.measures.trivial",
        "evaluate maps that need no training",
        writes=("--out",),
        computes=True,
    ),
    "train": Job("w2dual.train_job", "train all seeds of one cell"),
    "status": Job("w2dual.status_job", "show how far cells are, running and finished"),
    "push": Job("w2dual.push", "map your own points by the ground truth or a trained cell"),
    "conjugation-study": Job("w2dual.studies.conjugation", "follow a trained cell's conjugations"),
    "line-search": Job("w2dual.studies.line_search", "time line searches on trained cells"),
    "line-search-tables": Job(
        "w2dual.studies.line_search_tables", "render the results of line-search", writes=TABLE
    ),
    "conjugation-figure": Job(
        "w2dual.plots.conjugation", "draw the studies of conjugation", writes=PICTURE
    ),
    "aggregate": Job(
        "w2dual.aggregate", "gather the metrics of cells into one tidy file", writes=("--out",)
    ),
    "table": Job("w2dual.tables", "render one table of the HD evaluation", writes=TABLE),
    "trivial-table": Job(
        "w2dual.tables", "render the table of the maps that need no training", writes=TABLE
    ),
    "synthetic-table": Job(
        "w2dual.synthetic_table", "render the table of the cells on the plane", writes=TABLE
    ),
    "cost-table": Job(
        "w2dual.cost_tables", "render a table of run times or conjugations", writes=TABLE
    ),
    "hyperparameters": Job(
        "w2dual.hyperparameters", "render a table of the settings that ran", writes=TABLE
    ),
    "table-page": Job(
        "w2dual.table_page", "set a tidy table as a page of the report", writes=("--html",)
    ),
    "verdict": Job(
        "w2dual.verdict", "judge each published cell: reproduced, better, worse, ...", writes=TABLE
    ),
    "claims": Job("w2dual.claims", "check the paper's claims about its tables", writes=TABLE),
    "verdict-figure": Job("w2dual.plots.verdict", "draw the verdict", writes=PICTURE),
    "figure": Job(
        "w2dual.figure_job", "draw a figure of the cells on the plane", writes=(*PICTURE, "--gif")
    ),
    "accuracy-figure": Job(
        "w2dual.plots.accuracy", "draw accuracy against cost or dimension", writes=PICTURE
    ),
    "curves": Job("w2dual.plots.curves", "draw the training curves of one cell", writes=PICTURE),
    "report": Job("w2dual.report", "typeset evaluation.pdf"),
    "bundle": Job("w2dual.bundle", "make the archive for reviewers"),
    "verify": Job("w2dual.verify", "check an archive: hashes, crate, tables, a sample of cells"),
    "unpack": Job("w2dual.unpack", "check that an archive is safe, and unpack it"),
    "rebuild": Job("w2dual.rebuild", "make an unpacked archive's tables and figures again"),
    "retrain": Job("w2dual.retrain", "train one cell of an unpacked archive again, and compare"),
}


def parser(job: str | None) -> argparse.ArgumentParser:
    """Build the parser; only the module of the job asked for is imported."""
    top = argparse.ArgumentParser(
        prog="w2dual", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    top.add_argument("--version", action="version", version=f"w2dual {__version__}")
    jobs = top.add_subparsers(dest="job", required=True, metavar="JOB")
    for name, known in JOBS.items():
        sub = jobs.add_parser(
            name, help=known.summary, description=known.summary, allow_abbrev=False
        )
        if name == job:
            importlib.import_module(known.module).add_arguments(sub)
    return top


def run(args: argparse.Namespace) -> None:
    """Run the job that was parsed, under settings that the shell does not move."""
    module = importlib.import_module(JOBS[args.job].module)
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
        sys.stdout.flush()
    except InputError as error:
        sys.stderr.write(f"w2dual {job}: {error}\n")
        return 2
    except RuntimeError as error:
        if not str(error).startswith(_NO_BACKEND):
            raise
        sys.stderr.write(f"w2dual {job}: {_no_backend(error)}\n")
        return 2
    except BrokenPipeError:  # as of `w2dual cells | head`
        _drop_output()
        return 1
    except OSError as error:
        if error.errno not in FULL:
            raise
        _drop_output()
        where = error.filename2 or error.filename or "standard output or a temporary file"
        sys.stderr.write(f"w2dual {job}: {unwritable(where, error)}\n")
        return 2
    return 0


def _no_backend(error: RuntimeError) -> str:
    """Say that JAX has no device to run on, and which variable asks for one."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    found = (
        str(error)
        .removesuffix(" (set JAX_PLATFORMS='' to automatically choose an available backend)")
        .rstrip(".")
    )
    remedy = (
        f"JAX_PLATFORMS={asked} asks for it; unset it, or set it to cpu or cuda, in lower case"
        if asked
        else "set JAX_PLATFORMS=cpu to do without a GPU"
    )
    return f"JAX cannot start: {found}; {remedy}"


def _drop_output() -> None:
    """Let Python's last flush of what could not be written go nowhere."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())

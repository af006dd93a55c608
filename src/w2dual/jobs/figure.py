"""The job `figure`: draw a figure of trained cells: the plane, CelebA64, paths or metrics."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.backend import configure
from w2dual.jobs.options import add_trained_cells, trained_cells
from w2dual.plots.figure import module_of, write
from w2dual.records import InputError

WRITES = ("--pdf", "--png", "--gif")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", help="of the figure, a module of w2dual.plots")
    add_trained_cells(parser)
    parser.add_argument("--pdf", type=Path, help="vector figure to write")
    parser.add_argument("--png", type=Path, help="with --pdf: the same as pixels")
    parser.add_argument("--gif", type=Path, help="the figure in motion")


def main(args: argparse.Namespace) -> None:
    """Run the job.

    Raises:
        InputError: a file cannot be used, or there is no such figure.
    """
    configure()
    module = module_of(args.name)
    if (args.pdf is None) != (args.png is None) or not (args.pdf or args.gif):
        raise InputError("expected --pdf and --png, or --gif")
    write(module, trained_cells(args), args.pdf, args.png, args.gif)

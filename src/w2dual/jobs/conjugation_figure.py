"""The job `conjugation-figure`: draw the studies of conjugation."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_picture
from w2dual.plots.conjugation import write

WRITES = ("--pdf", "--png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--studies", type=Path, nargs="+", required=True, help=".safetensors, by dimension"
    )
    parser.add_argument(
        "--histories", type=Path, nargs="+", required=True, help="history.csv of each"
    )
    add_picture(parser, pdf="vector figure to write", png="the same as pixels")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    write(args.studies, args.histories, args.pdf, args.png)

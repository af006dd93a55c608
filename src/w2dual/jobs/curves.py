"""The job `curves`: draw the training curves of one cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_picture
from w2dual.plots.curves import write

WRITES = ("--pdf", "--png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--metrics", type=Path, required=True, help="metrics.json of the cell")
    parser.add_argument("--history", type=Path, required=True, help="history.csv of the cell")
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    add_picture(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    write(args.metrics, args.history, args.published, args.pdf, args.png)

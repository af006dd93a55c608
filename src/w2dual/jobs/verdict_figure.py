"""The job `verdict-figure`: draw the verdict."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_picture
from w2dual.plots.verdict import write

WRITES = ("--pdf", "--png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--verdict", type=Path, required=True, help=".csv of the verdict")
    add_picture(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    write(args.verdict, args.pdf, args.png)

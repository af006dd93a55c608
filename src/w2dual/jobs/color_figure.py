"""The job `color-figure`: draw images whose colours are moved."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.backend import configure
from w2dual.jobs.options import add_picture
from w2dual.plots.meta_color import write

WRITES = ("--pdf", "--png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--studies",
        type=Path,
        nargs="+",
        required=True,
        help="what color-study wrote, of all cells",
    )
    parser.add_argument("--measures", type=Path, required=True, help="a prepared law over images")
    add_picture(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    configure()
    write(args.studies, args.measures, args.pdf, args.png)

"""The job `status`: show how far cells are, running and finished."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.training.status_table import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="working folder of a preset (default: this one and each runs/NAME in it)",
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=2.0,
        metavar="SECONDS",
        help="show it again and again, every SECONDS (default: %(const)s), until Ctrl-C",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one list for each time")


def main(args: argparse.Namespace) -> None:
    """Print to standard output.

    Raises:
        InputError: the seconds between two tables are out of range.
        SystemExit: a folder does not exist; the exit code is 1.
    """
    show(args.folders, args.watch, args.json)

"""The job `score-metrics`: score metrics that others have learned, by their weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.backend import configure
from w2dual.records import json_argument
from w2dual.studies.published_metrics import write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--settings",
        required=True,
        help="grid, and file, truth and bounds of each set: JSON or a file of it",
    )
    parser.add_argument("--out", type=Path, required=True, help="scores .csv to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    configure()
    write(json_argument(args.settings), args.out)

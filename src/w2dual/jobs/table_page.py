"""The job `table-page`: set a tidy table as a page of the report."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.report.page import write

WRITES = ("--html",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--csv", type=Path, required=True, help="tidy table")
    parser.add_argument("--html", type=Path, required=True, help="page to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    write(args.csv, args.html)

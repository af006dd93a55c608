"""The job `line-search-tables`: render the results of line-search."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.report.tables.line_search import RENDERERS, write

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--study", choices=RENDERERS, required=True, help="which table")
    parser.add_argument("--record", type=Path, required=True, help=".json of the study")
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    write(args.study, args.record, args.tex, args.csv)

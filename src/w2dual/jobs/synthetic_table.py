"""The job `synthetic-table`: render the table of the cells on the plane."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.synthetic import SyntheticSettings, write

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--metrics", type=Path, required=True, help="tidy metrics, of all cells")
    parser.add_argument("--cells", required=True, help="names of the cells: JSON or a file of it")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = SyntheticSettings.from_json(json_argument(args.settings))
    write(args.metrics, json_argument(args.cells), settings, args.tex, args.csv)

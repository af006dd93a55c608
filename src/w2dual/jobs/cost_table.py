"""The job `cost-table`: render a table of run times or conjugations."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.costs import QUANTITIES, write
from w2dual.results.summary import TableSettings

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", choices=QUANTITIES, help="of the table")
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="tidy metrics of the HD cells"
    )
    parser.add_argument(
        "--potentials", nargs="+", required=True, help="blocks of the table, in order"
    )
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = TableSettings.from_json(json_argument(args.settings))
    write(args.name, args.metrics, args.potentials, settings, args.tex, args.csv)

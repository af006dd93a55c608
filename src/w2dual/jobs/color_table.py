"""The job `color-table`: render a table of colour transport."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.meta_color import TABLES, write
from w2dual.results.meta_color import ColorSettings

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", choices=TABLES, help="of the table")
    parser.add_argument(
        "--studies",
        type=Path,
        nargs="+",
        required=True,
        help="what color-study wrote, of all cells",
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = ColorSettings.from_json(json_argument(args.settings))
    write(args.name, args.studies, args.published, settings, args.tex, args.csv)

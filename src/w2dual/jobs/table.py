"""The job `table`: render one table of the HD evaluation."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.hd import write_hd
from w2dual.results.summary import TableSettings

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--metrics", type=Path, required=True, help="tidy metrics of the HD cells")
    parser.add_argument("--potential", required=True, help="which potential's table")
    parser.add_argument("--published", type=Path, required=True, help="folder of quoted values")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = TableSettings.from_json(json_argument(args.settings))
    write_hd(args.metrics, args.potential, args.published, settings, args.tex, args.csv)

"""The job `hyperparameters`: render a table of the settings that ran."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.settings import TABLES, write

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", choices=TABLES, help="of the table")
    parser.add_argument("--config", required=True, help="config that ran: JSON or a file of it")
    parser.add_argument("--base", type=Path, required=True, help="config.yaml, with its comments")
    add_table(parser, csv="the same, tidy")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    write(args.name, json_argument(args.config), args.base, args.tex, args.csv)

"""The job `trivial-table`: render the table of the maps that need no training."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.records import json_argument
from w2dual.report.tables.hd import write_trivial
from w2dual.results.summary import TableSettings

WRITES = ("--tex",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--trivial", type=Path, required=True, help="metrics of the trivial maps")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    parser.add_argument("--tex", type=Path, required=True, help="table to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = TableSettings.from_json(json_argument(args.settings))
    write_trivial(args.trivial, settings, args.tex)

"""The job `verdict`: judge each published cell: reproduced, better, worse, ..."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.verdict import write
from w2dual.results.verdict import VerdictSettings

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="tidy metrics of all potentials"
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    parser.add_argument("--settings", required=True, help="verdict settings: JSON or a file of it")
    add_table(parser, csv="the same numbers and more, tidy")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = VerdictSettings.from_json(json_argument(args.settings))
    write(args.metrics, args.published, settings, args.tex, args.csv)

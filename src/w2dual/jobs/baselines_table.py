"""The job `baselines-table`: render the benchmark's own methods beside its values."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables import baselines
from w2dual.results.verdict import VerdictSettings

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--metrics", type=Path, required=True, help="tidy metrics of the cells")
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = VerdictSettings.from_json(json_argument(args.settings))
    baselines.write(args.metrics, args.published, settings, args.tex, args.csv)

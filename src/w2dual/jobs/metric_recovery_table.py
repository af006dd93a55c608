"""The job `metric-recovery-table`: render the table of recovered metrics."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.metric_recovery import RecoverySettings, write

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--metrics", type=Path, required=True, help="tidy metrics of the cells")
    parser.add_argument(
        "--scores", type=Path, nargs="*", default=[], help="of published weights, by score-metrics"
    )
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    parser.add_argument(
        "--published", type=Path, required=True, help="folder of the transcribed values"
    )
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = RecoverySettings.from_json(json_argument(args.settings))
    write(args.metrics, args.scores, args.published, settings, (args.tex, args.csv))

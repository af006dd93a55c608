"""The job `celeba64-table`: render a table of the CelebA64 cells."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.celeba64 import TABLES, Inputs, write
from w2dual.results.celeba64 import ImageSettings

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", choices=TABLES, help="of the table")
    parser.add_argument("--metrics", type=Path, required=True, help="tidy metrics of the cells")
    parser.add_argument(
        "--baselines",
        type=Path,
        nargs="*",
        default=[],
        help="those of the benchmark's own methods, for the table celeba64, if there are any",
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = ImageSettings.from_json(json_argument(args.settings))
    files = Inputs(args.metrics, next(iter(args.baselines), None), args.published)
    write(args.name, files, settings, args.tex, args.csv)

"""The job `meta-sinkhorn-table`: render the comparison of starts, or its claims."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import json_argument
from w2dual.report.tables.meta_sinkhorn import TABLES, write
from w2dual.results.meta_sinkhorn import TableSettings, read

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", choices=TABLES, help="of the table")
    parser.add_argument("--counts", type=Path, nargs="+", required=True, help=".csv of each task")
    parser.add_argument(
        "--traces", type=Path, nargs="+", required=True, help=".safetensors of each task"
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    add_table(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = TableSettings.from_json(json_argument(args.settings))
    studies = read(args.counts, args.traces)
    write(args.name, studies, args.published, settings, args.tex, args.csv)

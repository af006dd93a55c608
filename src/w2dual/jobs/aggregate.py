"""The job `aggregate`: gather the metrics of cells into one tidy file."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.records import json_argument
from w2dual.results import measured
from w2dual.results.aggregate import aggregate

WRITES = ("--out",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json of each cell"
    )
    parser.add_argument(
        "--cells", required=True, help="expected cells, [{name, hash}, ...]: JSON or a file of it"
    )
    parser.add_argument(
        "--kind",
        choices=measured.kinds(),
        default=measured.DEFAULT,
        help="of the cells [%(default)s]",
    )
    parser.add_argument("--out", type=Path, required=True, help="tidy .csv to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    aggregate(args.metrics, json_argument(args.cells), args.out, measured.of(args.kind))

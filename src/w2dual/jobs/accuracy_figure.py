"""The job `accuracy-figure`: draw accuracy against cost, dimension, or by seed."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_picture
from w2dual.plots.accuracy import FIGURES, write
from w2dual.records import json_argument
from w2dual.results.summary import TableSettings

WRITES = ("--pdf", "--png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", choices=FIGURES, help="of the figure")
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="tidy metrics of the HD cells"
    )
    parser.add_argument("--potentials", nargs="+", required=True, help="names, in order")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    parser.add_argument(
        "--baselines",
        type=Path,
        nargs="*",
        default=[],
        help="tidy metrics of the benchmark's own methods, or none",
    )
    add_picture(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = TableSettings.from_json(json_argument(args.settings))
    files = (args.pdf, args.png, next(iter(args.baselines), None))
    write(args.name, args.metrics, args.potentials, args.published, settings, *files)

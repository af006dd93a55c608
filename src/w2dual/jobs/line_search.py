"""The job `line-search`: time line searches on trained cells."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.backend import configure
from w2dual.jobs.options import add_trained_cells, positive, trained_cells
from w2dual.records import json_argument
from w2dual.studies.line_search import STUDIES, run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--study", choices=STUDIES, default="line-search", help="[%(default)s]")
    add_trained_cells(parser)
    parser.add_argument(
        "--settings", required=True, help="solver, points and repetitions: JSON or a file"
    )
    parser.add_argument("--threads", type=positive, help="CPU threads (default: all cores)")
    parser.add_argument("--out", type=Path, required=True, help=".json to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    configure(threads=args.threads, devices=1)
    settings = json_argument(args.settings)
    run(args.study, trained_cells(args), settings, args.threads, args.out)

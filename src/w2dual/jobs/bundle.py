"""The job `bundle`: make the archive for reviewers."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.archive.bundle import Plan, make
from w2dual.jobs.dispatch import call
from w2dual.records import read_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--plan", type=Path, required=True, help="what goes in, as JSON")
    parser.add_argument("--root", type=Path, required=True, help="the checkout")
    parser.add_argument(
        "--outputs", type=Path, default=Path(), help="folder of the run's outputs [here]"
    )
    parser.add_argument("--zip", type=Path, required=True, help="archive to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    make(Plan.from_json(read_json(args.plan)), args.root, args.outputs, args.zip, call)

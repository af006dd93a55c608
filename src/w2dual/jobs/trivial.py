"""The job `trivial`: evaluate maps that need no training."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual import seeds
from w2dual.jobs.options import positive
from w2dual.measures.trivial import write

WRITES = ("--out",)
COMPUTES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--pairs", required=True, nargs="+", type=Path, help="prepared files")
    parser.add_argument("--samples", required=True, type=positive, help="points per pair")
    parser.add_argument("--seed", required=True, type=seeds.argument, help="of the points' stream")
    parser.add_argument("--out", required=True, type=Path, help="the CSV to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    write(args.pairs, args.samples, args.seed, args.out)

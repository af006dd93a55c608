"""The job `conjugation-study`: follow a trained cell's conjugations."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.backend import configure
from w2dual.jobs.options import positive
from w2dual.records import json_argument
from w2dual.studies.conjugation import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--params", type=Path, required=True, help="params.safetensors of the cell")
    parser.add_argument("--metrics", type=Path, required=True, help="its metrics.json")
    parser.add_argument("--measures", type=Path, required=True, help="its prepared pair")
    parser.add_argument(
        "--settings", required=True, help="lbfgs, adam, points, samples: JSON or a file"
    )
    parser.add_argument("--threads", type=positive, help="CPU threads (default: all cores)")
    parser.add_argument("--out", type=Path, required=True, help=".safetensors to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    configure(threads=args.threads, devices=1)
    run(args.params, args.metrics, args.measures, json_argument(args.settings), args.out)

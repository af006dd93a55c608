"""The job `retrain`: train one cell of an unpacked archive again, and compare."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.archive.retrain import retrain
from w2dual.jobs.dispatch import call
from w2dual.jobs.options import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("cell", help="its name, such as hd2-mlp-regression-lbfgs")
    parser.add_argument("--root", type=Path, default=Path(), help="the unpacked archive [here]")
    parser.add_argument("--into", type=Path, default=Path("retrained"), help="[%(default)s]")
    parser.add_argument(
        "--resume", action="store_true", help="resume a training of yours that was stopped"
    )
    parser.add_argument("--threads", type=positive, help="CPU threads (default: as archived)")


def main(args: argparse.Namespace) -> None:
    """Run the job.

    Raises:
        SystemExit: the numbers do not agree; the code is 1.
    """
    if not retrain(args.cell, args.root, args.into, args.resume, args.threads, call):
        raise SystemExit(1)

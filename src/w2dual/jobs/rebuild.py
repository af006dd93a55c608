"""The job `rebuild`: make an unpacked archive's tables and figures again."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.archive.rebuild import rebuild_all
from w2dual.jobs.dispatch import call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--root", type=Path, default=Path(), help="the unpacked archive [here]")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    rebuild_all(args.root.resolve(), call)

"""The job `unpack`: check that an archive is safe, and unpack it."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.archive.unpack import unpack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("bundle", type=Path, help="the archive, a .zip")
    parser.add_argument("--into", type=Path, required=True, help="a new or empty folder")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    unpack(args.bundle, args.into)

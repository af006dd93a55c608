"""The job `verify`: check an archive: hashes, crate, tables, a sample of cells."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual import seeds
from w2dual.archive.verify import SAMPLE, print_report
from w2dual.jobs.dispatch import call
from w2dual.jobs.options import whole_from_zero


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("bundle", type=Path, help="the archive, a .zip")
    parser.add_argument(
        "--sample",
        type=whole_from_zero,
        default=SAMPLE,
        help="cells to evaluate again [%(default)s]",
    )
    parser.add_argument(
        "--seed", type=seeds.argument, help="of the sample (default: from the archive's hash)"
    )
    parser.add_argument("--report", type=Path, help="write the report here too")


def main(args: argparse.Namespace) -> None:
    """Run the job.

    Raises:
        SystemExit: the archive has a problem; the code is 1.
    """
    if not print_report(args.bundle, args.sample, args.seed, args.report, call):
        raise SystemExit(1)

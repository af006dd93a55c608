"""The job `claims`: check the paper's claims about its tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_table
from w2dual.records import InputError, json_argument
from w2dual.report.tables.claims import write
from w2dual.results.celeba64 import ImageSettings
from w2dual.results.claims import PriorWork
from w2dual.results.verdict import VerdictSettings

WRITES = ("--tex", "--csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--verdict", type=Path, required=True, help=".csv of the verdict")
    parser.add_argument(
        "--baselines",
        type=Path,
        nargs="*",
        default=[],
        help=".csv of the benchmark's own methods, or none",
    )
    parser.add_argument("--published", type=Path, help="folder of quoted values, for --baselines")
    parser.add_argument("--settings", required=True, help="verdict settings: JSON or a file of it")
    add_table(parser, csv="the same, tidy")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    if args.baselines and args.published is None:
        raise InputError("--baselines needs --published, whose quoted values are compared with")
    prior = PriorWork.read(args.baselines[0], args.published) if args.baselines else None
    record = json_argument(args.settings)
    kind = ImageSettings if "generators" in record else VerdictSettings
    settings = kind.from_json(record)
    write(args.verdict, prior, settings, args.tex, args.csv)

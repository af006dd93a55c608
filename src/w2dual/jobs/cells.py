"""The job `cells`: the cells of a config, or the record of one of them."""

from __future__ import annotations

import argparse
import sys

from w2dual.config.grid import text
from w2dual.config.reader import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", nargs="?", help="cell whose record to print; else all names")
    parser.add_argument(
        "--configfile",
        nargs="+",
        default=["config.yaml"],
        help="config files, each merged over the ones before (config.yaml presets/smoke.yaml)",
    )


def main(args: argparse.Namespace) -> None:
    """Print to standard output."""
    sys.stdout.write(text(load(args.configfile), args.name, " + ".join(args.configfile)))

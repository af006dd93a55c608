"""The job `cells`: list the cells of a config, or print the record of one."""

from __future__ import annotations

import argparse
import sys

from w2dual.config.grid import text
from w2dual.config.reader import load
from w2dual.jobs.defaults import add_whole_config, config_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", nargs="?", help="cell whose record to print; else all names")
    add_whole_config(parser)


def main(args: argparse.Namespace) -> None:
    """Print to standard output."""
    files = config_files(args)
    sys.stdout.write(text(load(files), args.name, " + ".join(files)))

"""The job `cells`: print the cells of a config, or the record of one of them."""

from __future__ import annotations

import argparse
import difflib
import json
import sys

from w2dual.cells import grid
from w2dual.config import load
from w2dual.records import InputError


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
    cells = {cell.name: cell for cell in grid(load(args.configfile))}
    if args.name is None:
        sys.stdout.write("".join(f"{name}\n" for name in cells))
        return
    if args.name not in cells:
        close = difflib.get_close_matches(args.name, cells, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"there is no cell {args.name} in {' + '.join(args.configfile)}{hint}")
    sys.stdout.write(json.dumps(cells[args.name].to_json()) + "\n")

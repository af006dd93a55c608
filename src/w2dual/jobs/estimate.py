"""The job `estimate`: predict what a config's cells cost, before they start."""

from __future__ import annotations

import argparse
import sys

from w2dual.cluster.estimate_summary import Asked, text
from w2dual.jobs.defaults import add_config_arguments, add_costs, config_files, costs_file
from w2dual.jobs.options import positive
from w2dual.records import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    add_config_arguments(parser)
    parser.add_argument("--device", help="a device of the measurements (default: this machine's)")
    parser.add_argument(
        "--threads", type=positive, help="CPU threads of a job (default: the config's)"
    )
    add_costs(parser)
    parser.add_argument(
        "--from",
        dest="runs",
        action="append",
        default=[],
        metavar="FOLDER",
        help="working folder with finished cells, whose times go before those of the costs file "
        "(their pre-training with its compiling, and taken to have had --threads); "
        "may be given again",
    )
    parser.add_argument(
        "--assume-method",
        metavar="LOSS,SOLVER",
        help="what a cell is taken to cost whose own method gives no estimate",
    )
    parser.add_argument(
        "--gpus", type=positive, help="also the time on that many devices, longest cell first"
    )
    parser.add_argument(
        "--headroom", type=float, default=1.5, help="factor of the suggested time limits (1.5)"
    )
    parser.add_argument("--per-cell", action="store_true", help="a line for each cell")
    parser.add_argument("--json", action="store_true", help="everything as one JSON record")
    parser.add_argument("--strict", action="store_true", help="an unknown cell is an error")


def main(args: argparse.Namespace) -> None:
    """Print to standard output.

    Raises:
        InputError: an option or the costs cannot be used, or with --strict a cost is unknown.
    """
    asked = Asked(
        device=args.device,
        threads=args.threads,
        costs=costs_file(args),
        runs=args.runs,
        assume_method=args.assume_method,
        gpus=args.gpus,
        headroom=args.headroom,
        per_cell=args.per_cell,
        as_json=args.json,
    )
    words, unknown = text(config_files(args), asked)
    sys.stdout.write(words)
    if args.strict and unknown:
        raise InputError(unknown)

"""The job `prepare`: make one pair of measures, with its ground truth."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.measures.preparation import prepare
from w2dual.records import json_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--pair",
        required=True,
        help="hd and the dimension, for example hd2; celeba64_early, _mid, _late, or their "
        "celeba64_generator; or a name",
    )
    parser.add_argument(
        "--settings",
        required=True,
        metavar="JSON",
        help="the config's measures.benchmark, measures.celeba64 or measures.palettes, or "
        "measures.discrete.PAIR, measures.snapshots.PAIR or measures.synthetic.PAIR, "
        "as JSON or as the path of a JSON file",
    )
    parser.add_argument("--out", required=True, type=Path, help="the prepared file to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    prepare(args.pair, json_argument(args.settings), args.out)

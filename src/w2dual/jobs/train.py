"""The job `train`: train all seeds of one cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.backend import configure
from w2dual.config.cells import Cell
from w2dual.evaluation.train_cell import Outputs, train_cell
from w2dual.jobs.options import positive
from w2dual.records import json_argument
from w2dual.training.checkpoint import EVERY_S, KEEP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--cell", required=True, help="record of the cell: JSON or a file")
    parser.add_argument("--preset", required=True, help="name, label, reduced: JSON or a file")
    parser.add_argument("--measures", required=True, type=Path, help="prepared pair of measures")
    parser.add_argument("--threads", type=positive, help="CPU threads (default: all cores)")
    parser.add_argument("--metrics", required=True, type=Path, help="metrics.json to write")
    parser.add_argument("--history", required=True, type=Path, help="history .csv to write")
    parser.add_argument("--params", required=True, type=Path, help="parameters to write")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        help="folder for what a killed job resumes from, removed at the end "
        "(default: checkpoints/CELL)",
    )
    parser.add_argument(
        "--checkpoint-every-s",
        type=float,
        default=EVERY_S,
        help="seconds between checkpoints (default: %(default)s); moves no number",
    )
    parser.add_argument(
        "--checkpoint-keep",
        type=int,
        default=KEEP,
        help="checkpoints to keep, the newest (default: %(default)s)",
    )


def main(args: argparse.Namespace) -> None:
    """Train, then write all files; nothing is written where training fails.

    Raises:
        InputError: the cell, the measures or an option cannot be used.
        SystemExit: SIGTERM or SIGUSR1 stopped the training; the code is 128 + the signal's number.
    """
    configure(threads=args.threads)
    cell = Cell.from_json(json_argument(args.cell))
    train_cell(
        cell,
        json_argument(args.preset),
        args.measures,
        Outputs(args.metrics, args.history, args.params),
        args.checkpoints or Path("checkpoints") / cell.name,
        every_s=args.checkpoint_every_s,
        keep=args.checkpoint_keep,
    )

"""The job `push`: map your own points by the ground truth or a trained cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.backend import configure
from w2dual.evaluation.points import HEADERS
from w2dual.evaluation.push import GROUND_TRUTH, TRAINED, push
from w2dual.records import InputError
from w2dual.seeds import argument as seed_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--points",
        required=True,
        type=Path,
        help=".npy or .csv, a point a row; or a .png of square images side by side, each a point",
    )
    parser.add_argument(
        "--header",
        choices=HEADERS,
        default="auto",
        help="is the first line of a .csv names (yes) or a point (no)? auto takes a line without "
        "numbers for names, and refuses what cannot be told [%(default)s]",
    )
    parser.add_argument("--out", required=True, type=Path, help="file to write, .npy, .csv or .png")
    parser.add_argument(
        "--map",
        required=True,
        choices=[*GROUND_TRUTH, *TRAINED],
        help="ground-truth* need --measures, forward and inverse need --params",
    )
    parser.add_argument("--measures", type=Path, help="prepared pair, results/measures/*")
    parser.add_argument("--params", type=Path, help="trained cell, .../params.safetensors")
    parser.add_argument(
        "--seed",
        type=seed_argument,
        help="with --params: which seed (default: the first that has not diverged)",
    )
    parser.add_argument(
        "--status",
        type=Path,
        help="with --map inverse: .csv to write, how each point's conjugate fared",
    )
    parser.add_argument(
        "--require-converged",
        action="store_true",
        default=None,
        help="with --map inverse: write nothing, and fail, where a conjugate did not converge",
    )


def main(args: argparse.Namespace) -> None:
    """Run the job.

    Raises:
        InputError: an option is missing or of no use to the map, or a file cannot be used.
    """
    configure()
    by_cell, by_solver = args.map in TRAINED, args.map == "inverse"
    needed, unused = ("params", ["measures"]) if by_cell else ("measures", ["params", "seed"])
    unused += [] if by_solver else ["status", "require_converged"]
    if getattr(args, needed) is None:
        raise InputError(f"--map {args.map} needs --{needed} FILE")
    for name in unused:
        if getattr(args, name) is not None:
            option = name.replace("_", "-")
            raise InputError(f"--map {args.map} makes no use of --{option}; leave it out")
    push(
        args.map,
        args.points,
        args.out,
        getattr(args, needed),
        seed=args.seed,
        header=args.header,
        status=args.status,
        require_converged=bool(args.require_converged),
    )

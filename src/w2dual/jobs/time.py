"""The job `time`: time training on the device at hand, for estimate."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.cluster.measured import MIN_BLOCKS, Axes, Effort, time_cells
from w2dual.jobs.defaults import add_config_arguments, config_files
from w2dual.jobs.options import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    add_config_arguments(parser)
    default = "default: the config's"
    parser.add_argument("--dimensions", type=positive, nargs="+", metavar="N", help=default)
    parser.add_argument("--potentials", nargs="+", metavar="NAME", help=default)
    parser.add_argument("--methods", nargs="+", metavar="LOSS,SOLVER", help=default)
    parser.add_argument("--seeds", type=positive, nargs="+", metavar="COUNT", help=default)
    parser.add_argument("--batch-size", type=positive, help=default)
    parser.add_argument(
        "--pretraining-steps", type=positive, default=200, help="default 200; done 1 and 3 times"
    )
    parser.add_argument("--warm-up-steps", type=positive, default=200, help="default 200")
    parser.add_argument("--block-steps", type=positive, default=100, help="default 100")
    parser.add_argument(
        "--blocks", type=positive, default=MIN_BLOCKS, help=f"timed blocks, from {MIN_BLOCKS}"
    )
    parser.add_argument("--threads", type=positive, help="CPU threads (default: all cores)")
    pairs = parser.add_mutually_exclusive_group(required=True)
    pairs.add_argument("--measures", type=Path, help="folder of prepared pairs, hdN.safetensors")
    pairs.add_argument(
        "--random-pair",
        action="store_true",
        help="pairs with random weights: the same operations, but the conjugate solver may need "
        "other numbers of iterations",
    )
    parser.add_argument("--only-missing", action="store_true", help="keep what --out has already")
    parser.add_argument("--commit", help="of this code, where it is not a git checkout")
    parser.add_argument("--note", default="", help="words added to the source of each line")
    parser.add_argument("--out", required=True, type=Path, help="costs .csv to add to")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    effort = Effort(args.pretraining_steps, args.warm_up_steps, args.block_steps, args.blocks)
    axes = Axes(args.dimensions, args.potentials, args.methods, args.seeds, args.batch_size)
    time_cells(
        config_files(args),
        axes,
        effort,
        args.out,
        threads=args.threads,
        folder=args.measures,
        only_missing=args.only_missing,
        commit=args.commit,
        note=args.note,
    )

"""The job `simulate`: simulate a config's cells on a cluster."""

from __future__ import annotations

import argparse
import sys

from w2dual.cluster.simulate import Given, table
from w2dual.config.grid import grid
from w2dual.config.reader import load
from w2dual.jobs.defaults import add_config_arguments, add_costs, config_files, costs_file
from w2dual.jobs.options import from_zero, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    add_config_arguments(parser)
    parser.add_argument("--device", help="of the measurements (default: the config's site_device)")
    add_costs(parser)
    parser.add_argument(
        "--cell-min",
        type=positive,
        help="minutes that a cell whose cost is unknown is taken to need; the output says of how "
        "many cells that is",
    )
    parser.add_argument("--gpus", type=positive, nargs="+", default=[1, 8, 64])
    parser.add_argument("--times", type=positive, default=1, help="every cell so many times (1)")
    parser.add_argument("--jobs", type=positive, default=128, help="the profile's `jobs` (128)")
    parser.add_argument("--limit-min", type=positive, help="time limit of a job (default: none)")
    parser.add_argument(
        "--start-s", type=from_zero, default=45.0, help="seconds that starting a job takes (45)"
    )
    parser.add_argument(
        "--submit-s", type=from_zero, default=0.2, help="seconds between two submissions (0.2)"
    )


def main(args: argparse.Namespace) -> None:
    """Print a line for each number of GPUs.

    Raises:
        InputError: a cell's cost is unknown and --cell-min is not given, or the limit is too short.
    """
    config = load(config_files(args))
    given = Given(
        device=args.device or config["site_device"],
        cell_min=args.cell_min,
        gpus=args.gpus,
        times=args.times,
        jobs=args.jobs,
        limit_min=args.limit_min,
        start_s=args.start_s,
        submit_s=args.submit_s,
    )
    sys.stdout.write(table(grid(config), costs_file(args), given))

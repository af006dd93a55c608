"""The job `simulate`: how long a config's cells take on a cluster, and how long its queue gets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from w2dual.cells import grid
from w2dual.config import load
from w2dual.costs import read_costs
from w2dual.estimate import estimate
from w2dual.estimate_job import COSTS, add_config_arguments, aligned, positive
from w2dual.records import InputError
from w2dual.simulate import Site, simulate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    add_config_arguments(parser)
    parser.add_argument("--device", help="of the measurements (default: the config's site_device)")
    parser.add_argument("--costs", type=Path, default=COSTS, help=f"measurements (default {COSTS})")
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
        "--start-s", type=float, default=45.0, help="seconds that starting a job takes (45)"
    )
    parser.add_argument(
        "--submit-s", type=float, default=0.2, help="seconds between two submissions (0.2)"
    )


def main(args: argparse.Namespace) -> None:
    """Print a line for each number of GPUs.

    Raises:
        InputError: a cell's cost is unknown and --cell-min is not given, or the limit is too short.
    """
    config = load([args.config, *args.configfile])
    device = args.device or config["site_device"]
    costs = [cost for cost in read_costs(args.costs) if cost.device == device]
    found = [estimate(cell, costs) for cell in grid(config)]
    unknown = [item for item in found if item.found is None]
    if unknown and args.cell_min is None:
        raise InputError(
            f"the cost of {len(unknown)} of {len(found)} cells is unknown on {device}; name a "
            "measured device with --device, or say with --cell-min what such a cell is to take"
        )
    # Longest first is not what Snakemake does: it submits in the order of the DAG.
    work_s = [60.0 * args.cell_min if item.found is None else item.seconds() for item in found]
    work_s *= args.times
    limit_s = None if args.limit_min is None else 60.0 * args.limit_min
    rows = [["GPUs", "hours", "submitted", "longest queue", "GPUs held", "of it at work"]]
    for gpus in args.gpus:
        try:
            run = simulate(work_s, Site(gpus, args.jobs, limit_s, args.start_s, args.submit_s))
        except ValueError as error:
            raise InputError(f"--limit-min: {error}") from error
        rows.append(
            [
                str(gpus),
                f"{run.makespan_s / 3600:.1f}",
                str(run.submissions),
                str(run.longest_queue),
                f"{run.busy:.0%}",
                f"{run.worked / run.busy:.0%}",
            ]
        )
    total = f"{len(work_s)} cells, {sum(work_s) / 3600:.1f} GPU hours"
    basis = f"measured on {device}" if len(unknown) < len(found) else "assumed"
    note = f"; {len(unknown)} of {len(found)} taken to need {args.cell_min} min" if unknown else ""
    sys.stdout.write("\n".join([f"{total}, {basis}{note}", "", *aligned(rows, ()), ""]))

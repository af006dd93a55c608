"""The job `doctor`: check that the workflow can run on this cluster."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from w2dual.cluster.doctor.examination import PROBE_WAIT_S, PROFILE, Asked, look, report
from w2dual.config.reader import load
from w2dual.jobs.defaults import add_config_arguments, config_files
from w2dual.jobs.options import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    add_config_arguments(parser)
    parser.add_argument("--partition", help="of training jobs (default: chosen, see the output)")
    parser.add_argument("--no-probe", action="store_true", help="submit no one-minute job")
    parser.add_argument(
        "--probe-wait",
        type=positive,
        default=PROBE_WAIT_S,
        metavar="SECONDS",
        help=f"how long that job may wait for its start (default: {PROBE_WAIT_S})",
    )
    parser.add_argument("--no-write", action="store_true", help="leave the site file as it is")
    parser.add_argument(
        "--profile", type=Path, default=PROFILE, help=f"folder of the profile (default: {PROFILE})"
    )
    # What the probe job runs.
    parser.add_argument("--probe-here", action="store_true", help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> None:
    """Print the findings, and write the site file where there is a cluster.

    Raises:
        InputError: the config, or the site file that is there, cannot be used.
        SystemExit: something keeps `all` from running; the code is 1.
    """
    if args.probe_here:
        sys.stdout.write(json.dumps(look()) + "\n")
        return
    asked = Asked(args.partition, args.no_probe, args.probe_wait, args.profile)
    if not report(load(config_files(args)), asked, write=not args.no_write):
        raise SystemExit(1)

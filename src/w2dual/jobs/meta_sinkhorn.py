"""The job `meta-sinkhorn`: compare starts of solvers of entropic transport."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.backend import configure
from w2dual.jobs.options import positive
from w2dual.records import json_argument
from w2dual.studies.meta_sinkhorn import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--measures", type=Path, required=True, help="prepared pair of the task")
    parser.add_argument(
        "--params", type=Path, nargs="*", default=[], help="params.safetensors of its cells"
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="*", default=[], help="their metrics.json, in that order"
    )
    parser.add_argument(
        "--settings", required=True, help="task, pairs, tolerances, ...: JSON or a file"
    )
    parser.add_argument("--threads", type=positive, help="CPU threads (default: all cores)")
    parser.add_argument("--counts", type=Path, required=True, help=".csv of counts to write")
    parser.add_argument("--traces", type=Path, required=True, help=".safetensors to write")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    configure(threads=args.threads, devices=1)
    settings = json_argument(args.settings)
    run(args.measures, args.params, args.metrics, settings, args.counts, args.traces)

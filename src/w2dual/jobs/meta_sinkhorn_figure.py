"""The job `meta-sinkhorn-figure`: draw the comparison of starts."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.jobs.options import add_picture
from w2dual.plots.meta_sinkhorn import FIGURES, write

WRITES = ("--pdf", "--png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("name", choices=FIGURES, help="of the figure")
    parser.add_argument(
        "--traces", type=Path, nargs="+", required=True, help=".safetensors of each task"
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    add_picture(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    write(args.name, args.traces, args.published, args.pdf, args.png)

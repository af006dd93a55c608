"""The job `recolour`: move the colours of two images of your own to each other's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from w2dual.backend import configure
from w2dual.config.reader import load
from w2dual.config.systems import meta_color
from w2dual.jobs.defaults import add_whole_config, config_files
from w2dual.jobs.options import positive
from w2dual.seeds import argument as seed_argument
from w2dual.studies.recolouring import recolour


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--source", type=Path, required=True, help="an image in colour")
    parser.add_argument("--target", type=Path, required=True, help="another one")
    parser.add_argument(
        "--params",
        type=Path,
        required=True,
        help="trained cell of colour transport, results/train/palettes_*/params.safetensors",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder to write SOURCE_to_TARGET.png and TARGET_to_SOURCE.png to",
    )
    parser.add_argument(
        "--steps",
        type=positive,
        help="updates of W2GN on these two images (default: the prediction itself)",
    )
    parser.add_argument(
        "--seed", type=seed_argument, help="of the cell (default: the first that has not diverged)"
    )
    add_whole_config(parser)


def main(args: argparse.Namespace) -> None:
    """Run the job, and print how near to exact transport the maps are."""
    configure(devices=1)
    settings = meta_color.study(load(config_files(args)))
    images = (args.source, args.target)
    moved = recolour(*images, args.params, settings, args.out, args.steps or 0, args.seed)
    sys.stdout.write(
        f"{moved.source}\n{moved.target}\n"
        f"gap of the dual to exact transport: {moved.gap_percent:.2f} % of its cost "
        f"(Gaussian map: {moved.gaussian_gap_percent:.2f} %, no change: 100 %)\n"
    )

"""Options for files that have a default: the config, and measured costs."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.cluster.costs import COSTS
from w2dual.config import places


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the config and the files that are merged over it."""
    parser.add_argument("--config", help="config file (config.yaml; else the project's own)")
    parser.add_argument(
        "--configfile",
        nargs="+",
        default=[],
        help="config files, each merged over the ones before (presets/smoke.yaml)",
    )


def add_whole_config(parser: argparse.ArgumentParser) -> None:
    """Declare the config as one list of files, the first of which is whole."""
    parser.add_argument(
        "--configfile",
        nargs="+",
        help="config files, each merged over the ones before, as in config.yaml presets/smoke.yaml "
        "(config.yaml; else the project's own)",
    )


def config_files(args: argparse.Namespace) -> list[str]:
    """Return the config's files, as either of the two above declares them.

    Raises:
        InputError: none is named, and there is no default.
    """
    if "config" in args:
        return [args.config or str(places.default(places.CONFIG)), *args.configfile]
    return args.configfile or [str(places.default(places.CONFIG))]


def add_costs(parser: argparse.ArgumentParser) -> None:
    """Declare the file of measured costs."""
    parser.add_argument(
        "--costs", type=Path, help=f"measurements ({COSTS}; else the project's own)"
    )


def costs_file(args: argparse.Namespace) -> Path:
    """Return the file of measured costs.

    Raises:
        InputError: none is named, and there is no default.
    """
    return args.costs or places.default(COSTS)

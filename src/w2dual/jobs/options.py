"""Options that several jobs share."""

from __future__ import annotations

import argparse
from pathlib import Path

from w2dual.decimals import is_number, number
from w2dual.records import InputError


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def whole_from_zero(text: str) -> int:
    """Read a whole number from 0."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def from_zero(text: str) -> float:
    """Read a finite number from 0."""
    if not is_number(text) or number(text) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number from 0")
    return number(text)


def add_trained_cells(parser: argparse.ArgumentParser) -> None:
    """Declare the files of trained cells, for `trained_cells` to read."""
    for option, content in (
        ("params", "params.safetensors"),
        ("metrics", "metrics.json"),
        ("measures", "prepared pair"),
    ):
        parser.add_argument(
            f"--{option}", type=Path, nargs="+", required=True, help=f"{content} of each cell"
        )


def trained_cells(args: argparse.Namespace) -> list[tuple[Path, Path, Path]]:
    """Return of each trained cell its parameters, its metrics and its prepared pair.

    Raises:
        InputError: there are not as many of each.
    """
    files = (args.params, args.metrics, args.measures)
    if len({len(paths) for paths in files}) > 1:
        raise InputError(f"expected as many --params, --metrics and --measures: {files}")
    return list(zip(*files, strict=True))


def add_table(parser: argparse.ArgumentParser, csv: str = "the same numbers, tidy") -> None:
    """Declare the files of a table; `csv` says what the second holds."""
    parser.add_argument("--tex", type=Path, required=True, help="table to write")
    parser.add_argument("--csv", type=Path, required=True, help=csv)


def add_picture(
    parser: argparse.ArgumentParser, pdf: str = "figure to write", png: str = "the same as PNG"
) -> None:
    """Declare the files of a figure, and what the help says of each."""
    parser.add_argument("--pdf", type=Path, required=True, help=pdf)
    parser.add_argument("--png", type=Path, required=True, help=png)

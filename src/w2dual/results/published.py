"""The values transcribed from the paper, in tables/published."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from w2dual.decimals import number
from w2dual.records import InputError
from w2dual.results.frames import read_csv

NUMBERS = {"dimension", "mean", "std", "factor"}
MAY_BE_EMPTY = {"mean", "std"}
"""Of a cell that diverged, or whose spread is not published."""


def read_published(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a file of tables/published.

    Raises:
        InputError: the file is missing, unreadable, lacks a column, or has a number that is none;
            the message names it.
    """
    frame = read_csv(path, columns, keep_default_na=False, na_values={"mean": [""], "std": [""]})
    _check_numbers(path)
    return frame


def _check_numbers(path: Path) -> None:
    """Check the numbers as text, since pandas takes what is none for words.

    Raises:
        InputError: one is none; the message names line and column.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        for row in reader:
            for column in NUMBERS & row.keys():
                text = row[column] or ""
                try:
                    if text or column not in MAY_BE_EMPTY:
                        number(text)
                except ValueError as error:
                    raise InputError(
                        f"{path}, line {reader.line_num}, column {column}: {error}"
                    ) from error


def published_cells(folder: Path, potential: str) -> pd.DataFrame:
    """Return the paper's values for a potential, or an empty frame for one it does not have."""
    columns = ["amortization", "solver", "dimension", "mean", "std", "diverged"]
    path = folder / f"hd_{potential}.csv"
    if not path.is_file() and folder.is_dir():
        return pd.DataFrame(columns=columns)
    return read_published(path, columns)

"""The values transcribed from the paper, in tables/published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from w2dual.records import InputError


def read_published(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a file of tables/published.

    Raises:
        InputError: the file is missing, unreadable or lacks a column; the message names it.
    """
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values={"mean": [""], "std": [""]})
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}: is not a readable CSV file: {error}") from error
    lacking = [column for column in columns if column not in frame.columns]
    if lacking:
        raise InputError(f"{path}: lacks the columns {', '.join(lacking)}")
    return frame


def published_cells(folder: Path, potential: str) -> pd.DataFrame:
    """Give the paper's values for a potential, or an empty frame for one it does not have."""
    columns = ["amortization", "solver", "dimension", "mean", "std", "diverged"]
    path = folder / f"hd_{potential}.csv"
    if not path.is_file() and folder.is_dir():
        return pd.DataFrame(columns=columns)
    return read_published(path, columns)

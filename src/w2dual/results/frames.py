"""CSV files with a header, as frames; or the reason why one cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.records import InputError, no_file


def read_csv(path: Path, columns: Sequence[str], **options: Any) -> pd.DataFrame:
    """Read a CSV file that has `columns`, and perhaps more.

    Args:
        path: the file, UTF-8, with a header.
        columns: those that it must have.
        options: of `pandas.read_csv`, such as what stands for a value that is missing.

    Raises:
        InputError: the file is missing, unreadable or lacks a column; the message names it.
    """
    try:
        frame = pd.read_csv(path, **options)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(no_file(path)) from error
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}: is not a readable CSV file: {error}") from error
    lacking = [column for column in columns if column not in frame.columns]
    if lacking:
        raise InputError(f"{path}: lacks the columns {', '.join(lacking)}")
    return frame

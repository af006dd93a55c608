"""The alignment of metrics that others have learned, from a user's copy of their weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from w2dual.decoding import decode
from w2dual.measures.snapshots import alignment, files, published
from w2dual.measures.snapshots.truths import TRUTHS
from w2dual.records import InputError, atomic_path, file_sha256

log = logging.getLogger(__name__)

COLUMNS = ("set", "alignment", "grid", "sha256")


@dataclass(frozen=True)
class Scored:
    """What one set's weights are scored by.

    Attributes:
        file: of the weights.
        truth: name of the true metric.
        bounds: lower and upper bound of each coordinate of the grid.
    """

    file: str
    truth: str
    bounds: tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Settings:
    """Of the study: the sets by name, and the points along each side of the grid."""

    sets: Mapping[str, Any]
    grid: int


def scores(record: Any) -> pd.DataFrame:
    """Return the alignment of each set's weights.

    Args:
        record: of `Settings`.

    Raises:
        InputError: it does not fit, or a file cannot be used.
    """
    settings = decode(Settings, record, "--settings")
    rows = []
    for name, entry in settings.sets.items():
        given = decode(Scored, entry, "--settings", f"sets.{name}")
        if given.truth not in TRUTHS:
            raise InputError(f"--settings: `sets.{name}.truth` is unknown: {given.truth!r}")
        low, high = (np.array(side) for side in zip(*given.bounds, strict=True))
        points = alignment.grid(low, high, settings.grid)
        layers = published.read(files.read_bytes(given.file), given.file)
        learned = published.directions(layers, points, given.file)
        true = np.asarray(TRUTHS[given.truth](jnp.asarray(points)))
        found = float(alignment.of_directions(true, learned))
        log.info("%s: %s is aligned by %.5f", name, given.file, found)
        rows.append((name, found, settings.grid, file_sha256(given.file)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write(record: Any, out: Path) -> None:
    """Write what `scores` returns as CSV."""
    frame = scores(record)
    with atomic_path(out) as partial:
        frame.to_csv(partial, index=False, lineterminator="\n")

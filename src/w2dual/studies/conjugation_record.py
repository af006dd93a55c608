"""What a study of conjugations found, and its file; light, for those who only draw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from w2dual.records import InputError, load_arrays, save_arrays

FORMAT = 1
STARTS = ("cold", "warm")
"""From y itself, and from x_tilde(y)."""
STREAM = "conjugation study"


@dataclass(frozen=True)
class Sample:
    """What L-BFGS did from one kind of start; a number for each point.

    Attributes:
        iterations: of the solver.
        gradient_norm: max|grad J_f| at the end.
        status: a `conjugate.Status`.
        start_gradient_norm: max|grad J_f| at the start.
        gap: J_f at the start minus the lowest J_f found for that point.
    """

    iterations: Int[np.ndarray, " points"]
    gradient_norm: Float[np.ndarray, " points"]
    status: Int[np.ndarray, " points"]
    start_gradient_norm: Float[np.ndarray, " points"]
    gap: Float[np.ndarray, " points"]


@dataclass(frozen=True)
class Study:
    """What the job found for one cell.

    Attributes:
        metadata: cell, preset, where its measures are from, seed, settings and provenance.
        values: J_f at each iterate by (solver, start), a row for each point, the start first; not
            a number beyond its last iterate.
        samples: by kind of start.
    """

    metadata: Mapping[str, Any]
    values: Mapping[tuple[str, str], Float[np.ndarray, "points iterates"]]
    samples: Mapping[str, Sample]

    @property
    def diverged(self) -> bool:
        """Whether every seed of the cell diverged, so that nothing could be studied."""
        return self.metadata["seed"] is None

    def normalised(self) -> dict[tuple[str, str], Float[np.ndarray, "points iterates"]]:
        """Return (J - min) / (max - min), over all values found for a point, as the paper does."""
        together = np.concatenate(list(self.values.values()), axis=1)
        low = np.nanmin(together, axis=1, keepdims=True)
        high = np.nanmax(together, axis=1, keepdims=True)
        extent = np.where(high > low, high - low, 1.0)
        return {key: (values - low) / extent for key, values in self.values.items()}


def write(path: Path, found: Study) -> None:
    """Write what the job found."""
    arrays = {f"values/{'/'.join(key)}": values for key, values in found.values.items()}
    for start, sample in found.samples.items():
        arrays |= {f"samples/{start}/{name}": array for name, array in vars(sample).items()}
    save_arrays(path, arrays, found.metadata)


def read(path: Path) -> Study:
    """Read what `write` wrote.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    arrays, metadata = load_arrays(path)
    if metadata.get("format") != FORMAT or metadata.get("kind") != STREAM:
        raise InputError(f"{path}: holds no conjugation study of format {FORMAT}")
    values: dict[tuple[str, str], Any] = {}
    samples: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        part, *rest = name.split("/")
        if part == "values":
            values[rest[0], rest[1]] = array
        else:
            samples.setdefault(rest[0], {})[rest[1]] = array
    return Study(metadata, values, {start: Sample(**fields) for start, fields in samples.items()})

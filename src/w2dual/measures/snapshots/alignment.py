"""How well a learned metric is aligned with the true one (Pooladian et al. 2024, table 2).

l_align is the mean over a grid of points and over the two eigenvectors, in the order of their
eigenvalues, of |<u_true, u_learned>|. On the plane both eigenvectors have the same product, so it
is the mean of |<v_true, v_learned>| of the two cheapest axes. 1 is the truth; axes of random
directions have 2/pi = 0.637.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from w2dual.records import InputError

CHANCE = 2 / np.pi
"""Of random directions."""


def grid(
    low: Float[np.ndarray, " 2"], high: Float[np.ndarray, " 2"], side: int
) -> Float[np.ndarray, "side*side 2"]:
    """Return side x side points of a rectangle, its edges included, in float32."""
    axes = [np.linspace(a, b, side, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def of_directions(
    true: Float[np.ndarray, "points 2"], learned: Float[np.ndarray, "*seeds points 2"]
) -> Float[np.ndarray, "*seeds"]:
    """Return the mean of |<v_true, v_learned>|, both brought to length 1; in float64.

    A direction of length 0 is along nothing, and counts 0.
    """
    return np.mean(np.abs(np.sum(_unit(true) * _unit(learned), axis=-1)), axis=-1)


def cheapest(metrics: Float[Any, "*points 2 2"], where: str) -> Float[np.ndarray, "*points 2"]:
    """Return the eigenvector of the smallest eigenvalue of each symmetric matrix.

    Raises:
        InputError: a matrix is no metric.
    """
    check(metrics, where)
    return np.linalg.eigh(np.asarray(metrics, np.float64))[1][..., :, 0]


def check(metrics: Float[Any, "*points 2 2"], where: str) -> None:
    """Check that matrices are metrics.

    Raises:
        InputError: one is not symmetric and positive.
    """
    matrices = np.asarray(metrics, np.float64)
    skew = np.abs(matrices - np.swapaxes(matrices, -1, -2)).max(initial=0.0)
    smallest = np.linalg.eigvalsh(matrices).min(initial=np.inf)
    if not (np.isfinite(matrices).all() and skew < 1e-5 and smallest > 0):
        raise InputError(
            f"{where}: is no metric: expected symmetric matrices with eigenvalues above 0, found "
            f"one with {smallest:.3g}, and {skew:.3g} between its halves"
        )


def _unit(vectors: Float[np.ndarray, "*points 2"]) -> Float[np.ndarray, "*points 2"]:
    wide = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1.0)

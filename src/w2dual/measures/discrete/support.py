"""Where the atoms of two discrete measures are, what moving mass costs, and how much entropy.

The points are fixed: of a law over pairs of such measures only the weights are drawn. Points of a
source measure are called rows, those of a target columns, after the cost matrix C.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import numpy as np
from jaxtyping import Array, Float

from w2dual.records import InputError


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Support:
    """Points of two measures with a cost between them.

    Attributes:
        rows: points of the source, [n_a, d].
        columns: points of the target, [n_b, d].
        cost: name of a cost of `w2dual.entropic.geometry`; static under `jit`.
        epsilon: weight of the entropy, in the unit of the cost; static.
        side: points along an axis, where both measures are on one square grid, row by row; static.
        cosine_margin: of the cost `sphere`, which is arccos(<x, y> / (1 + margin)); static.
    """

    rows: Float[Array | np.ndarray, "n_a d"]
    columns: Float[Array | np.ndarray, "n_b d"]
    cost: str = field(metadata={"static": True})
    epsilon: float = field(metadata={"static": True})
    side: int | None = field(default=None, metadata={"static": True})
    cosine_margin: float = field(default=0.0, metadata={"static": True})


def grid_points(side: int) -> Float[np.ndarray, "points 2"]:
    """Return a square grid of the unit square, as an image's pixels: row by row, the top first."""
    along = np.linspace(0.0, 1.0, side)
    x, y = np.meshgrid(along, along[::-1])
    return np.stack([x.ravel(), y.ravel()], axis=1)


def normalised(weights: Float[np.ndarray, "*batch n"], what: str) -> Float[np.ndarray, "*batch n"]:
    """Return weights that add up to 1.

    Args:
        weights: of measures, one a row.
        what: to name in the message.

    Raises:
        InputError: a weight is negative or not finite, or a measure has no mass.
    """
    weights = np.asarray(weights, np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError(f"{what}: holds a weight that is negative or not finite")
    mass = weights.sum(axis=-1, keepdims=True)
    if (mass == 0).any():
        empty = np.argwhere(mass[..., 0] == 0)
        place = f" {int(empty[0][0])}" if empty.size else ""
        raise InputError(f"{what}: measure{place} has no mass; expected a positive weight")
    return weights / mass

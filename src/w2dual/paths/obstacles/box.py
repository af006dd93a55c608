"""A box that paths go around: U = -M b(x_1) ... b(x_n), b being 1 within the half width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.paths.obstacles.base import Number, Points, band


@dataclass(frozen=True)
class Box:
    """The box around 0."""

    half_width: float
    WALLS: ClassVar[bool] = True

    def __call__(self, x: Points, strength: Number, temperature: Number) -> Float[Array, "*batch"]:
        """Return U(x)."""
        inside = band(x, -self.half_width, self.half_width, temperature)
        return -strength * jnp.prod(inside, axis=0)


def make(settings: Mapping[str, Any], dimension: int) -> Box:
    """Build the box from `half_width`."""
    del dimension
    return Box(**settings)

"""A harmonic well that draws paths in: U = -M ||x||^2. It has no edge, so no temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.paths.obstacles.base import Number, Points


@dataclass(frozen=True)
class Well:
    """The well around 0."""

    def __call__(self, x: Points, strength: Number, temperature: Number) -> Float[Array, "*batch"]:
        """Return U(x)."""
        del temperature
        return -strength * jnp.sum(x * x, axis=0)


def make(settings: Mapping[str, Any], dimension: int) -> Well:
    """Build the well; there are no settings."""
    del dimension
    return Well(**settings)

"""c(x, y) = 1/2 ||x - y||^2, whose optimal map is Brenier's (Brenier 1991)."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from w2dual.conjugate.costs.base import Lanes, Vectors


@dataclass(frozen=True)
class SquaredEuclidean:
    """The cost; the context is the other end point itself."""

    def value_and_gradient(self, x: Vectors, context: Vectors) -> tuple[Lanes, Vectors]:
        """Return 1/2 ||x - y||^2 and x - y."""
        difference = x - context
        return 0.5 * jnp.sum(difference**2, axis=0), difference

"""c(x, y) = -<x, y>: the cost of the convex conjugate (Amos 2023, eq. 3).

It is 1/2 ||x - y||^2 less a function of x and one of y.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from w2dual.conjugate.costs.base import Lanes, Vectors


@dataclass(frozen=True)
class InnerProduct:
    """The cost; the context is y itself."""

    def value_and_gradient(self, x: Vectors, context: Vectors) -> tuple[Lanes, Vectors]:
        """Return -<x, y> and -y."""
        return -jnp.sum(x * context, axis=0), -context

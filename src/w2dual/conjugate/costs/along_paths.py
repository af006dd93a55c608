"""c(x, y) = the least cost of a path from x to y, as a function of its end point y.

The path is what a network says, as published, or the best polyline near one that is known. The
gradient in y holds a network's path's deviation from the straight line fixed, and a polyline's
interior points. At the best path both are exact (the envelope theorem); at a network's, value and
gradient disagree by what it falls short.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.conjugate.costs.base import Cost, Lanes, Vectors
from w2dual.paths import polyline
from w2dual.paths.action import Interior, Lagrangian, joined, line


@dataclass(frozen=True, eq=False)
class Predicted:
    """The cost of the path that a network predicts; the context is x.

    Attributes:
        lagrangian: what a path costs.
        deviation: from x and y, coordinates first, to the interior points less those of the
            straight line.
    """

    lagrangian: Lagrangian
    deviation: Callable[[Vectors, Vectors], Interior]

    def value_and_gradient(self, x: Vectors, context: Vectors) -> tuple[Lanes, Vectors]:
        """Return the cost of the path from the context to x, and its gradient in x."""
        deviation, rule = self.deviation(context, x), self.lagrangian.rule
        return along(self.lagrangian, context, x, lambda y: line(context, y, rule) + deviation)


class Anchored(NamedTuple):
    """The context of `Polished`, coordinates first.

    Attributes:
        x: first points of the paths.
        interior: points of a path to a nearby end point, all their coordinates in one axis.
    """

    x: Float[Array, "n seeds lanes"]
    interior: Float[Array, "coordinates seeds lanes"]


@dataclass(frozen=True, eq=False)
class Polished:
    """The cost of the best path near a known one, found by some Newton steps.

    They start at the known path's interior points as they are. Its curvature says how far these
    follow the end point: hardly at a sharp edge, which a path that is moved along would enter.

    Attributes:
        lagrangian: what a path costs.
        steps: of Newton's method, each evaluation.
    """

    lagrangian: Lagrangian
    steps: int

    def value_and_gradient(self, x: Vectors, context: Anchored) -> tuple[Lanes, Vectors]:
        """Return the cost of the path from the context's point to x, and its gradient in x."""
        start = context.interior.reshape(-1, *x.shape)
        found = polyline.minimise(self.lagrangian, context.x, x, start, self.steps).interior
        return along(self.lagrangian, context.x, x, lambda _: found)


@dataclass(frozen=True, eq=False)
class Clipped:
    """Another cost at points that are clipped to a cube first, as published.

    Attributes:
        cost: the other.
        bound: half the side of the cube.
    """

    cost: Cost
    bound: float

    def value_and_gradient(self, x: Vectors, context: object) -> tuple[Lanes, Vectors]:
        """Return the cost at the clipped points; its gradient is 0 where a coordinate is cut."""
        value, gradient = self.cost.value_and_gradient(
            jnp.clip(x, -self.bound, self.bound), context
        )
        return value, jnp.where(jnp.abs(x) > self.bound, 0.0, gradient)


def along(
    lagrangian: Lagrangian, x: Vectors, y: Vectors, interior: Callable[[Vectors], Interior]
) -> tuple[Lanes, Vectors]:
    """Return the cost of paths, and its gradient in y; `interior` are their points by y."""

    def total(y: Vectors) -> tuple[Array, Lanes]:
        cost = lagrangian.cost(joined(x, interior(y), y))
        return jnp.sum(cost), cost

    gradient, value = jax.grad(total, has_aux=True)(y)
    return value, gradient

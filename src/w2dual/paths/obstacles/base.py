"""What an obstacle is, and how it is annealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Points = Float[Array, "n *batch"]
Number = Float[Array, ""] | float


class Obstacle(Protocol):
    """U(x) <= 0 at points, given how strong and how sharp it is.

    One that has `WALLS = True` is something that measures must be outside of.
    """

    def __call__(self, x: Points, strength: Number, temperature: Number) -> Float[Array, "*batch"]:
        """Return U(x).

        Args:
            x: points, coordinates first.
            strength: M, a factor of U.
            temperature: T, the width over which an edge rises; unused where there is no edge.
        """
        ...


def band(z: Array, low: float, high: float, temperature: Number) -> Array:
    """Return 1 for z between low and high, 0 outside: a difference of two logistic functions."""
    return jax.nn.sigmoid((z - low) / temperature) - jax.nn.sigmoid((z - high) / temperature)


class Strength(NamedTuple):
    """How strong and how sharp an obstacle is."""

    strength: Number
    temperature: Number


@dataclass(frozen=True)
class Annealing:
    """Strength and temperature by the step, each from a start to an end.

    Both move linearly in tau = sigmoid(10 (s - 1/2)) with s = step / steps. Where s is within 1e-3
    of 0 or 1, tau is that; after `steps` the ends stay. So the published code has it.
    """

    start: Strength
    end: Strength
    steps: int

    def at(self, step: Array | int) -> Strength:
        """Return both at a step; with no steps of annealing, the ends."""
        if self.steps == 0:
            return self.end
        s = jnp.asarray(step, jnp.float32) / self.steps
        tau = jax.nn.sigmoid(10.0 * (s - 0.5))
        tau = jnp.where(s < 1e-3, 0.0, jnp.where(s > 1 - 1e-3, 1.0, tau))
        return Strength(*(a + tau * (b - a) for a, b in zip(self.start, self.end, strict=True)))

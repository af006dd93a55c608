"""[MM-B]: the conjugate's argmin is sought among the batch, as some GANs do.

    1/2 mean(D(x) - D(x_hat(y))) + 1/2 mean(C(y) - C(y_hat(x))),
    x_hat(y) = the x of the batch with the largest <x, y> - D(x); y_hat(x) the same of C.

One step on D and C together, neither clamped. Source: MM-B_test_hd_benchmark.ipynb.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from w2dual.training.methods.base import Batches
from w2dual.training.methods.two_potentials import (
    Both,
    BothState,
    Losses,
    Points,
    TwoPotentials,
    common,
    own,
    whole,
)

NEEDS = ("potential",)
"""The parts of a cell's settings that it is made of."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind: none."""


@dataclass(frozen=True)
class BatchMaximin(TwoPotentials):
    """The method."""

    def train(
        self, state: BothState, batches: Batches, over: str | None
    ) -> tuple[Both, Both, Losses]:
        """Take one step on D and C together."""
        x, y = whole(batches.source(), over), whole(batches.target(), over)
        return self.step_both(self.loss, state, x, y, over=over)

    def loss(self, params: Both, x: Points, y: Points) -> tuple[Array, Losses]:
        """Return the loss of one seed, and its halves."""
        forward = 0.5 * one_sided(self.value(params.potential, x), x, y)
        backward = 0.5 * one_sided(self.value(params.inverse, y), y, x)
        return forward + backward, Losses(forward + backward, forward, backward)


def one_sided(values: Float[Array, " batch"], points: Points, others: Points) -> Float[Array, ""]:
    """Return mean f - mean f(x_hat), where x_hat is found among the points with the values f."""
    return jnp.mean(values) - jnp.mean(values[argmax(values, points, others)])


def argmax(values: Float[Array, " batch"], points: Points, others: Points) -> Int[Array, " batch"]:
    """Return for each other point y the index of the point x with the largest <x, y> - f(x).

    It is `jnp.argmax`, the first of equal ones, but five times as fast on a CPU, where a maximum
    and a minimum are vectorised and a maximum with its index is not.
    """
    scores = others @ points.T - values[None]
    largest = jnp.max(scores, axis=1, keepdims=True)
    last = len(points) - 1
    return jnp.min(jnp.where(scores == largest, jnp.arange(len(points)), last), axis=1)


def make(settings: Mapping[str, Any], dimension: int) -> BatchMaximin:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown or settings do not fit.
    """
    own(Settings, settings)
    return BatchMaximin(**common(settings, dimension))

"""[MM] and [MMv2]: D against a second potential C whose gradient finds the conjugate's argmin.

A step takes one step of D on mean(D(x) - D(xi)) with xi = grad C(y) held fixed, then `inner` steps
of C, each on fresh y, on mean(D(grad C(y)) - <grad C(y), y>), D held fixed. With convex potentials,
which are clamped, it is [MMv2] (Makkuva et al., ICML 2020); with others [MM] (Nhan Dam et al.,
IJCAI 2019, as the benchmark has it). Source: MM_test_hd_benchmark.ipynb, which has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array

from w2dual.training.methods.base import Batch, Batches, Params
from w2dual.training.methods.two_potentials import (
    Both,
    BothState,
    Losses,
    Points,
    TwoPotentials,
    common,
    own,
)

NEEDS = ("potential",)
"""The parts of a cell's settings that it is made of."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        inner: steps of C for one of D.
    """

    inner: int


@dataclass(frozen=True)
class Maximin(TwoPotentials):
    """The method."""

    inner: int

    def train(
        self, state: BothState, batches: Batches, over: str | None
    ) -> tuple[Both, Both, Losses]:
        """Take one step on D, then `inner` on C."""
        params, optimizer = state.params, state.optimizer
        x, y = batches.source(), batches.target()
        potential, potential_optimizer, outer = self.step_one(
            self.outer_loss, params.potential, optimizer.potential, params.inverse, x, y, over=over
        )

        def advance(index: Array, carry: tuple[Params, Any, Array]) -> tuple[Params, Any, Array]:
            inverse, state, _ = carry
            return self.inner_step(inverse, state, potential, batches.target(index + 1), over)

        start = (params.inverse, optimizer.inverse, jnp.zeros_like(outer))
        inverse, inverse_optimizer, inner = jax.lax.fori_loop(0, self.inner, advance, start)
        return (
            Both(potential, inverse),
            Both(potential_optimizer, inverse_optimizer),
            Losses(outer, outer, inner),
        )

    def outer_loss(
        self, potential: Params, inverse: Params, x: Points, y: Points
    ) -> tuple[Array, Array]:
        """Return D's loss of one seed, twice: as what is descended, and as its metric."""
        xi = stop_gradient(self.mapped(inverse, y))
        loss = jnp.mean(self.value(potential, x)) - jnp.mean(self.value(potential, xi))
        return loss, loss

    def mapped(self, inverse: Params, y: Points) -> Points:
        """Return the predicted argmins of one seed, grad C(y)."""
        return self.gradient(inverse, y)

    def inner_step(
        self, inverse: Params, optimizer: Any, potential: Params, y: Batch, over: str | None
    ) -> tuple[Params, Any, Array]:
        """Take one step on C; return its parameters, its optimiser's state and its loss."""
        return self.step_one(self.inner_loss, inverse, optimizer, potential, y, over=over)

    def inner_loss(self, inverse: Params, potential: Params, y: Points) -> tuple[Array, Any]:
        """Return C's loss of one seed, twice: as what is descended, and as its metric."""
        loss = self.inner_mean(potential, self.mapped(inverse, y), y)
        return loss, loss

    def inner_mean(self, potential: Params, xi: Points, y: Points) -> Array:
        """Return mean(D(xi) - <xi, y>) of one seed."""
        return jnp.mean(self.value(potential, xi) - jnp.sum(xi * y, axis=-1))


def make(settings: Mapping[str, Any], dimension: int) -> Maximin:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown or settings do not fit.
    """
    return Maximin(**common(settings, dimension), inner=own(Settings, settings).inner)

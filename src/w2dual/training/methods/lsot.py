"""[LS], LSOT: the dual with a quadratic penalty for its constraint, on independent pairs.

    mean(D(x) + C(y)) + mean max(<x, y> - D(x) - C(y), 0)^2 / (4 epsilon)

over x and y matched by their place in the batch; one step on D and C together, neither clamped.
Source: Seguy et al., ICLR 2018; LS_test_hd_benchmark.ipynb.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from w2dual.training.methods.two_potentials import (
    Both,
    JointStep,
    Losses,
    Points,
    common,
    own,
)

NEEDS = ("potential",)
"""The parts of a cell's settings that it is made of."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        epsilon: of the penalty.
    """

    epsilon: float


@dataclass(frozen=True)
class LSOT(JointStep):
    """The method."""

    epsilon: float

    def loss(self, params: Both, x: Points, y: Points) -> tuple[Array, Losses]:
        """Return the loss of one seed, and its parts: of the dual, and the penalty."""
        sums = self.value(params.potential, x) + self.value(params.inverse, y)
        dual = jnp.mean(sums)
        penalty = self.penalty(jnp.sum(x * y, axis=-1) - sums)
        return dual + penalty, Losses(dual + penalty, dual, penalty)

    def penalty(self, excess: Array) -> Array:
        """Return the penalty for <x, y> - D(x) - C(y), which may not be positive."""
        return jnp.mean(jax.nn.relu(excess) ** 2) / (4 * self.epsilon)


def make(settings: Mapping[str, Any], dimension: int) -> LSOT:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown or settings do not fit.
    """
    return LSOT(**common(settings, dimension), epsilon=own(Settings, settings).epsilon)

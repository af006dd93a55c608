"""[W2], W2GN: the dual with a second potential for the conjugate's gradient, tied by both cycles.

    mean(D(x) - D(xi)) + weight [mse(grad D(grad C(y)), y) + mse(grad C(grad D(x)), x)]

with xi = grad C(y) held fixed, mse averaged over batch and coordinates, weight n; one step on D and
C together, then both are clamped to be convex. It is what trains the benchmark's own pairs
(`measures.benchmark.generated`). Source: Korotin et al., ICLR 2021; W2_test_hd_benchmark.ipynb.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtyping import Array

from w2dual.measures.benchmark.generated import dual_and_cycle_losses
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
        weight: of the cycles.
    """

    weight: float


@dataclass(frozen=True)
class W2GN(JointStep):
    """The method."""

    weight: float

    def loss(self, params: Both, x: Points, y: Points) -> tuple[Array, Losses]:
        """Return the loss of one seed, and its parts: of the dual, and of the cycles, weighted."""
        dual, cycle = dual_and_cycle_losses(
            partial(self.value, params.potential),
            partial(self.gradient, params.potential),
            partial(self.gradient, params.inverse),
            x,
            y,
        )
        loss = dual + self.weight * cycle
        return loss, Losses(loss, dual, self.weight * cycle)


def make(settings: Mapping[str, Any], dimension: int) -> W2GN:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown or settings do not fit.
    """
    return W2GN(**common(settings, dimension), weight=own(Settings, settings).weight)

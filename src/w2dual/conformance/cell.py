"""What a method is tried on: the settings of a small cell, and the points of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

N, SEEDS, POINTS = 2, 2, 16
HIDDEN = (8, 8)
"""Widths of networks that are given none."""
SMALL: Mapping[str, Any] = {
    "seeds": list(range(SEEDS)),
    "training": {
        "batch_size": POINTS,
        "iterations": 100,
        "learning_rate": 1e-3,
        "final_learning_rate_factor": 1.0,
        "b1": 0.5,
        "b2": 0.5,
        "weight_decay": 0.0,
        "divergence_loss": 1e5,
        "divergence_every": 1,
    },
    "pretraining": {
        "iterations": 10,
        "learning_rate": 1e-3,
        "bound": 2.0,
        "tolerance": 1e-6,
        "min_iterations": 1,
    },
    "evaluation": {"samples": POINTS, "history_every": 1, "history_samples": POINTS},
    "logging": {"every": 1},
}
"""Settings of a cell that stand in where none are given."""


@dataclass(frozen=True)
class Drawn:
    """Points of a step (`methods.Batches`): of a normal law, and what an affine map makes of them.

    Attributes:
        keys: of each seed.
        step: number of the step.
        factor: of each seed's points, which makes them what they are not to be.
    """

    keys: Any
    step: Any
    factor: Any

    @property
    def pair(self) -> None:
        """There are no measures but these."""

    def source(self, index: Any = 0) -> Any:
        """Return a batch of the source."""
        return self._draw(2 * jnp.asarray(index))

    def target(self, index: Any = 0) -> Any:
        """Return a batch of the target."""
        return self.truth(self._draw(2 * jnp.asarray(index) + 1))

    def truth(self, x: Any) -> Any:
        """Map points as the optimal map does."""
        return 1.5 * x + 0.3

    def more_keys(self) -> Any:
        """Return keys for what else a step draws, one for each seed."""
        return jax.vmap(lambda key: jax.random.fold_in(key, self.step))(self.keys)[:, None]

    def _draw(self, index: Any) -> Any:
        def one(key: Any) -> Any:
            key = jax.random.fold_in(jax.random.fold_in(key, self.step), index)
            return jax.random.normal(key, (POINTS, N))

        return jax.vmap(one)(self.keys) * self.factor[:, None, None]

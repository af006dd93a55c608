"""After how many iterations and kernel products each tolerance was met, looking every so often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

NEVER = -1
"""The count of a tolerance that was not met."""


class Counts(NamedTuple):
    """Of one instance, or of many with leading axes; `NEVER` where a tolerance was not met."""

    iterations: Int[Array, "*batch looks tolerances"]
    products: Int[Array, "*batch looks tolerances"]


class Solution(NamedTuple):
    """Where a solver ended.

    Attributes:
        u: the potential over epsilon.
        error: of both marginals.
        iterations: done.
        counts: by tolerance.
    """

    u: Float[Array, "*batch n_a"]
    error: Float[Array, "*batch"]
    iterations: Int[Array, "*batch"]
    counts: Counts


@dataclass(frozen=True)
class Goal:
    """When a solver has come far enough.

    Attributes:
        tolerances: of the marginals' error, in descending order.
        every: how often the error is looked at, in iterations; published times looked every 10.
        max_iterations: iterations at most.
    """

    tolerances: tuple[float, ...]
    every: tuple[int, ...]
    max_iterations: int

    @staticmethod
    def of(tolerances: Sequence[float], every: Sequence[int], max_iterations: int) -> Goal:
        """Take the goal from lists."""
        return Goal(tuple(sorted(tolerances, reverse=True)), tuple(every), max_iterations)

    def start(self) -> Counts:
        """Return the counts before anything is done."""
        never = jnp.full((len(self.every), len(self.tolerances)), NEVER, jnp.int32)
        return Counts(never, never)

    def note(self, counts: Counts, error: Array, iteration: Array, products: Array) -> Counts:
        """Return the counts after an iteration of one instance."""
        looks = iteration % np.asarray(self.every) == 0
        met = looks[:, None] & (error <= np.asarray(self.tolerances))[None]
        new = met & (counts.iterations == NEVER)
        return Counts(
            jnp.where(new, iteration, counts.iterations),
            jnp.where(new, products, counts.products),
        )

    def open(self, counts: Counts, iteration: Array) -> Bool[Array, ""]:
        """Whether a tolerance is still to be met, and iterations are left."""
        return jnp.any(counts.iterations == NEVER) & (iteration < self.max_iterations)

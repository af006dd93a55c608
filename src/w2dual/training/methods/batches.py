"""The points of a step, which a method draws itself: as many batches as it needs, by their index.

Points have the shape (seeds, points, n).
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
from jaxtyping import Array, Float, Int, Key

Batch = Float[Array, "seeds batch n"]


class Batches(Protocol):
    """The points of one step. What is drawn depends on (seed, step, index) alone."""

    @property
    def pair(self) -> Any:
        """The measures (`measures.Pair`), for what they have besides points; None for none."""
        ...

    def source(self, index: int | Int[Array, ""] = 0) -> Batch:
        """Return a batch of the source; each index has its own."""
        ...

    def target(self, index: int | Int[Array, ""] = 0) -> Batch:
        """Return a batch of the target; each index has its own."""
        ...

    def truth(self, x: Batch) -> Batch:
        """Return T*(x), where the pair's optimal map is known."""
        ...

    def more_keys(self) -> Key[Array, "seeds parts"]:
        """Return keys for what else a step draws, one for each of as many parts of a batch."""
        ...


class Given(NamedTuple):
    """Points that are there already, as the points of a step."""

    x: Batch
    y: Batch

    @property
    def pair(self) -> None:
        """There are no measures: points alone were given."""

    def source(self, index: int | Int[Array, ""] = 0) -> Batch:
        """Return `x`, the one batch that there is."""
        return self._only(index, self.x)

    def target(self, index: int | Int[Array, ""] = 0) -> Batch:
        """Return `y`, the one batch that there is."""
        return self._only(index, self.y)

    def truth(self, x: Batch) -> Batch:
        """Say that it is not known.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"points that were given have no optimal map to push {x.shape} by")

    def more_keys(self) -> Key[Array, "seeds parts"]:
        """Return the same keys at each call, one for each seed."""
        return jax.random.split(jax.random.key(0), (len(self.x), 1))

    @staticmethod
    def _only(index: int | Int[Array, ""], points: Batch) -> Batch:
        if not isinstance(index, int) or index != 0:
            raise ValueError(f"batch {index}: one batch was given, which has the index 0")
        return points


class Swapped(NamedTuple):
    """Points of one step with source and target in each other's place."""

    batches: Batches

    @property
    def pair(self) -> Any:
        """The measures, which are not swapped."""
        return self.batches.pair

    def source(self, index: int | Int[Array, ""] = 0) -> Batch:
        """Return a batch of what is the target."""
        return self.batches.target(index)

    def target(self, index: int | Int[Array, ""] = 0) -> Batch:
        """Return a batch of what is the source."""
        return self.batches.source(index)

    def truth(self, x: Batch) -> Batch:
        """Say that it is not known: it is the inverse of the pair's.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"the inverse of the optimal map is not known at points {x.shape}")

    def more_keys(self) -> Key[Array, "seeds parts"]:
        """Return keys for what else a step draws."""
        return self.batches.more_keys()

"""Batches drawn on the host, step by step, as programs do whose data loader is not part of JAX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class HostSampler:
    """Draws the source mixture with NumPy; the target is the source pushed by T* on the device."""

    def __init__(self, pair: Any, batch_size: int, seed: int) -> None:
        """Take the source's mixture to the host."""
        self.pair = pair
        self.batch_size = batch_size
        self.generator = np.random.default_rng(seed)
        self.centers, self.maps, self.std = (np.asarray(part) for part in pair.source)
        self._push = jax.jit(lambda pair, x: pair.ground_truth(x))

    def _mixture(self) -> Float[np.ndarray, "batch n"]:
        shape = (self.batch_size, self.pair.dimension)
        component = self.generator.integers(len(self.centers), size=self.batch_size)
        noise = self.generator.standard_normal(shape, np.float32)
        points = np.empty_like(noise)
        for k, (center, matrix) in enumerate(zip(self.centers, self.maps, strict=True)):
            members = component == k
            points[members] = self.std * (noise[members] @ matrix.T) + center
        return points

    def source(self) -> Float[Array, "batch n"]:
        """Draw points of the source measure."""
        return jnp.asarray(self._mixture())

    def target(self) -> Float[Array, "batch n"]:
        """Draw points of the target measure."""
        return self._push(self.pair, self.source())

    def sources(self) -> Iterator[Float[Array, "batch n"]]:
        """Return batches of the source without end."""
        while True:
            yield self.source()

    def targets(self) -> Iterator[Float[Array, "batch n"]]:
        """Return batches of the target without end."""
        while True:
            yield self.target()

"""How the vectors of a block of points lie in a kernel's registers, and the sums over them.

A vector is a tuple of parts. In few dimensions each coordinate is a part of shape (points,); else
there is one part of shape (points, size), n filled up with zeros to what a product takes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

Vector = tuple[Any, ...]


@dataclass(frozen=True)
class Layout:
    """Vectors of a block of points.

    Attributes:
        points: of the block; a power of two.
        size: numbers of a vector: n, or with a tile a power of two that holds n.
        tile: whether a vector is one part.
        dtype: of all numbers; a GPU's tensor cores want float32.
    """

    points: int
    size: int
    tile: bool
    dtype: Any = np.dtype(np.float32)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return float(np.finfo(self.dtype).max)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a part."""
        return (self.points, self.size) if self.tile else (self.points,)

    @property
    def parts(self) -> int:
        """Number of parts of a vector."""
        return 1 if self.tile else self.size

    def read(self, ref: Any) -> Vector:
        """Load a vector for each point from a block of shape (points, size)."""
        return (ref[...],) if self.tile else tuple(ref[:, i] for i in range(self.size))

    def write(self, ref: Any, vector: Vector) -> None:
        """Store what `read` loads."""
        if self.tile:
            ref[...] = vector[0]
        else:
            for i, part in enumerate(vector):
                ref[:, i] = part

    def zeros(self) -> Vector:
        """Return the zero vector of each point."""
        return tuple(jnp.zeros(self.shape, self.dtype) for _ in range(self.parts))

    def spread(self, numbers: Any) -> Any:
        """Shape a number of each point so that a part can be multiplied by it."""
        return numbers[:, None] if self.tile else numbers

    def sum(self, vector: Vector) -> Any:
        """Sum the coordinates."""
        return jnp.sum(vector[0], axis=1) if self.tile else functools.reduce(jnp.add, vector)

    def inner(self, u: Vector, v: Vector) -> Any:
        """Inner product of each point."""
        return self.sum(each(lambda p, q: p * q, u, v))

    def scaled(self, numbers: Any, v: Vector) -> Vector:
        """Return c v."""
        return each(lambda p: self.spread(numbers) * p, v)

    def added(self, numbers: Any, u: Vector, v: Vector) -> Vector:
        """Return c u + v."""
        return each(lambda p, q: self.spread(numbers) * p + q, u, v)

    def choose(self, pick: Any, new: Vector, old: Vector) -> Vector:
        """Take the new vector of the points where `pick` says so."""
        return each(lambda p, q: jnp.where(self.spread(pick), p, q), new, old)

    def max_norm(self, vector: Vector) -> Any:
        """Largest absolute coordinate; infinite where one is not finite."""
        sizes = each(jnp.abs, vector)
        sizes = each(lambda p: jnp.where(p <= self.largest, p, float("inf")), sizes)
        return jnp.max(sizes[0], axis=1) if self.tile else functools.reduce(jnp.maximum, sizes)

    def addresses(self, slots: Any) -> list[tuple[Any, ...]]:
        """Return the indices of each part in a block of shape (slots, *one slot)."""
        if self.tile:
            rows = lax.broadcasted_iota(jnp.int32, self.shape, 0)
            columns = lax.broadcasted_iota(jnp.int32, self.shape, 1)
            return [(self.wide(slots), rows, columns)]
        lanes = lax.iota(jnp.int32, self.points)
        return [(slots, jnp.full(self.shape, i, jnp.int32), lanes) for i in range(self.size)]

    @property
    def slot(self) -> tuple[int, int]:
        """Shape of a slot that `addresses` points into."""
        return self.shape if self.tile else (self.size, self.points)  # pyright: ignore[reportReturnType]

    def wide(self, numbers: Any) -> Any:
        """Repeat a number of each point for all numbers of a part."""
        return jnp.broadcast_to(self.spread(numbers), self.shape)


def each(function: Callable[..., Any], *vectors: Vector) -> Vector:
    """Apply a function to the parts of vectors."""
    return tuple(function(*parts) for parts in zip(*vectors, strict=True))

"""Matrices within a kernel for a GPU, whose sides are powers of two (Pallas, lowered by Triton).

The weights of a network are one vector, matrix after matrix, so that neither XLA nor a kernel has
to copy, pad or transpose them: what is beyond a matrix is loaded as zeros, and not stored.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from w2dual.conjugate.kernels.pallas import pl, triton

SMALLEST = 16
"""The least side of a product on tensor cores."""
PRECISION = lax.DotAlgorithmPreset.TF32_TF32_F32_X3
"""Three products of TF32 for one of float32: all its digits, on tensor cores."""


def padded(size: int) -> int:
    """Return the least power of two that holds `size`, and is large enough for a product."""
    return max(SMALLEST, 1 << (size - 1).bit_length())


def interpreted() -> bool:
    """Whether kernels are run by JAX's interpreter: so they are where there is no GPU, in tests."""
    return jax.default_backend() != "gpu"


class Matrix(NamedTuple):
    """A matrix within a vector, row after row; one of one row is a vector."""

    start: int
    rows: int
    columns: int

    def load(self, ref: Any, transposed: bool = False) -> Any:
        """Load it, or its transpose."""
        indices, mask = self._indices(transposed)
        return triton.load(ref.at[indices], mask=mask, other=0.0)

    def store(self, ref: Any, numbers: Any) -> None:
        """Store it."""
        indices, mask = self._indices(False)
        triton.store(ref.at[indices], numbers, mask=mask)

    def load_row(self, ref: Any) -> Any:
        """Load its only row, of shape (1, columns)."""
        indices, mask = self._row()
        return triton.load(ref.at[indices], mask=mask, other=0.0)[None, :]

    def store_row(self, ref: Any, numbers: Any) -> None:
        """Store its only row, of shape (columns,)."""
        indices, mask = self._row()
        triton.store(ref.at[indices], numbers, mask=mask)

    def _row(self) -> tuple[Any, Any]:
        columns = lax.iota(jnp.int32, padded(self.columns))
        return self.start + columns, columns < self.columns

    def _indices(self, transposed: bool) -> tuple[Any, Any]:
        shape = (padded(self.rows), padded(self.columns))
        shape, axis = (shape[::-1], 1) if transposed else (shape, 0)
        rows = lax.broadcasted_iota(jnp.int32, shape, axis)
        columns = lax.broadcasted_iota(jnp.int32, shape, 1 - axis)
        mask = (rows < self.rows) & (columns < self.columns)
        return self.start + rows * self.columns + columns, mask


def product(a: Any, b: Any, transposed: bool = False) -> Any:
    """Return a b, or a' b, with all digits of float32."""
    precision = lax.Precision.HIGHEST if interpreted() else PRECISION
    over = (((0 if transposed else 1,), (0,)), ((), ()))
    return lax.dot_general(a, b, over, precision=precision, preferred_element_type=a.dtype)


def load_points(ref: Any, count: int, axis: int) -> Any:
    """Load a program's points.

    Args:
        ref: to all points, of shape (points, n).
        count: points of a program, a power of two.
        axis: of the grid, along which programs share the points.
    """
    indices, mask = _points(ref, count, axis)
    return triton.load(ref.at[indices], mask=mask, other=0.0)


def store_points(ref: Any, count: int, axis: int, numbers: Any) -> None:
    """Store what `load_points` loads."""
    indices, mask = _points(ref, count, axis)
    triton.store(ref.at[indices], numbers, mask=mask)


def _points(ref: Any, count: int, axis: int) -> tuple[tuple[Any, Any], Any]:
    points, size = ref.shape
    shape = (count, padded(size))
    rows = lax.broadcasted_iota(jnp.int32, shape, 0) + pl.program_id(axis) * count
    columns = lax.broadcasted_iota(jnp.int32, shape, 1)
    return (rows, columns), (rows < points) & (columns < size)

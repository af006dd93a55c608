"""T* of the benchmark by one kernel on a GPU: the gradient of a sum of DenseICNNs.

XLA makes a dozen operations of it, each of which waits for the one before. Here a program takes
some points through all layers of one potential (see `icnn_dense` for the formula).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float

from w2dual import blocks
from w2dual.blocks import Matrix, product
from w2dual.measures.benchmark.icnn_dense import DenseICNN, celu

LARGEST_WIDTH = 64
"""Up to which a kernel pays; beyond, arithmetic costs more than launches."""
POINTS = 32
WARPS = 4
"""With `POINTS`, the fewest spills of those tried at n = 16: a kilobyte a thread."""


class Places(NamedTuple):
    """Where one potential's weights are."""

    quad: tuple[Matrix, ...]
    linear: tuple[Matrix, ...]
    bias: tuple[Matrix, ...]
    convex: tuple[Matrix, ...]
    final: Matrix


def fits(stacked: DenseICNN) -> bool:
    """Whether a kernel pays for potentials."""
    return max(leaf.shape[-1] for leaf in jax.tree.leaves(stacked)) <= LARGEST_WIDTH


def pack(stacked: DenseICNN) -> Float[Array, "potentials numbers"]:
    """Return the weights of each of stacked potentials as one vector."""
    leaves = jax.tree.leaves(stacked)
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


def push(
    stacked: DenseICNN, weights: Float[Array, "potentials numbers"], x: Float[Array, "batch n"]
) -> Float[Array, "batch n"]:
    """Map points by the gradient of the sum of potentials without their quadratic terms.

    Args:
        stacked: the potentials, for their shapes.
        weights: as of `pack`.
        x: points.
    """
    count, numbers = weights.shape
    of_each = pl.pallas_call(
        partial(_kernel, _places(stacked)),
        grid=(math.ceil(len(x) / POINTS), count),
        in_specs=[
            pl.BlockSpec((None, numbers), lambda b, k: (k, 0)),
            pl.BlockSpec(x.shape, lambda b, k: (0, 0)),
        ],
        out_specs=pl.BlockSpec((None, *x.shape), lambda b, k: (k, 0, 0)),
        out_shape=jax.ShapeDtypeStruct((count, *x.shape), x.dtype),
        compiler_params=triton.CompilerParams(num_warps=WARPS, num_stages=1),
        interpret=blocks.interpreted(),
        name="push_truth",
    )(weights, x)
    return jnp.sum(of_each, axis=0)


def _places(stacked: DenseICNN) -> Places:
    start, matrices = 0, []
    leaves, shape = jax.tree.flatten(stacked)
    for leaf in leaves:
        rows, columns = (1, *leaf.shape[1:])[-2:]
        matrices.append(Matrix(start, rows, columns))
        start += rows * columns
    return Places(*jax.tree.unflatten(shape, matrices))


def _kernel(at: Places, weights: Any, x_ref: Any, out: Any) -> None:
    x = blocks.load_points(x_ref, POINTS, 0)
    blocks.store_points(out, POINTS, 0, _gradient(at, weights, x))


def _gradient(at: Places, weights: Any, x: Any) -> Any:
    def skip(i: int) -> Any:
        quadratic = product(x, at.quad[i].load(weights))
        linear = product(x, at.linear[i].load(weights, transposed=True))
        return quadratic * quadratic + linear + at.bias[i].load_row(weights)

    hidden = [skip(0)]
    for i, convex in enumerate(at.convex, start=1):
        inputs = product(hidden[-1], convex.load(weights, transposed=True)) + skip(i)
        hidden.append(celu(inputs))
    # From its value, the derivative of an activation is 1 or the value + 1.
    d = at.final.load_row(weights) * _slope(hidden[-1])
    gradient = jnp.zeros_like(x)
    for i in reversed(range(len(hidden))):
        quad = at.quad[i]
        curved = 2.0 * d * product(x, quad.load(weights))  # again: it costs less than a register
        gradient = gradient + product(curved, quad.load(weights, transposed=True))
        gradient = gradient + product(d, at.linear[i].load(weights))
        if i:
            d = product(d, at.convex[i - 1].load(weights))
            d = d * _slope(hidden[i - 1]) if i > 1 else d
    return gradient


def _slope(value: Any) -> Any:
    return jnp.where(value > 0, 1.0, value + 1.0)

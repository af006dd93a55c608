"""Problems with known answers, on which a conjugate solver is tried: J(x) of each point its own.

J(x) = 1/2 x^T Q x + w log sum exp(B x) + <c, x>, whose minimiser is -Q^-1 c where w is 0, and else
SciPy's in double precision. Some points are there to see what a solver does where there is no
answer: J is linear, its gradient has the wrong sign, or the start is not a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

from w2dual.conjugate.costs.base import Lanes, Vectors

SEEDS, POINTS, N = 2, 12, 3
LINEAR, ASCENT, NOT_A_NUMBER = 9, 10, 11
SOLVABLE = 9
"""The first points of each seed have a minimiser: five quadratics, then four with w = 1."""
QUADRATICS = 5
CURVATURES = (0.5, 1.0, 2.0)
"""Eigenvalues of Q; the least bounds how far from the minimiser a small gradient can be."""
DIRECTIONS = np.array([[1.0, 0, 0], [-1, 1, 0], [0, -1, 1], [0, 0, -1]], np.float32)
"""B."""


class Context(NamedTuple):
    """What defines J of a point: arrays with coordinates last, or first within a solver's loop."""

    matrix: Any
    offset: Any
    weight: Any
    factor: Any


@dataclass(frozen=True)
class Problems:
    """J as a cost, of which the context is the point's own; f is 0."""

    def value_and_gradient(self, x: Vectors, context: Context) -> tuple[Lanes, Vectors]:
        """Return J(x) and its gradient times the context's factor, for each lane."""
        directions = jnp.asarray(DIRECTIONS, x.dtype)
        product = jnp.sum(context.matrix.reshape(N, *x.shape) * x[None], axis=1)
        weight, factor = context.weight[0], context.factor[0]
        ridges = jnp.tensordot(directions, x, 1)
        slope = jnp.tensordot(directions.T, jax.nn.softmax(ridges, axis=0), 1)
        value = jnp.sum((0.5 * product + context.offset) * x, axis=0)
        value = value + weight * jax.nn.logsumexp(ridges, axis=0)
        return value, factor[None] * (product + context.offset + weight[None] * slope)


def zero(x: Float[Array, "seeds lanes n"]) -> tuple[Array, Array]:
    """Return f = 0 and its gradient."""
    return jnp.zeros(x.shape[:-1], x.dtype), jnp.zeros_like(x)


class Trial(NamedTuple):
    """What a solver is tried on.

    Attributes:
        context: of each point, leaves of shape (seeds, points, any number).
        start: (seeds, points, n).
        answer: the minimisers of the solvable points, (seeds, SOLVABLE, n), in double precision.
    """

    context: Context
    start: Float[np.ndarray, "seeds points n"]
    answer: Float[np.ndarray, "seeds solvable n"]


def trial(seed: int = 0) -> Trial:
    """Draw the points. Each start is within about 1 of its minimiser, in each coordinate."""
    generator = np.random.default_rng(seed)
    shape = (SEEDS, POINTS)
    axes, _ = np.linalg.qr(generator.normal(size=(*shape, N, N)))
    matrix = (axes * np.array(CURVATURES)) @ np.swapaxes(axes, -1, -2)
    offset = generator.normal(size=(*shape, N))
    weight, factor = np.zeros((*shape, 1)), np.ones((*shape, 1))
    weight[:, QUADRATICS:SOLVABLE] = 1.0
    matrix[:, LINEAR] = 0.0
    offset[:, LINEAR] = 1.0
    factor[:, ASCENT] = -1.0
    answer = -np.linalg.solve(matrix[:, :SOLVABLE], offset[:, :SOLVABLE, :, None])[..., 0]
    for place in np.ndindex(SEEDS, SOLVABLE):
        if weight[place] > 0:
            answer[place] = _minimum(matrix[place], offset[place], answer[place])
    start = generator.uniform(0.5, 1.0, (*shape, N)) * generator.choice([-1.0, 1.0], (*shape, N))
    start[:, :SOLVABLE] += answer
    start[:, 0] = answer[:, 0]  # where nothing is left to do
    start[:, NOT_A_NUMBER] = np.nan
    context = Context(matrix.reshape(*shape, N * N), offset, weight, factor)
    single = Context(*(leaf.astype(np.float32) for leaf in context))
    return Trial(single, start.astype(np.float32), answer)


def exactly(context: Context, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return J and its gradient in double precision; leaves and x with coordinates last."""
    matrix, offset, weight, factor = (np.asarray(leaf, np.float64) for leaf in context)
    x = np.asarray(x, np.float64)
    product = (matrix.reshape(*x.shape, N) @ x[..., None])[..., 0]
    ridges = x @ DIRECTIONS.T
    top = ridges.max(axis=-1, keepdims=True)
    powers = np.exp(ridges - top)
    total = powers.sum(axis=-1, keepdims=True)
    value = np.sum((0.5 * product + offset) * x, axis=-1)
    value = value + (weight * (top + np.log(total)))[..., 0]
    return value, factor * (product + offset + weight * (powers / total) @ DIRECTIONS)


def _minimum(matrix: np.ndarray, offset: np.ndarray, start: np.ndarray) -> np.ndarray:
    context = Context(matrix.reshape(-1), offset, np.ones(1), np.ones(1))
    found = scipy.optimize.minimize(
        lambda x: exactly(context, x), start, jac=True, method="BFGS", options={"gtol": 1e-9}
    )
    return found.x

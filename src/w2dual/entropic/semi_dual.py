"""The semi-dual of entropic transport, its gradient and its Hessian (Cuturi and Peyre 2016).

With u = f/eps, v(u) as below and P_ij = exp(u_i - C_ij/eps + v_j):

    D(u)/eps = <u, a> + <v(u), b>;   gradient a - P 1;   Hessian -(diag(P 1) - P diag(1/b) P')

The column marginal of P is b whatever u is, so that the error of both marginals is ||a - P 1||_1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.entropic.geometry import NOTHING, Columns, Geometry, Rows


class Evaluation(NamedTuple):
    """Value of the semi-dual over eps, and its gradient: two kernel products."""

    value: Float[Array, ""]
    gradient: Rows

    @property
    def error(self) -> Float[Array, ""]:
        """||a - P 1||_1."""
        return jnp.sum(jnp.abs(self.gradient))


def log_weights(weights: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return log weights, `NOTHING` where there is none."""
    return jnp.where(weights > 0, jnp.log(jnp.where(weights > 0, weights, 1.0)), NOTHING)


def masked(u: Rows, a: Rows) -> Rows:
    """Return a potential that is `NOTHING` where there is no mass."""
    return jnp.where(a > 0, u, NOTHING)


def optimal_v(geometry: Geometry, u: Rows, b: Columns) -> Columns:
    """Return v(u) = log b - log sum_i exp(u_i - C_ij/eps)."""
    return log_weights(b) - geometry.over_rows(u)


def value(geometry: Geometry, u: Rows, a: Rows, b: Columns) -> Float[Array, ""]:
    """Return <u, a> + <v(u), b>: one kernel product. Where a weight is 0, 0 is added."""
    return linear(u, a) + linear(optimal_v(geometry, u, b), b)


def linear(u: Rows, a: Rows) -> Float[Array, ""]:
    """Return <u, a>, to which a point without mass adds nothing."""
    return jnp.sum(jnp.where(a > 0, u, 0.0) * a)


def relative_entropy_form(geometry: Geometry, u: Rows, a: Rows, b: Columns) -> Float[Array, ""]:
    """Return the value less <log a, a> + <log b, b>: the optimum is the cost with KL, over eps."""
    entropies = linear(log_weights(a), a) + linear(log_weights(b), b)
    return value(geometry, u, a, b) - entropies


def evaluate(geometry: Geometry, u: Rows, a: Rows, b: Columns) -> Evaluation:
    """Return value and gradient, which needs no automatic differentiation."""
    v = optimal_v(geometry, u, b)
    rows = jnp.exp(u + geometry.over_columns(v))
    return Evaluation(linear(u, a) + linear(v, b), a - rows)


def plan(geometry: Geometry, u: Rows, b: Columns) -> Float[Array, "n_a n_b"]:
    """Return P, whose column marginal is b."""
    v = optimal_v(geometry, u, b)
    return jnp.exp(u[:, None] - geometry.scaled_cost() + v[None])


def hessian(geometry: Geometry, u: Rows, b: Columns) -> Float[Array, "n_a n_a"]:
    """Return the Hessian of the value; its null vector is the constant."""
    p = plan(geometry, u, b)
    scaled = p / jnp.where(b > 0, b, 1.0)[None]
    return scaled @ p.T - jnp.diag(jnp.sum(p, axis=1))


def cooling(geometry: Geometry, u: Rows, b: Columns) -> Rows:
    """Return -d(P 1) / d log eps with f = eps u held fixed: one kernel product.

    It is sum_j P_ij (m_ij - <m>_j), where m = u - C/eps, and <m>_j its mean over column j of P.
    """
    p = plan(geometry, u, b)
    m = u[:, None] - geometry.scaled_cost()
    mean = jnp.sum(p * m, axis=0) / jnp.where(b > 0, b, 1.0)
    return jnp.sum(p * (m - mean[None]), axis=1)

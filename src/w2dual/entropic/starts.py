"""What a solver of entropic transport starts from; a potential over epsilon, u = f/eps.

The Gaussian start is that of Thornton and Cuturi 2022: the potential that is optimal between the
normal laws with the measures' moments, for the squared distance. Published runs take it for other
costs too, with the points as they are.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.entropic.geometry import Columns, Rows
from w2dual.measures.discrete.support import Support


def zeros(a: Rows) -> Rows:
    """Return f = 0."""
    return jnp.zeros_like(a)


def gaussian(support: Support, a: Rows, b: Columns) -> Rows:
    """Return the potential between the normal laws with the measures' moments, over epsilon.

    f(x) = ||x||^2 - (x - m_a)' T (x - m_a) - 2 <m_b, x> less its mean over all rows, where T is the
    symmetric matrix with T S_a T = S_b. Covariances have the correction for weighted samples, as
    OTT's have.

    Args:
        support: points and epsilon.
        a: weights of the source.
        b: weights of the target.
    """
    x = jnp.asarray(support.rows, a.dtype)
    mean_a, cov_a = _moments(x, a)
    mean_b, cov_b = _moments(jnp.asarray(support.columns, b.dtype), b)
    root = _power(cov_a, 0.5)
    inverse = _power(cov_a, -0.5)
    slope = inverse @ _power(root @ cov_b @ root, 0.5) @ inverse
    centred = x - mean_a[None]
    bent = jnp.sum((centred @ slope) * centred, axis=1)
    f = jnp.sum(x * x, axis=1) - bent - 2.0 * (x @ mean_b)
    return (f - jnp.mean(f)) / support.epsilon


def _moments(
    x: Float[Array, "n d"], weights: Float[Array, " n"]
) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    mean = weights @ x
    centred = x - mean[None]
    cov = (centred * weights[:, None]).T @ centred
    spread = 1.0 - jnp.sum(weights**2)
    # A measure on one point alone has no spread: its covariance is 0, whatever it is divided by.
    return mean, cov / jnp.where(spread > 0, spread, 1.0)


def _power(matrix: Float[Array, "d d"], power: float) -> Float[Array, "d d"]:
    """Return a power of a symmetric matrix; directions without spread have that of a tiny one."""
    values, vectors = jnp.linalg.eigh(matrix)
    least = 1e-3 * jnp.finfo(matrix.dtype).eps ** 0.5
    powers = jnp.maximum(values, least) ** power
    return (vectors * powers[None]) @ vectors.T

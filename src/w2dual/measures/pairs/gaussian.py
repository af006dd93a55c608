"""A closed-form pair: Gaussian to Gaussian, whose optimal map is linear.

For tests and quick checks: T*(x) = A (x - m1) + m2 = A x + b with A the Bures matrix, so that
every quantity the metrics need is exact. The target's scale is part of the pair; the map is the
same standardised and unstandardised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.measures import base, linear
from w2dual.measures.base import FORMAT, Moments, SolvedPair

KIND = "gaussian"


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class GaussianPair(SolvedPair):
    """A Gaussian source m1 + R e, e standard normal, and the map T*(x) = A x + b.

    Attributes:
        mean: m1.
        root: R, with R R^T the source's covariance.
        matrix: A, symmetric positive definite.
        offset: b.
    """

    mean: Float[Array, " n"]
    root: Float[Array, "n n"]
    matrix: Float[Array, "n n"]
    offset: Float[Array, " n"]

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw points of the Gaussian source."""
        noise = jax.random.normal(key, (size, self.dimension), self.mean.dtype)
        return _affine(noise, self.root, self.mean)

    def ground_truth(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Map points by T*(x) = A x + b."""
        return _affine(x, self.matrix, self.offset)

    def ground_truth_unstandardised(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Map points by T* itself: nothing is standardised in this pair."""
        return self.ground_truth(x)


def _affine(
    x: Float[Array, "*batch n"], matrix: Float[Array, "n n"], offset: Float[Array, " n"]
) -> Float[Array, "*batch n"]:
    mapped = jnp.matmul(x, matrix.T, precision=jax.lax.Precision.HIGHEST)
    return mapped + jnp.broadcast_to(offset, x.shape)


def draw(dimension: int, seed: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Draw a pair of Gaussians; return it as a prepared file's arrays and metadata.

    Means are N(0, 1/4); covariances have random axes and standard deviations log-uniform in
    [1/2, 2], so that both are well conditioned and far from each other.
    """
    generator = np.random.default_rng(seed)
    means, roots = [], []
    for _ in range(2):
        axes, _ = np.linalg.qr(generator.normal(size=(dimension, dimension)))
        deviations = 2.0 ** generator.uniform(-1.0, 1.0, size=dimension)
        means.append(0.5 * generator.normal(size=dimension))
        roots.append((axes * deviations) @ axes.T)
    cov_source, cov_target = (item @ item.T for item in roots)
    matrix = linear.bures_matrix(cov_source, cov_target)
    offset = means[1] - matrix @ means[0]
    # E||x - T*(x)||^2 = ||m1 - m2||^2 + tr S1 + tr S2 - 2 tr(A S1).
    squared = np.sum((means[0] - means[1]) ** 2) + np.trace(cov_source) + np.trace(cov_target)
    moments = Moments(
        mean_source=means[0],
        cov_source=cov_source,
        mean_target=means[1],
        cov_target=cov_target,
        var_source=np.trace(cov_source),
        var_target=np.trace(cov_target),
        cost=0.5 * (squared - 2.0 * np.trace(matrix @ cov_source)),
    )
    single = {"mean": means[0], "root": roots[0], "matrix": matrix, "offset": offset}
    arrays = {key: np.asarray(item, np.float32) for key, item in single.items()}
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "pair": f"gaussian{dimension}",
        "dimension": dimension,
        "source": "closed form",
        "seed": seed,
    }
    return arrays | moments.to_arrays(), metadata


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> GaussianPair:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite.
    """
    n = base.dimension_of(metadata, name)
    wanted = {"mean": (n,), "root": (n, n), "matrix": (n, n), "offset": (n,)}
    return GaussianPair(
        dimension=n,
        moments=Moments.from_arrays(arrays, n, name),
        **base.float_arrays(arrays, wanted, name),
    )

"""The Gaussian mixtures of the Wasserstein-2 HD benchmark, and sampling from them in JAX.

Korotin et al., NeurIPS 2021, section 4.1 and the repository's RandomGaussianMixSampler: K equally
likely components c_k + s M_k e, e standard normal, s = 0.4. Centres and matrices come from NumPy's
legacy generator, in its order of draws, so that a seed names the published mixture.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

COMPONENT_STD = 0.4
"""Standard deviation of each coordinate of a component, before the common rescaling."""
SOURCE_SEED = 0
SOURCE_COMPONENTS = 3


class Mixture(NamedTuple):
    """Equally likely Gaussian components; all arrays divided by the common rescaling."""

    centers: Float[Array, "components n"]
    maps: Float[Array, "components n n"]
    std: Float[Array, ""]


def draw(dimension: int, components: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the centres [K, n] and matrices [K, n, n] of a benchmark mixture, float32.

    For each coordinate a permutation of {0, ..., K-1} places the centres, minus (K-1)/2; then K
    normal matrices follow, rows normalised. Both are divided by mult, with
    n mult^2 = mean ||centre||^2 + n std^2, which gives the mixture the total variance n.
    """
    generator = np.random.RandomState(seed)  # noqa: NPY002 -- the published draws are this one's
    centers = np.stack(
        [generator.choice(components, components, replace=False) for _ in range(dimension)], axis=1
    ).astype(np.float32)
    centers -= np.float32((components - 1) / 2)
    maps = generator.normal(size=(components, dimension, dimension)).astype(np.float32)
    maps /= np.sqrt(np.sum(maps**2, axis=2, keepdims=True))
    total = np.mean(np.sum(centers**2, axis=1)) + dimension * COMPONENT_STD**2
    mult = np.float32(np.sqrt(total / dimension))
    return centers / mult, maps / mult


def draw_source(dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the centres [3, n] and matrices [3, n, n] of the source measure, float32."""
    return draw(dimension, SOURCE_COMPONENTS, SOURCE_SEED)


def moments(
    centers: np.ndarray, maps: np.ndarray, std: float
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
    """Return the mixture's mean and covariance in closed form, float64."""
    centers, maps = centers.astype(np.float64), maps.astype(np.float64)
    mean = centers.mean(axis=0)
    offsets = centers - mean
    within = std**2 * np.einsum("kij,klj->il", maps, maps, optimize=True)
    return mean, (within + offsets.T @ offsets) / len(centers)


def sample(mixture: Mixture, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
    """Draw points of the mixture.

    A point's component masks its noise into one of K blocks, so that one product with the stacked
    matrices serves all components; gathering a matrix per point would take size n^2 numbers.
    """
    components, dimension = mixture.centers.shape
    component_key, noise_key = jax.random.split(key)
    component = jax.random.randint(component_key, (size,), 0, components)
    noise = jax.random.normal(noise_key, (size, dimension), mixture.maps.dtype)
    member = jax.nn.one_hot(component, components, dtype=mixture.maps.dtype)
    blocks = (member[:, :, None] * noise[:, None, :]).reshape(size, components * dimension)
    stacked = jnp.swapaxes(mixture.maps, 1, 2).reshape(components * dimension, dimension)
    highest = jax.lax.Precision.HIGHEST
    scattered = jnp.matmul(blocks, stacked, precision=highest)
    return mixture.std * scattered + jnp.matmul(member, mixture.centers, precision=highest)

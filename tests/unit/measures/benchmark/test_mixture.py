"""The benchmark's mixtures: NumPy's legacy draws, closed-form moments, and the sampler."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.measures.benchmark import mixture
from w2dual.measures.benchmark.mixture import Mixture


@pytest.fixture
def _global_generator_kept() -> Iterator[None]:
    state = np.random.get_state()
    yield
    np.random.set_state(state)


@pytest.mark.usefixtures("_global_generator_kept")
@pytest.mark.parametrize(("components", "seed"), [(3, 0), (10, 0xBADBEEF), (10, 0xC0FFEE)])
@pytest.mark.parametrize("n", [2, 4, 8, 16, 32, 64, 128])
def test_draws_equal_the_legacy_generators(n: int, components: int, seed: int):
    """Against the published order of draws through NumPy's global generator, to 1e-6."""
    np.random.seed(seed)
    places = [np.random.choice(list(range(components)), components, replace=False) for _ in "n" * n]
    centers = np.array(places, np.float64).T - (components - 1) / 2
    matrices = np.random.normal(size=(components, n, n))
    matrices = matrices / np.linalg.norm(matrices, axis=2, keepdims=True)
    mult = np.sqrt((np.mean(np.linalg.norm(centers, axis=1) ** 2) + n * 0.4**2) / n)

    drawn_centers, drawn_maps = mixture.draw(n, components, seed)

    assert drawn_centers.dtype == drawn_maps.dtype == np.float32
    np.testing.assert_allclose(drawn_centers, centers / mult, rtol=0, atol=1e-6)
    np.testing.assert_allclose(drawn_maps, matrices / mult, rtol=0, atol=1e-6)


def test_drawing_leaves_the_global_generator_alone():
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    mixture.draw(4, 3, 0)
    np.testing.assert_array_equal(before, np.random.get_state(legacy=False)["state"]["key"])


@pytest.mark.parametrize("n", [2, 16])
def test_total_variance_is_the_dimension(n: int):
    mean, cov = mixture.moments(*mixture.draw(n, 3, 0), std=mixture.COMPONENT_STD)
    np.testing.assert_allclose(mean, 0.0, atol=1e-7)  # float32 centres
    np.testing.assert_allclose(np.trace(cov), n, rtol=1e-6)


def test_samples_have_the_closed_forms_moments():
    centers, maps = mixture.draw(4, 10, 7)
    gaussians = Mixture(jnp.asarray(centers), jnp.asarray(maps), jnp.float32(0.4))
    points = np.asarray(mixture.sample(gaussians, jax.random.key(0), 200_000), np.float64)
    mean, cov = mixture.moments(centers, maps, 0.4)
    # Six standard errors of a mean over 200,000 points of standard deviation 1, about 0.013.
    np.testing.assert_allclose(points.mean(axis=0), mean, atol=0.014)
    np.testing.assert_allclose(np.cov(points.T), cov, atol=0.02)


def test_a_sample_is_component_matrix_times_noise_plus_its_centre():
    """With a standard deviation of 0 only centres are left, and each comes up equally often."""
    centers, maps = mixture.draw(3, 3, 1)
    gaussians = Mixture(jnp.asarray(centers), jnp.asarray(maps), jnp.float32(0.0))
    points = np.asarray(mixture.sample(gaussians, jax.random.key(3), 30_000))
    distances = np.linalg.norm(points[:, None] - centers[None], axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0.0, atol=1e-6)
    shares = np.bincount(distances.argmin(axis=1), minlength=3) / 30_000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.017)  # six standard errors
    one = Mixture(jnp.zeros((1, 3)), jnp.asarray(maps[:1]), jnp.float32(0.4))
    drawn = np.asarray(mixture.sample(one, jax.random.key(4), 100_000), np.float64)
    np.testing.assert_allclose(
        np.cov(drawn.T), 0.16 * maps[0].astype(np.float64) @ maps[0].T, atol=0.005
    )

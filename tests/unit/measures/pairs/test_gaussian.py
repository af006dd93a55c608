"""The closed-form Gaussian pair and the linear map it is made with."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from w2dual import measures
from w2dual.measures import linear
from w2dual.measures.pairs import gaussian
from w2dual.records import save_arrays


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_bures_matrix_carries_one_covariance_to_the_other(n: int):
    generator = np.random.default_rng(n)
    first, second = (
        matrix @ matrix.T + 0.1 * np.eye(n) for matrix in generator.normal(size=(2, n, n))
    )
    matrix = linear.bures_matrix(first, second)
    np.testing.assert_allclose(matrix @ first @ matrix, second, rtol=1e-8, atol=1e-8)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0.0
    np.testing.assert_allclose(matrix @ linear.bures_matrix(second, first), np.eye(n), atol=1e-7)
    np.testing.assert_allclose(linear.root(first), scipy.linalg.sqrtm(first), atol=1e-9)


@pytest.mark.parametrize("n", [2, 6])
def test_pushed_points_have_the_targets_moments(n: int):
    pair = gaussian.from_arrays(*gaussian.draw(n, seed=1))
    moments = pair.moments
    x = np.asarray(pair.sample_source(jax.random.key(0), 200_000), np.float64)
    y = np.asarray(pair.sample_target(jax.random.key(1), 200_000), np.float64)
    # Standard deviations are at most 2: six standard errors of a mean are 0.027.
    np.testing.assert_allclose(x.mean(axis=0), moments.mean_source, atol=0.03)
    np.testing.assert_allclose(y.mean(axis=0), moments.mean_target, atol=0.03)
    np.testing.assert_allclose(np.cov(x.T), moments.cov_source, atol=0.08)
    np.testing.assert_allclose(np.cov(y.T), moments.cov_target, atol=0.08)
    mapped = np.asarray(pair.ground_truth(jnp.asarray(x, jnp.float32)), np.float64)
    cost = 0.5 * np.mean(np.sum((x - mapped) ** 2, axis=1))
    np.testing.assert_allclose(cost, float(pair.cost), rtol=0.02)
    np.testing.assert_allclose(float(pair.var_source), np.trace(moments.cov_source), rtol=1e-12)
    np.testing.assert_allclose(float(pair.var_target), np.trace(moments.cov_target), rtol=1e-12)


def test_map_is_the_gradient_of_a_convex_function():
    pair = gaussian.from_arrays(*gaussian.draw(5, seed=2))
    matrix = np.asarray(pair.matrix)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    assert np.linalg.eigvalsh(matrix.astype(np.float64)).min() > 0.0
    x = pair.sample_source(jax.random.key(0), 3)
    np.testing.assert_allclose(jax.jacobian(pair.ground_truth)(x[0]), matrix, atol=1e-6)
    np.testing.assert_array_equal(pair.ground_truth(x), pair.ground_truth_unstandardised(x))


def test_pair_passes_through_jit_and_a_file(tmp_path: Path):
    arrays, metadata = gaussian.draw(3, seed=0)
    save_arrays(tmp_path / "gaussian3.safetensors", arrays, metadata)
    pair = measures.load_solved(tmp_path / "gaussian3.safetensors")
    mapped = jax.jit(lambda p, k: p.sample_target(k, 8) / p.var_target)(pair, jax.random.key(0))
    direct = gaussian.from_arrays(arrays, metadata)
    expected = direct.sample_target(jax.random.key(0), 8) / float(direct.var_target)
    np.testing.assert_allclose(mapped, expected, rtol=1e-5, atol=1e-6)


def test_a_seed_names_a_pair():
    first, again, other = (gaussian.draw(3, seed=seed)[0] for seed in (4, 4, 5))
    np.testing.assert_array_equal(first["matrix"], again["matrix"])
    assert not np.allclose(first["matrix"], other["matrix"])

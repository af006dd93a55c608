"""The learned metric: its eigenvectors, what paths cost under it, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.measures.snapshots import alignment
from w2dual.paths.action import Geodesic, Rule, joined, line
from w2dual.paths.directions import DirectionField
from w2dual.records import InputError

FIELD = DirectionField((8,), "leaky_relu_0.01", 0.1)
POINTS = jnp.ones((4, 2))


def params_of(seeds: int):
    keys = jax.random.split(jax.random.key(1), seeds)
    return jax.jit(jax.vmap(lambda key: FIELD.init(key, POINTS)))(keys)


def constant(v: tuple[float, float]):
    """Parameters of a field that is the same everywhere."""
    params = jax.tree.map(jnp.zeros_like, params_of(1))
    params["dense_1"]["bias"] = jnp.array([v])
    return params


def test_the_metric_of_each_seed_has_its_direction_as_the_cheapest_axis():
    """Problems of a seed stand beside each other, whatever other axes there are."""
    seeds, segments, times, lanes = 2, 3, 2, 5
    shape = (segments, seeds, times, lanes)
    x = np.random.default_rng(2).normal(size=(*shape, 2)).astype(np.float32)

    def both(params, x):
        stacked = jnp.moveaxis(x, -1, 0).reshape(2, segments, seeds * times, lanes)
        points = jnp.moveaxis(x, 1, 0).reshape(seeds, -1, 2)
        return FIELD.metric(params)(stacked), FIELD.directions(params, points)

    metric, v = map(np.asarray, jax.jit(both)(params_of(seeds), x))
    matrices = np.moveaxis(metric, (0, 1), (-2, -1)).reshape(*shape, 2, 2)
    v = np.moveaxis(v.reshape(seeds, segments, times, lanes, 2), 0, 1)
    wanted = np.eye(2) - 0.9 * v[..., :, None] * v[..., None, :]
    np.testing.assert_allclose(matrices, wanted, atol=1e-5)
    assert np.abs(v[:, 0] - v[:, 1]).max() > 0.1
    values = np.linalg.eigvalsh(matrices)
    np.testing.assert_allclose(values, np.broadcast_to([0.1, 1.0], values.shape), atol=1e-5)
    found = alignment.cheapest(matrices.reshape(-1, 2, 2), "A")
    assert alignment.of_directions(v.reshape(-1, 2), found) == pytest.approx(1.0, abs=1e-5)


def test_a_constant_metric_gives_mahalanobis():
    """c(x, y) = 1/2 (y - x)^T A (y - x), along the straight line."""
    rule = Rule(7)
    v = np.array([0.6, 0.8])
    x, y = np.random.default_rng(3).normal(size=(2, 2, 1, 9)).astype(np.float32)

    def cost(params, x, y):
        return Geodesic(FIELD.metric(params), rule).cost(joined(x, line(x, y, rule), y))

    found = jax.jit(cost)(constant((3.0, 4.0)), x, y)[0]
    step = (y - x)[:, 0]
    wanted = 0.5 * np.einsum("il,ij,jl->l", step, np.eye(2) - 0.9 * np.outer(v, v), step)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("small", [0.0, -0.495, 1.0, float("nan")])
def test_a_metric_that_is_not_positive_is_refused(small: float):
    with pytest.raises(InputError, match="expected a number between 0 and 1, so that the metric"):
        DirectionField((8,), "relu", small)

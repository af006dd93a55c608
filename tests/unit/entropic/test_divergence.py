"""The Sinkhorn divergence of two sets: POT's value and its slope, and what it is 0 for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import ot
import pytest

from w2dual.entropic.divergence import divergence

BLUR = 0.6
COMPILED = jax.jit(divergence, static_argnums=(2, 3))


def _sets() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(12, 2)), generator.uniform(-1.0, 1.5, (9, 2))
    return x.astype(np.float32), y.astype(np.float32)


def _entropic(x: np.ndarray, y: np.ndarray) -> float:
    """<P, C> + epsilon KL(P | a b) of POT's coupling, in double precision."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    cost = 0.5 * np.sum((x[:, None] - y[None]) ** 2, axis=-1)
    plan = ot.sinkhorn(a, b, cost, BLUR**2, stopThr=1e-13, numItermax=100_000)
    return float(np.sum(plan * (cost + BLUR**2 * np.log(plan / (a[:, None] * b[None])))))


def _reference(x: np.ndarray, y: np.ndarray) -> float:
    return _entropic(x, y) - 0.5 * _entropic(x, x) - 0.5 * _entropic(y, y)


def test_value_and_gradient_are_those_of_pot_where_it_has_converged():
    x, y = _sets()
    found = COMPILED(x, y, BLUR, 0.97)
    assert found.value == pytest.approx(_reference(x, y), rel=1e-3)
    for place in ((0, 0), (7, 1)):
        shift = np.zeros_like(x)
        shift[place] = 0.01
        slope = (_reference(x + shift, y) - _reference(x - shift, y)) / 0.02
        assert found.gradient[place] == pytest.approx(slope, rel=1e-2, abs=1e-4)


def test_equal_sets_are_at_no_distance_and_shifted_ones_at_half_its_square():
    x, _ = _sets()
    found = COMPILED(x, x, 0.05, 0.5)
    assert abs(found.value) < 1e-6
    np.testing.assert_allclose(found.gradient, 0.0, atol=1e-6)
    shift = jnp.array([[3.0, -4.0]])
    moved = COMPILED(x + shift, x, 0.05, 0.5)
    assert moved.value == pytest.approx(12.5, rel=1e-4)
    np.testing.assert_allclose(moved.gradient, jnp.broadcast_to(shift / 12, x.shape), rtol=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_not_finite_end_it(bad: float):
    x, y = _sets()
    x[3] = bad
    assert not np.isfinite(COMPILED(x, y, 0.05, 0.5).value)

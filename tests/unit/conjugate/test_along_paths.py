"""Costs along paths: their values at exact paths, and their gradients in the end point."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.backend import jit
from w2dual.conjugate.costs.along_paths import Anchored, Clipped, Polished, Predicted
from w2dual.conjugate.costs.squared_euclidean import SquaredEuclidean
from w2dual.paths import polyline, search
from w2dual.paths.action import Action, Rule, joined, line
from w2dual.paths.obstacles.hill import Hill
from w2dual.paths.obstacles.slit import Slit

RULE = Rule(16)
HILL = Action(partial(Hill(), strength=0.05, temperature=0.1), RULE)
SHAPE = (2, 1, 4)  # coordinates, seeds, lanes


def _ends() -> tuple[jax.Array, jax.Array]:
    noise = jax.random.uniform(jax.random.key(0), (2, *SHAPE), minval=-0.1, maxval=0.1)
    side = jnp.array([1.1, 0.4]).reshape(2, 1, 1)
    return noise[0] - side, noise[1] + side


def _bent(x: jax.Array, y: jax.Array) -> jax.Array:
    t = jnp.arange(1, 16).reshape(-1, 1, 1, 1) / 16
    return line(x, y, RULE) + jnp.sin(jnp.pi * t) * jnp.array([-0.3, 0.8]).reshape(1, 2, 1, 1)


@jit
def _exact(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    found = polyline.minimise(HILL, x, y, _bent(x, y), 30).interior
    return HILL.cost(joined(x, found, y)), found


def test_polished_paths_have_the_exact_cost_and_its_gradient():
    x, y = _ends()
    near = y + 0.03  # the anchor's end point: a step of the solver away
    context = Anchored(x, _exact(x, near)[1].reshape(-1, *SHAPE[1:]))
    value, gradient = jit(Polished(HILL, 2).value_and_gradient)(y, context)
    np.testing.assert_allclose(value, _exact(x, y)[0], rtol=1e-5)
    step = 0.01
    for i in range(2):
        move = jnp.zeros(SHAPE).at[i].set(step)
        slope = (_exact(x, y + move)[0] - _exact(x, y - move)[0]) / (2 * step)
        np.testing.assert_allclose(gradient[i], slope, atol=2e-4)  # of order 0.1


def test_a_path_around_a_sharp_edge_stays_there_when_its_end_moves():
    # Interior points that went along with the end would be in the wall, and Newton's method stuck.
    slit = Slit(half_thickness=0.1, half_opening=0.25)
    x = jnp.array([-1.1, 0.8]).reshape(2, 1, 1)
    y = jnp.array([[1.1, 1.1, 1.0], [0.6, -0.2, -0.9]]).reshape(2, 1, 3)
    x, moved = jnp.broadcast_to(x, y.shape), y + jnp.array([0.05, -0.1]).reshape(2, 1, 1)
    rule = Rule(64)

    def at(temperature: jax.Array) -> Action:
        return Action(partial(slit, strength=1.0, temperature=temperature), rule)

    def best(y: jax.Array) -> search.Best:
        return search.search(at, x, y, (0.1, 0.05, 0.02, 0.01), (0.0, 0.5, -0.5, 1.0, -1.0), 12)

    find = jit(best)
    known, wanted = find(y).path[1:-1], find(moved).cost
    found, _ = jit(Polished(at(jnp.asarray(0.01)), 2).value_and_gradient)(
        moved, Anchored(x, known.reshape(-1, *y.shape[1:]))
    )
    np.testing.assert_allclose(found, wanted, rtol=0.01)


def test_a_predicted_path_holds_its_deviation_fixed():
    x, y = _ends()
    cost = Predicted(HILL, lambda x, y: jax.lax.stop_gradient(_bent(x, y) - line(x, y, RULE)))
    value, gradient = jit(cost.value_and_gradient)(y, x)
    np.testing.assert_allclose(value, HILL.cost(joined(x, _bent(x, y), y)), rtol=1e-6)
    assert bool(jnp.all(value > _exact(x, y)[0]))

    def of(y: jax.Array) -> jax.Array:  # the bend does not depend on y
        return jnp.sum(HILL.cost(joined(x, _bent(x, y), y)))

    np.testing.assert_allclose(gradient, jit(jax.grad(of))(y), rtol=1e-4, atol=1e-6)


def test_clipping_takes_the_gradient_of_what_is_cut():
    x = jnp.array([[[2.0, 0.5]], [[-0.5, -3.0]]])
    value, gradient = Clipped(SquaredEuclidean(), 1.0).value_and_gradient(x, jnp.zeros_like(x))
    np.testing.assert_allclose(value, [[0.625, 0.625]])
    np.testing.assert_allclose(gradient, [[[0.0, 0.5]], [[-0.5, 0.0]]])


@pytest.mark.parametrize("y", [0.0, 1.5])
def test_squared_euclidean(y: float):
    x = jax.random.normal(jax.random.key(3), SHAPE)
    value, gradient = SquaredEuclidean().value_and_gradient(x, jnp.full(SHAPE, y))
    np.testing.assert_allclose(value, 0.5 * jnp.sum((x - y) ** 2, axis=0), rtol=1e-6)
    np.testing.assert_allclose(gradient, x - y, rtol=1e-6)

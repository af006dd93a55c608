"""Solvers minimise f(x) + c(x, y) for any cost, here one with a closed form and a context."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual import conjugate
from w2dual.conjugate import Status


class Weighted:
    """1/2 w ||x - y||^2 with a weight w of each point, beside the point in its context."""

    def value_and_gradient(self, x, context):
        apart = x - context["point"]
        return 0.5 * context["weight"][0] * jnp.sum(apart**2, axis=0), context["weight"] * apart


def quadratic(x):
    return 1.5 * jnp.sum(x**2, axis=-1), 3 * x


@pytest.mark.parametrize("lanes", [12, 5])
def test_the_argmin_of_a_quadratic_under_a_quadratic_cost(lanes: int):
    """argmin of 3/2 ||x||^2 + w/2 ||x - y||^2 is w y / (3 + w), all at once or from the queue."""
    solver = conjugate.make(settings.solver("lbfgs", gradient_tolerance=1e-5))
    assert solver is not None
    y = jax.random.normal(jax.random.key(0), (2, 12, 3))
    weight = jnp.linspace(0.5, 4, 24).reshape(2, 12, 1)
    context = {"point": y, "weight": weight}

    @jax.jit
    def solve(context, y):
        return conjugate.solve(solver, quadratic, context, y, lanes=lanes, cost=Weighted())

    result = solve(context, y)
    assert set(np.unique(result.status)) <= {Status.CONVERGED, Status.STALLED}
    np.testing.assert_allclose(result.x, weight * y / (3 + weight), atol=1e-3)
    value, gradient = conjugate.evaluate(quadratic, context, result.x, Weighted())
    np.testing.assert_allclose(result.value, value, rtol=1e-4, atol=1e-6)
    assert float(jnp.max(jnp.abs(gradient))) < 1e-2


def test_the_inner_product_is_the_cost_where_none_is_named():
    x, y = jax.random.normal(jax.random.key(1), (2, 1, 4, 3))
    value, gradient = conjugate.evaluate(quadratic, y, x)
    np.testing.assert_array_equal(gradient, 3 * x - y)
    expected = 1.5 * np.sum(np.square(x), -1) - np.sum(np.asarray(x) * y, -1)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)

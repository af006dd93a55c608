"""The ICNN of 653 parameters, against the formula in plain loops and what is known of it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.potentials.quadratic_icnn import SLOPE, QuadraticICNN

ICNN = QuadraticICNN()
SMALL = QuadraticICNN(dimension=2, width=3)


def vector(seed: int, icnn: QuadraticICNN) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.7, icnn.parameters).astype(np.float32)


def by_loops(parameters: np.ndarray, x: np.ndarray, n: int, width: int) -> tuple[float, list]:
    """The formula, number by number: W row by row, b, w, a, c, L row by row."""
    numbers = iter(map(float, parameters))
    weights = [[next(numbers) for _ in range(n)] for _ in range(width)]
    bias = [next(numbers) for _ in range(width)]
    outer = [math.log1p(math.exp(next(numbers))) for _ in range(width)]
    linear = [next(numbers) for _ in range(n)]
    value = next(numbers)
    factor = [[next(numbers) for _ in range(n)] for _ in range(n)]
    gradient = list(linear)
    value += sum(linear[i] * x[i] for i in range(n))
    for row, b, s in zip(weights, bias, outer, strict=True):
        z = b + sum(row[i] * x[i] for i in range(n))
        slope = 1.0 if z > 0 else SLOPE
        value += s * slope * z
        for i in range(n):
            gradient[i] += s * slope * row[i]
    for row in factor:
        y = sum(row[i] * x[i] for i in range(n))
        value += y * y
        for i in range(n):
            gradient[i] += 2 * y * row[i]
    return value, gradient


def test_it_has_as_many_parameters_as_published():
    assert ICNN.parameters == 653


def test_value_and_gradient_are_those_of_the_formula():
    x = np.random.default_rng(1).normal(size=(2, 5, 2)).astype(np.float32)
    both = np.stack([vector(2, SMALL), vector(3, SMALL)])
    value, gradient = SMALL.value_and_gradient(jnp.asarray(both), jnp.asarray(x))
    for pair in range(2):
        for point in range(5):
            wanted = by_loops(both[pair], x[pair, point], 2, 3)
            assert value[pair, point] == pytest.approx(wanted[0], rel=1e-5, abs=1e-5)
            np.testing.assert_allclose(gradient[pair, point], wanted[1], rtol=1e-4, atol=1e-5)


def test_the_gradient_is_the_value_s():
    parameters, x = jnp.asarray(vector(4, SMALL)), jnp.array([[0.3, -0.8]])
    slope = jax.grad(lambda x: SMALL.value(parameters, x)[0])(x)
    np.testing.assert_allclose(SMALL.gradient(parameters, x), slope, rtol=1e-5)


def test_parts_and_vector_are_the_same():
    parameters = jnp.asarray(vector(5, ICNN))
    np.testing.assert_array_equal(ICNN.join(ICNN.parts(parameters)), parameters)


def test_it_is_convex():
    parameters = jnp.asarray(vector(6, ICNN))
    ends = jnp.asarray(np.random.default_rng(7).normal(size=(2, 200, 3)), jnp.float32)
    value = ICNN.value(parameters, jnp.concatenate([*ends, ends.mean(axis=0)]))
    first, second, middle = value.reshape(3, 200)
    assert (middle <= (first + second) / 2 + 1e-4).all()


def test_an_affine_map_is_exact():
    """The Gaussian map is one, so that a prediction can be it."""
    root = np.random.default_rng(8).normal(size=(3, 3))
    matrix, shift = root @ root.T, np.array([0.2, -1.0, 0.5])
    parameters = ICNN.affine(jnp.asarray(matrix, jnp.float32), jnp.asarray(shift, jnp.float32))
    x = np.random.default_rng(9).uniform(-1, 2, (50, 3)).astype(np.float32)
    moved = ICNN.gradient(parameters, jnp.asarray(x))
    np.testing.assert_allclose(moved, x @ matrix + shift, rtol=2e-5, atol=2e-5)


def test_draws_are_spread_as_published():
    parts = ICNN.parts(ICNN.draw(jax.random.key(0)))
    assert float(jnp.std(parts.weights)) == pytest.approx(0.1, rel=0.2)
    assert float(jnp.std(parts.outer)) == pytest.approx(0.1, rel=0.3)
    assert float(jnp.max(jnp.abs(parts.factor))) < 0.05
    assert not parts.bias.any()

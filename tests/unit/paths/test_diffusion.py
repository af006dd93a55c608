"""Diffusions: Phi's derivatives, and paths and integrals where there is a closed form."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.paths.diffusion import Derivatives, Phi, Simulated, simulate

STEPS, POINTS, N = 100, 4000, 2
PHI = Phi(7, N)


def _nothing(x: jax.Array) -> jax.Array:
    return jnp.zeros(len(x))


def _drawn() -> tuple[jax.Array, jax.Array]:
    generator = np.random.default_rng(0)
    x = generator.normal([1.0, -2.0], [0.5, 0.2], (POINTS, N))
    noise = generator.normal(size=(STEPS, POINTS, N))
    return jnp.asarray(x, jnp.float32), jnp.asarray(noise, jnp.float32)


def _reference(params: Any, s: np.ndarray) -> float:
    """Phi at one (x, t), by the formula, in double precision."""

    def bent(z: np.ndarray) -> np.ndarray:
        return np.log(2 * np.cosh(z))

    u = bent(params["opening"]["weight"] @ s + params["opening"]["bias"])
    n = u + bent(params["residual"]["weight"] @ u + params["residual"]["bias"])
    return params["w"] @ n + 0.5 * np.sum((params["square"] @ s) ** 2) + params["slope"] @ s


def test_value_and_derivatives_are_the_formula_s_and_its_differences():
    drawn = jax.jit(PHI.init)(jax.random.key(0), jnp.zeros((1, N)))
    params = drawn | {"slope": jnp.array([0.3, -0.2, 0.5]), "w": jnp.linspace(-1.0, 2.0, 7)}
    x, t = np.array([[0.5, -1.0], [2.0, 0.1]], np.float32), 0.25
    found = jax.jit(PHI.derivatives)(params, x, t)
    exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    h = 1e-4
    for i, s in enumerate(np.column_stack([x, [t, t]]).astype(np.float64)):
        middle = _reference(exact, s)
        ends = [[_reference(exact, s + sign * h * e) for sign in (1, -1)] for e in np.eye(N + 1)]
        slopes = [(up - down) / (2 * h) for up, down in ends]
        bends = [(up + down - 2 * middle) / h**2 for up, down in ends]
        assert PHI.value(params, jnp.asarray(x), t)[i] == pytest.approx(middle, rel=1e-5)
        np.testing.assert_allclose(found.gradient[i], slopes[:N], rtol=1e-4, atol=1e-5)
        assert found.in_time[i] == pytest.approx(slopes[N], rel=1e-4)
        np.testing.assert_allclose(found.curvature[i], bends[:N], rtol=1e-4, atol=1e-5)


def _run(theta: float, g: float, u: Any, value: Any = None, keep: bool = False) -> Simulated:
    """Of Phi = theta/2 |x|^2 + what `value` gives for its derivative in time."""

    def derivatives(x: jax.Array, t: jax.Array) -> Derivatives:
        in_time = jnp.zeros(len(x)) if value is None else value(x, t)
        return Derivatives(theta * x, in_time, jnp.full_like(x, theta))

    x, noise = _drawn()
    return jax.jit(
        lambda: simulate(derivatives, lambda x, t: jnp.full_like(x, g), u, x, noise, keep)
    )()


def test_without_noise_a_quadratic_is_a_linear_equation():
    theta, (x, _) = 0.7, _drawn()
    found = _run(theta, 0.0, _nothing, keep=True)
    factors = (1 - theta / STEPS) ** np.arange(STEPS + 1)
    assert found.path is not None
    np.testing.assert_allclose(found.path[:, :5], factors[:, None, None] * x[None, :5], rtol=1e-4)
    np.testing.assert_array_equal(found.path[-1], found.last)
    speeds = np.sum((theta * np.asarray(x)) ** 2, axis=1)
    np.testing.assert_allclose(found.action, 0.5 * speeds * np.mean(factors[:-1] ** 2), rtol=1e-4)
    # Euler's is the exact solution but for an error of the order of a step.
    np.testing.assert_allclose(found.last, np.exp(-theta) * x, rtol=0.01)


def test_with_noise_it_is_the_process_of_ornstein_and_uhlenbeck():
    theta, g = 1.3, 0.8
    last = np.asarray(_run(theta, g, _nothing).last)
    decay = np.exp(-theta)
    variance = g**2 * (1 - decay**2) / (2 * theta)
    # Five standard errors of 4,000 paths, and the error of a step.
    np.testing.assert_allclose(last.mean(0), [decay, -2 * decay], atol=0.06)
    expected = np.diag(np.array([0.5, 0.2]) ** 2 * decay**2 + variance)
    np.testing.assert_allclose(np.cov(last.T), expected, atol=0.03)


def test_the_residual_is_0_where_phi_solves_the_equation():
    """A U that makes up for all else: Phi = theta/2 |x|^2 + 2 t, and off by 0.25 it shows."""
    theta, g = 0.9, 0.5

    def u(x: jax.Array) -> jax.Array:
        return 2.0 + g**2 * theta - 0.5 * theta**2 * jnp.sum(x * x, axis=1)

    def in_time(x: jax.Array, t: Any) -> jax.Array:
        return jnp.full(len(x), 2.0)

    np.testing.assert_allclose(_run(theta, g, u, in_time).residual, 0.0, atol=1e-4)
    off = _run(theta, g, lambda x: u(x) + 0.25, in_time)
    np.testing.assert_allclose(off.residual, 0.25, rtol=1e-3)

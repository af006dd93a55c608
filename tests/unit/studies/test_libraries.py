"""Rows of the comparison: the optimum is SciPy's, and mapped is as it is point by point."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from tests.unit import settings

from w2dual import potentials, rng
from w2dual.evaluation.trained import Trained
from w2dual.records import InputError
from w2dual.studies import libraries, line_search

POINTS = 64
SINGLE = 6
LEAST = {"jax_zoom": 0.9}
"""JAX's line search gives up at some points before the tolerance, which its gradient norm tells."""
SOLVER = settings.solver(gradient_tolerance=3e-3, trials=15)


@pytest.fixture(scope="module")
def problem(cell: Trained) -> tuple[Any, Any, Any]:
    """Parameters of one seed, points, and starts that are not near."""
    y = cell.pair.sample_target(rng.stream(0, "test"), POINTS)
    return jax.tree.map(lambda leaf: leaf[0], cell.params.potential), y, y + 1.0


@pytest.fixture(scope="module")
def optimum(cell: Trained, problem: tuple[Any, Any, Any]) -> np.ndarray:
    """The lowest J of each point, by SciPy."""
    params, y, start = problem
    single = jax.jit(lambda x: potentials.value_and_gradient(cell.problem.potential, params, x))

    def objective(x: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = map(np.asarray, single(x.astype(np.float32)[None]))
        return float(value[0]) - float(x @ target), gradient[0].astype(float) - target

    found = [
        scipy.optimize.minimize(
            objective,
            np.asarray(x, float),
            (np.asarray(target, float),),
            "L-BFGS-B",
            jac=True,
            options={"gtol": 1e-5, "ftol": 1e-12},
        )
        for x, target in zip(start, y, strict=True)
    ]
    # As near as the rows have to come; f is of float32, so that it is not always 1e-5.
    assert max(np.abs(one.jac).max() for one in found) < SOLVER["gradient_tolerance"]
    return np.array([one.fun for one in found])


LONG = ("jaxopt_backtracking_strong_wolfe", "jaxopt_backtracking_wolfe")
"""As `jaxopt_backtracking_armijo`, but for the condition, which has a test below."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in LONG else [])
        for name in line_search.ROWS
    ],
)
def test_a_row_finds_the_optimum_as_it_does_point_by_point(
    cell: Trained, problem: tuple[Any, Any, Any], optimum: np.ndarray, name: str
) -> None:
    params, y, start = problem
    solve = line_search.compile_row(name, cell, SOLVER)
    x, iterations = solve(params, y, start)
    value, gradient = (leaf[0] for leaf in cell.problem.oracle(cell.params)(x[None]))
    norm = np.asarray(jnp.max(jnp.abs(gradient - y), axis=-1))
    converged = norm < SOLVER["gradient_tolerance"]
    assert converged.mean() >= LEAST.get(name, 1.0)
    # J is of order 1 and more; near 0 float32 leaves no four digits.
    found = np.asarray(value - jnp.sum(x * y, axis=-1))
    np.testing.assert_allclose(found[converged], optimum[converged], rtol=1e-4, atol=1e-5)
    assert int(iterations.min()) >= 1

    alone = [solve(params, y[i : i + 1], start[i : i + 1]) for i in range(SINGLE)]
    # A batch sums in another order, which may move an iteration to one side of the tolerance.
    counts = np.array([int(one[1][0]) for one in alone])
    assert np.abs(counts - np.asarray(iterations[:SINGLE])).max() <= 1
    np.testing.assert_allclose([one[0][0] for one in alone], x[:SINGLE], atol=5e-3)


def test_the_iteration_limit_is_the_same_for_all(
    cell: Trained, problem: tuple[Any, Any, Any]
) -> None:
    """JAX counts from 0, which its row makes up for; optimistix's limit is on trial steps."""
    params, y, start = problem
    limited = SOLVER | {"max_iterations": 2, "gradient_tolerance": 1e-9}
    for name in ("ours_parallel", "jax_zoom", "jaxopt_backtracking_armijo", "optimistix"):
        _, iterations = line_search.compile_row(name, cell, limited)(params, y[:4], start[:4])
        assert int(iterations.max()) == 2, name


def test_a_row_that_does_not_exist_and_a_solver_that_searches_no_line(cell: Trained) -> None:
    with pytest.raises(InputError, match=r"line search 'mine': expected one of ours_parallel"):
        line_search.compile_row("mine", cell, SOLVER)
    with pytest.raises(InputError, match=r"kind 'adam': line searches are L-BFGS's"):
        line_search.compile_row("ours_parallel", cell, settings.solver("adam"))


@pytest.mark.parametrize(("condition", "moves"), [("armijo", False), ("strong-wolfe", True)])
def test_conditions_of_backtracking_are_passed_on(
    condition: libraries.Condition, moves: bool
) -> None:
    """The unit step overshoots the minimum of a parabola so far that only Armijo's bound holds."""

    def value(params: Any, x: Any) -> Any:
        return 0.5 * params * jnp.sum(x**2)

    # From 1 the gradient step goes to 1 - 1.95 = -0.95: lower, but the slope there is 0.95 of the
    # slope at the start, and strong Wolfe's constant is 0.9.
    once = SOLVER | {"max_iterations": 1}
    one = libraries.jaxopt(value, once, "backtracking", condition=condition, trials=15, shrink=1.5)
    x, _ = libraries.mapped(one)(jnp.float32(1.95), jnp.zeros((1, 1)), jnp.ones((1, 1)))
    assert (float(x[0, 0]) != pytest.approx(-0.95)) is moves

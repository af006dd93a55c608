"""Entropic transport against OTT, POT, automatic differentiation, bisection and plain sums."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import ot
import pytest
from scipy.optimize import bisect
from scipy.special import logsumexp
from tests.unit.entropic.conftest import EPSILON, Problem

from w2dual.entropic import geometry, lbfgs, newton, semi_dual, sinkhorn, starts
from w2dual.entropic.counts import NEVER, Goal
from w2dual.entropic.newton import Annealing, Newton
from w2dual.entropic.sinkhorn import Relaxation
from w2dual.measures.discrete.support import Support, normalised
from w2dual.records import InputError

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "JAXopt is no longer maintained", DeprecationWarning)
    from ott.geometry import pointcloud
    from ott.initializers.linear import initializers
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn as ott_sinkhorn

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5)
GOAL = Goal.of(TOLERANCES, [1, 10], 500)
LBFGS = {
    "kind": "lbfgs",
    "history": 10,
    "gradient_tolerance": 0.1,
    "max_iterations": 100,
    "decrease_tolerance": 2e-9,
    "armijo": 1e-4,
    "shrink": 1.5,
    "trials": 30,
    "line_search": "sequential",
    "curvature": "positive",
}


def on_points(problem: Problem) -> linear_problem.LinearProblem:
    points = pointcloud.PointCloud(
        jnp.asarray(problem.support.rows), epsilon=EPSILON, scale_cost=1.0
    )
    return linear_problem.LinearProblem(points, problem.a, problem.b)


def test_errors_are_those_of_ott_on_point_clouds(problem: Problem) -> None:
    solver = ott_sinkhorn.Sinkhorn(
        threshold=0.0, inner_iterations=1, min_iterations=0, max_iterations=25
    )
    with jax.numpy_rank_promotion("allow"):
        wanted = np.asarray(solver(on_points(problem)).errors)[:25]
    made = geometry.make(problem.support)
    found = jax.jit(sinkhorn.errors, static_argnums=(4, 5))(
        made, problem.a, problem.b, starts.zeros(jnp.asarray(problem.a)), 25, Relaxation()
    )
    assert wanted[0] > 1e-2
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-14)  # sums in other orders


def test_the_gaussian_start_is_that_of_ott(problem: Problem) -> None:
    with jax.numpy_rank_promotion("allow"):
        start = initializers.GaussianInitializer()
        wanted = start.init_fu(on_points(problem), lse_mode=True)
    found = EPSILON * starts.gaussian(problem.support, jnp.asarray(problem.a), problem.b)
    there = problem.a > 0
    difference = np.asarray(found - wanted)[there]
    # OTT takes matrix roots by Newton-Schulz iterations, to 1e-6 or so.
    np.testing.assert_allclose(difference - difference.mean(), 0.0, atol=1e-5)
    assert np.ptp(np.asarray(found)[there]) > 0.1


def test_the_plan_is_that_of_pot(problem: Problem) -> None:
    made = geometry.make(problem.support)
    rows, columns = problem.a > 0, problem.b > 0
    cost = EPSILON * np.asarray(made.scaled_cost())
    wanted: Any = ot.sinkhorn(
        problem.a[rows], problem.b[columns], cost[rows][:, columns], EPSILON, stopThr=1e-12
    )
    u = jnp.zeros(len(problem.a))
    found = newton.solve(made, problem.a, problem.b, u, Goal.of([1e-12], [1], 50), Newton())
    plan = np.asarray(semi_dual.plan(made, found.u, problem.b))
    assert np.abs(plan[rows][:, columns] - wanted).sum() < 1e-9
    assert plan.sum() == pytest.approx(wanted.sum(), abs=1e-12)


def test_sums_over_the_grid_are_those_of_the_whole_matrix(problem: Problem) -> None:
    u: Any = np.random.default_rng(1).normal(size=(2, len(problem.a))) * 30
    u[0, problem.a == 0] = geometry.NOTHING
    grid = geometry.make(problem.support)
    dense = geometry.make(replace(problem.support, cost="squared_distance"))
    wanted: Any = logsumexp(u[:, :, None] - np.asarray(dense.scaled_cost()), axis=1)
    np.testing.assert_allclose(jax.vmap(grid.over_rows)(u), wanted, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(dense.over_rows)(u), wanted, rtol=1e-12)
    # Where the number type does not hold the kernel, sums are taken in the log domain.
    assert isinstance(grid, geometry.Grid)
    logs = geometry.Grid(grid.axis, largest=1e9)
    np.testing.assert_allclose(jax.vmap(logs.over_rows)(u), wanted, rtol=1e-12)


def test_gradient_and_hessian_are_those_of_autodiff(problem: Problem) -> None:
    made = geometry.make(problem.support)
    there = jnp.flatnonzero(problem.a > 0)[:6]
    a = jnp.asarray(problem.a[there] / problem.a[there].sum())
    few = geometry.restricted(made, there, jnp.arange(len(problem.b)))
    u = jnp.asarray(np.random.default_rng(2).normal(size=6))
    value = jax.jit(lambda u: semi_dual.value(few, u, a, problem.b))
    at = semi_dual.evaluate(few, u, a, problem.b)
    np.testing.assert_allclose(at.gradient, jax.grad(value)(u), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(
        semi_dual.hessian(few, u, problem.b), jax.hessian(value)(u), rtol=1e-8, atol=1e-13
    )
    assert at.value == pytest.approx(float(value(u + 3.0)), abs=1e-12)  # a constant changes nothing
    assert at.error == pytest.approx(float(jnp.abs(at.gradient).sum()))


def test_a_larger_epsilon_is_that_of_another_geometry(problem: Problem) -> None:
    u = jnp.asarray(np.random.default_rng(6).normal(size=len(problem.a)))
    for cost in ("grid", "squared_distance"):
        support = replace(problem.support, cost=cost)
        warmer = geometry.make(support).warmer(jnp.asarray(3.0))
        wanted = geometry.make(replace(support, epsilon=3.0 * EPSILON))
        np.testing.assert_allclose(warmer.over_rows(u), wanted.over_rows(u), rtol=1e-12)
        np.testing.assert_allclose(warmer.scaled_cost(), wanted.scaled_cost(), rtol=1e-12)


def test_how_marginals_change_with_epsilon_is_what_autodiff_says(problem: Problem) -> None:
    made = geometry.make(replace(problem.support, cost="squared_distance"))
    u = jnp.asarray(np.random.default_rng(7).normal(size=len(problem.a)))

    def rows(log_scale: jax.Array) -> jax.Array:
        scale = jnp.exp(log_scale)
        return semi_dual.plan(made.warmer(scale), u / scale, problem.b).sum(axis=1)

    wanted = -jax.jit(jax.jacfwd(rows))(jnp.zeros(()))
    assert np.abs(wanted).max() > 1e-3
    found = semi_dual.cooling(made, semi_dual.masked(u, jnp.ones_like(u)), problem.b)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-14)


def test_what_is_predicted_where_there_is_no_mass_changes_nothing(problem: Problem) -> None:
    made = geometry.make(problem.support)
    u = jnp.asarray(np.random.default_rng(3).normal(size=len(problem.a)))
    other = jnp.where(problem.a > 0, u, 1e3)
    first, second = (
        sinkhorn.errors(made, problem.a, problem.b, start, 2, Relaxation()) for start in (u, other)
    )
    np.testing.assert_array_equal(first, second)


def test_two_suppliers_on_the_sphere_have_one_unknown() -> None:
    draws = np.random.default_rng(4)
    points = draws.normal(size=(42, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    support = Support(
        rows=points[:2], columns=points[2:], cost="sphere", epsilon=0.1, cosine_margin=1e-4
    )
    a, b = jnp.array([0.3, 0.7]), jnp.asarray(normalised(draws.uniform(size=40), "b"))
    cost = np.arccos(points[:2] @ points[2:].T / (1 + 1e-4)) / 0.1

    def surplus(difference: float) -> float:
        """Mass that leaves the first point, less what it has."""
        logs = np.array([[difference], [0.0]]) - cost
        return float(np.exp(logs - logsumexp(logs, axis=0))[0] @ np.asarray(b) - a[0])

    wanted = bisect(surplus, -100, 100, xtol=1e-13)
    made = geometry.make(support)
    for solve in (
        lambda goal: newton.solve(made, a, b, jnp.zeros(2), goal, Newton()),
        lambda goal: sinkhorn.solve(made, a, b, jnp.zeros(2), goal, Relaxation()),
    ):
        found = solve(Goal.of([1e-13], [1], 2000))
        assert float(found.u[0] - found.u[1]) == pytest.approx(wanted, abs=1e-10)


def test_the_same_point_of_the_sphere_costs_the_margin_and_the_distance_is_one() -> None:
    points = np.random.default_rng(5).normal(size=(9, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    support = Support(rows=points, columns=points, cost="sphere", epsilon=1e-3, cosine_margin=1e-4)
    cost = 1e-3 * np.asarray(geometry.make(support).scaled_cost())
    np.testing.assert_allclose(np.diag(cost), np.arccos(1 / 1.0001), rtol=1e-6)
    assert np.diag(cost) == pytest.approx(0.01414, abs=1e-5)
    assert (cost[:, None] <= cost[:, :, None] + cost[None] + 1e-12).all()


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_counts_are_those_of_the_errors(problem: Problem, factor: float) -> None:
    made, relaxation = geometry.make(problem.support), Relaxation(factor, 3)
    args = (made, problem.a, problem.b, jnp.zeros(len(problem.a)))
    errors = np.asarray(jax.jit(sinkhorn.errors, static_argnums=(4, 5))(*args, 200, relaxation))
    found = jax.jit(sinkhorn.solve, static_argnums=(4, 5))(*args, GOAL, relaxation)
    for look, every in enumerate(GOAL.every):
        seen = np.arange(1, 201) % every == 0
        wanted = [1 + np.flatnonzero(seen & (errors <= tolerance))[0] for tolerance in TOLERANCES]
        np.testing.assert_array_equal(found.counts.iterations[look], wanted)
        np.testing.assert_array_equal(found.counts.products[look], 2 * np.array(wanted) + 1)
    assert found.error == pytest.approx(errors[int(found.iterations) - 1], rel=1e-6)


def test_lbfgs_is_looked_at_as_often_as_asked(problem: Problem) -> None:
    made, solver = geometry.make(problem.support), lbfgs.make(LBFGS)
    ends = [jnp.stack([jnp.asarray(weights)] * 2) for weights in (problem.a, problem.b)]
    begin = jnp.zeros_like(ends[0]).at[1].set(jnp.nan)
    found = jax.jit(lbfgs.solve_all, static_argnums=(4, 5))(made, *ends, begin, GOAL, solver)
    context = lbfgs.Weights(*(weights[0, :, None, None] for weights in ends))
    alone = replace(solver, max_iterations=GOAL.max_iterations)

    @jax.jit
    def traced(start: Any) -> Any:
        def one(state: Any, _: None) -> Any:
            state = alone.step(
                lambda x: lbfgs.MinusSemiDual(made).value_and_gradient(x, context), state
            )
            error = jnp.sum(jnp.abs(state.gradient))
            return state, (error, state.iterations[0, 0], state.evaluations[0, 0])

        return jax.lax.scan(one, alone.init(start), None, 150)[1]

    error, iteration, evaluations = map(np.asarray, traced(jnp.zeros_like(context.a)))
    for look, every in enumerate(GOAL.every):
        seen = iteration % every == 0
        first = [np.flatnonzero(seen & (error <= tolerance))[0] for tolerance in TOLERANCES]
        np.testing.assert_array_equal(found.counts.iterations[0, look], iteration[first])
        np.testing.assert_array_equal(found.counts.products[0, look], 2 * evaluations[first])
    assert (found.counts.iterations[0, 0] < found.counts.iterations[0, 1]).any()
    assert found.iterations[0] == found.counts.iterations.max()
    assert found.error[0] <= min(TOLERANCES)
    assert (found.counts.iterations[1] == NEVER).all()  # from a start that is not finite


def test_all_solvers_find_one_plan_and_over_relaxation_needs_fewer_iterations(
    problem: Problem,
) -> None:
    made = geometry.make(problem.support)
    start = jnp.zeros(len(problem.a))
    goal = Goal.of([1e-2, 1e-7], [1], 1000)
    args = (made, problem.a, problem.b, start, goal)
    plain = sinkhorn.solve(*args, Relaxation())
    relaxed = sinkhorn.solve(*args, Relaxation(1.5, 3))
    second = newton.solve(*args, Newton())
    both = (jnp.stack([problem.a, problem.b]), jnp.stack([problem.b, problem.a]))
    quasi = lbfgs.solve_all(made, *both, jnp.zeros_like(both[0]), goal, lbfgs.make(LBFGS))
    plan = semi_dual.plan(made, plain.u, problem.b)
    for other in (relaxed.u, second.u, quasi.u[0]):
        np.testing.assert_allclose(semi_dual.plan(made, other, problem.b), plan, atol=1e-6)
    # OT(b, a) is OT(a, b) the other way round.
    back = semi_dual.plan(made, quasi.u[1], problem.a)
    np.testing.assert_allclose(back, plan.T, atol=1e-6)
    assert relaxed.iterations < 0.6 * plain.iterations
    assert second.iterations < 12
    assert (np.asarray(quasi.counts.iterations) > 0).all()
    assert (np.asarray(quasi.counts.products) >= 2 * np.asarray(quasi.counts.iterations)).all()


class Sphere(NamedTuple):
    """Suppliers and demands at an epsilon that is small beside their distances."""

    made: geometry.Geometry
    cost: Any
    a: Any
    b: Any


@pytest.fixture
def sphere() -> Sphere:
    draws = np.random.default_rng(8)
    points = draws.normal(size=(72, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    a, b = draws.uniform(size=12), draws.uniform(size=60)
    support = Support(
        rows=points[:12], columns=points[12:], cost="sphere", epsilon=2e-3, cosine_margin=1e-4
    )
    made = geometry.make(support)
    return Sphere(made, np.asarray(made.scaled_cost()), a / a.sum(), b / b.sum())


def plain_loop(sphere: Sphere, annealing: Annealing) -> tuple[int, int]:
    """Return iterations and kernel products from zeros to 1e-5: NumPy, f in units of epsilon."""
    products, iterations, f, scale = 2, 0, np.zeros(12), annealing.start  # 2: of the start itself

    def sums(f: Any) -> Any:
        return logsumexp((f[:, None] - sphere.cost) / scale, axis=0)

    def value(f: Any) -> float:
        return f @ sphere.a / scale - sums(f) @ sphere.b

    def plan(f: Any) -> Any:
        return np.exp((f[:, None] - sphere.cost) / scale - sums(f)) * sphere.b

    products, length = products + 2, 1.0
    while True:
        p = plan(f)
        gradient = sphere.a - p.sum(axis=1)
        error = np.abs(gradient).sum()
        if scale == 1 and error <= 1e-5:
            return iterations, products
        system = np.diag(p.sum(axis=1)) - p / sphere.b @ p.T
        system += 1e-3 * min(1.0, error) * np.diag(sphere.a) + newton.CONSTANT
        iterations += 1
        if scale > 1 and error <= annealing.error:
            after = max(1.0, annealing.factor * scale)
            m = (f[:, None] - sphere.cost) / scale
            q = (p * (m - (p * m).sum(axis=0) / sphere.b)).sum(axis=1)
            step = np.linalg.solve(system, gradient - (1 - after / scale) * q)
            f, scale, length, products = f + scale * step, after, 1.0, products + 3
            continue
        step = np.linalg.solve(system, gradient)
        length, before = min(1.0, 2 * length), value(f)
        products += 2
        while value(f + scale * length * step) < before + 1e-4 * length * (step @ gradient):
            length, products = length / 2, products + 1
        f = f + scale * length * step


def test_annealed_newton_counts_as_a_plain_loop_and_needs_far_fewer_products(
    sphere: Sphere,
) -> None:
    annealing = Annealing(start=100.0, factor=0.6, error=0.2)
    goal = Goal.of([1e-2, 1e-5], [1], 200)
    solve = jax.jit(newton.solve, static_argnums=(4, 5))
    args = (sphere.made, sphere.a, sphere.b, jnp.zeros(12), goal)
    found, plain = solve(*args, Newton(annealing=annealing)), solve(*args, Newton())
    wanted = plain_loop(sphere, annealing)
    assert (found.counts.iterations[0, 1], found.counts.products[0, 1]) == wanted
    assert found.iterations == wanted[0]
    assert float(found.error) <= 1e-5
    assert found.counts.products[0, 1] < 0.6 * plain.counts.products[0, 1]
    np.testing.assert_allclose(found.u - found.u[0], plain.u - plain.u[0], atol=1e-2)
    # Cut short, its potential is that of the wanted epsilon, and no tolerance has been met.
    short = solve(*args[:4], Goal.of([0.25], [1], 3), Newton(annealing=annealing))
    assert short.counts.iterations.tolist() == [[NEVER]]
    at = semi_dual.evaluate(sphere.made, short.u, sphere.a, sphere.b)
    assert float(short.error) == pytest.approx(float(at.error))
    # What is good at the wanted epsilon is not taken back to a larger one.
    near = solve(*args[:3], found.u, goal, Newton(annealing=annealing))
    assert near.counts.products.tolist() == [[2, 2]]


@pytest.mark.parametrize("wrong", [(0.5, 0.6, 0.2), (10.0, 1.0, 0.2), (10.0, 0.6, 0.0)])
def test_annealing_out_of_range_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="expected a start from 1, a factor between 0 and 1"):
        Annealing(*wrong)


def test_a_good_start_is_good_enough_at_once(problem: Problem) -> None:
    made = geometry.make(problem.support)
    goal = Goal.of([1e-2, 1e-6], [1], 300)
    far = newton.solve(made, problem.a, problem.b, jnp.zeros(len(problem.a)), goal, Newton())
    near = newton.solve(made, problem.a, problem.b, far.u, goal, Newton())
    quasi = lbfgs.solve_all(
        made, problem.a[None], problem.b[None], far.u[None], goal, lbfgs.make(LBFGS)
    )
    assert near.counts.iterations.tolist() == [[0, 0]]
    assert near.counts.products.tolist() == [[2, 2]]
    assert quasi.counts.iterations.tolist() == [[[0, 0]]]


def test_a_tolerance_that_is_not_met_has_no_count(problem: Problem) -> None:
    made = geometry.make(problem.support)
    goal = Goal.of([1e-1, 1e-9], [1, 10], 5)
    found = sinkhorn.solve(
        made, problem.a, problem.b, jnp.zeros(len(problem.a)), goal, Relaxation()
    )
    assert found.counts.iterations[0].tolist() == [found.counts.iterations[0, 0], NEVER]
    assert found.counts.iterations[1].tolist() == [NEVER, NEVER]
    assert found.iterations == 5


def test_numbers_that_the_type_does_not_hold_are_refused(problem: Problem) -> None:
    with pytest.raises(InputError, match=r"epsilon 1e-06: expected at least 1\.2e-05.*float32"):
        geometry.check_epsilon(1e-6, np.float32)
    with pytest.raises(InputError, match="epsilon -1.0"):
        geometry.make(replace(problem.support, epsilon=-1.0))
    geometry.check_tolerance(1e-5, np.float32, 784)
    with pytest.raises(InputError, match=r"tolerance 1e-06: .* float32 over 784 atoms"):
        geometry.check_tolerance(1e-6, np.float32, 784)
    with pytest.raises(InputError, match="tolerance 2"):
        geometry.check_tolerance(2.0, np.float64, 3)
    with pytest.raises(InputError, match="unknown cost 'cube'; known are grid"):
        geometry.make(replace(problem.support, cost="cube"))
    with pytest.raises(InputError, match="side 3 does not have 49"):
        geometry.make(replace(problem.support, side=3))


def test_measures_without_mass_are_refused() -> None:
    with pytest.raises(InputError, match="pictures: measure 1 has no mass"):
        normalised(np.array([[1.0, 0.0], [0.0, 0.0]]), "pictures")
    with pytest.raises(InputError, match="negative or not finite"):
        normalised(np.array([1.0, np.nan]), "pictures")

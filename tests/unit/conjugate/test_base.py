"""Both solvers against closed forms, a plain-loop reference, SciPy, jaxopt and optax."""

import dataclasses
import functools
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from w2dual import conjugate, potentials
from w2dual.conjugate import Status, adam, base, lbfgs
from w2dual.records import InputError

from .reference import lbfgs as reference_lbfgs

LBFGS = lbfgs.LBFGS(
    history=10,
    gradient_tolerance=0.1,
    max_iterations=100,
    decrease_tolerance=2.220446049250313e-9,
    armijo=1e-4,
    shrink=1.5,
    trials=10,
    line_search="sequential",
    curvature="positive",
)
PRECISE = dataclasses.replace(LBFGS, gradient_tolerance=1e-5, decrease_tolerance=0.0, trials=30)
ADAM = adam.Adam(
    gradient_tolerance=0.1,
    max_iterations=100,
    learning_rate=0.1,
    final_learning_rate_factor=1e-4,
    b1=0.9,
    b2=0.999,
)


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def quadratic(dimension, seed, seeds=1):
    """f(x) = 1/2 x'Ax + b'x for each seed, with its conjugate's argmin A^-1 (y - b)."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(seeds, dimension, dimension))
    matrix = root @ root.swapaxes(1, 2) / dimension + 0.5 * np.eye(dimension)
    vector = rng.normal(size=(seeds, dimension))

    def oracle(x):
        product = jnp.einsum("sij,slj->sli", matrix, x)
        value = 0.5 * jnp.sum(x * product, -1) + jnp.einsum("si,sli->sl", vector, x)
        return value, product + vector[:, None]

    def solution(y):
        return np.linalg.solve(matrix[:, None], (y - vector[:, None])[..., None])[..., 0]

    return oracle, solution


def network(kind, dimension, seed, seeds=1):
    settings_ = {"kind": kind, "activation": "elu", "hidden": [16, 16, 8]}
    if kind == "icnn":
        settings_["actnorm"] = True
    module = potentials.make(settings_, dimension)
    points = jax.random.normal(jax.random.key(seed), (64, dimension), jnp.float64) * 3
    keys = jax.random.split(jax.random.key(seed + 1), seeds)

    def init(key):
        params = module.init(key, points)["params"]
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)

    params = jax.jit(jax.vmap(init))(keys)
    single = partial(potentials.value_and_gradient, module)
    return lambda x: jax.vmap(single)(params, x)


def solve(solver, oracle, y, start, lanes=None):
    """Call `conjugate.solve` as training does: compiled as a whole."""

    @jax.jit
    def run(y, start):
        return conjugate.solve(solver, oracle, y, start, lanes=lanes)

    return run(jnp.asarray(y), jnp.asarray(start))


def points(seeds, lanes, dimension, seed=0, scale=2.0):
    return scale * np.random.default_rng(seed).normal(size=(seeds, lanes, dimension))


def plain_settings(solver):
    """What the plain loop takes: it tries all step lengths, in whatever order ours does."""
    return {k: v for k, v in dataclasses.asdict(solver).items() if k != "line_search"}


@pytest.mark.parametrize("dimension", [2, 32])
def test_lbfgs_finds_the_closed_form(dimension):
    oracle, solution = quadratic(dimension, seed=3, seeds=2)
    y = points(2, 50, dimension)
    result = solve(PRECISE, oracle, y, y)
    assert (result.status == Status.CONVERGED).all()
    # |x - x*| <= |g|_2 / 0.5, the smallest eigenvalue being at least 0.5
    np.testing.assert_allclose(result.x, solution(y), atol=2e-5 * np.sqrt(dimension))
    value, gradient = oracle(result.x)
    np.testing.assert_allclose(result.value, value - (result.x * y).sum(-1))
    np.testing.assert_allclose(result.gradient_norm, np.abs(gradient - y).max(-1))


def test_adam_finds_the_closed_form_to_its_tolerance():
    oracle, solution = quadratic(4, seed=5)
    y = points(1, 50, 4)
    result = solve(ADAM, oracle, y, solution(y) + 0.3)
    assert (result.status == Status.CONVERGED).mean() > 0.9
    converged = np.asarray(result.status == Status.CONVERGED)
    gap = np.abs(np.asarray(result.x) - solution(y)).max(-1)
    assert gap[converged].max() <= 0.1 * 2 * np.sqrt(4)  # gradient tolerance over the modulus


@pytest.mark.parametrize("kind", ["icnn", "mlp"])
@pytest.mark.parametrize("solver", [LBFGS, PRECISE], ids=["paper", "precise"])
def test_lbfgs_equals_the_plain_loop_point_by_point(kind, solver):
    dimension, lanes = 5, 20
    oracle = network(kind, dimension, seed=2)
    y = points(1, lanes, dimension, seed=1, scale=4.0)
    result = solve(solver, oracle, y, y)
    evaluate = jax.jit(oracle)
    for lane in range(lanes):

        def objective(x, target=y[0, lane]):
            value, gradient = map(np.asarray, evaluate(x[None, None]))
            return float(value[0, 0] - x @ target), gradient[0, 0] - target

        expected = reference_lbfgs(objective, y[0, lane], **plain_settings(solver))
        assert Status(int(result.status[0, lane])).name == expected.status
        assert int(result.iterations[0, lane]) == expected.iterations
        # the same sums in another order, over some tens of iterations in float64
        np.testing.assert_allclose(result.x[0, lane], expected.x, rtol=1e-6, atol=1e-7)


@functools.cache
def compiled_solve(kind, line_search, lanes, curvature):
    """Parameters of a network in R^4 from a key, its oracle, and the paper's solver on it."""
    settings_ = {"kind": kind, "activation": "elu", "hidden": [12, 8]}
    if kind == "icnn":
        settings_["actnorm"] = True
    module = potentials.make(settings_, 4)
    changes = {"line_search": line_search, "curvature": curvature, "gradient_tolerance": 1e-2}
    solver = dataclasses.replace(LBFGS, **changes)

    def init(key, y):
        params = module.init(key, y)["params"]
        # rougher than at the start of training, so that line searches have work to do
        return jax.tree.map(lambda leaf: 2.0 * leaf.astype(jnp.float64)[None], params)

    def oracle(params, x):
        return jax.vmap(partial(potentials.value_and_gradient, module))(params, x)

    def solve(params, y):
        return conjugate.solve(solver, partial(oracle, params), y, y, lanes=lanes)

    return jax.jit(init), jax.jit(oracle), jax.jit(solve), solver


PROGRAMS = [
    *itertools.product(["icnn", "mlp"], ["sequential", "parallel"], [3], ["positive"]),
    ("mlp", "sequential", 9, "any"),
]


@settings(max_examples=25, deadline=None)
@given(
    program=st.sampled_from(PROGRAMS),
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.5, 3.0, 10.0]),
)
def test_lbfgs_equals_the_plain_loop_on_random_potentials(program, seed, spread):
    with jax.enable_x64(True):
        init, oracle, solve, solver = compiled_solve(*program)
        y = points(1, 9, 4, seed=seed, scale=spread)
        params = init(jax.random.key(seed), jnp.asarray(y[0]))
        result = solve(params, jnp.asarray(y))
        for lane in range(9):

            def objective(x, target=y[0, lane]):
                value, gradient = map(np.asarray, oracle(params, x[None, None]))
                return float(value[0, 0] - x @ target), gradient[0, 0] - target

            expected = reference_lbfgs(objective, y[0, lane], **plain_settings(solver))
            assert Status(int(result.status[0, lane])).name == expected.status
            assert int(result.iterations[0, lane]) == expected.iterations
            np.testing.assert_allclose(result.x[0, lane], expected.x, rtol=1e-6, atol=1e-7)


@functools.cache
def all_at_once(kind, solver):
    """A network of two seeds, points, and their conjugates with a lane for each point."""
    oracle = network(kind, 3, seed=4, seeds=2)
    y = jnp.asarray(points(2, 96, 3, seed=7, scale=4.0))
    return oracle, y, solve(solver, oracle, y, y, lanes=96)


@pytest.mark.parametrize("kind", ["icnn", "mlp"])
@pytest.mark.parametrize("solver", [LBFGS, ADAM], ids=["lbfgs", "adam"])
@pytest.mark.parametrize("lanes", [1, 7])
def test_the_queue_changes_no_result(kind, solver, lanes):
    oracle, y, wide = all_at_once(kind, solver)
    narrow = solve(solver, oracle, y, y, lanes=lanes)
    np.testing.assert_array_equal(wide.evaluations, narrow.evaluations)
    np.testing.assert_array_equal(wide.status, narrow.status)
    np.testing.assert_array_equal(wide.iterations, narrow.iterations)
    np.testing.assert_allclose(wide.x, narrow.x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("solver", [LBFGS, ADAM], ids=["lbfgs", "adam"])
def test_stages_change_no_result_and_save_evaluations(solver, monkeypatch):
    oracle, y, wide = all_at_once("mlp", solver)
    lanes = []

    def counting(x):
        jax.debug.callback(lambda size=x.shape[1]: lanes.append(size), ordered=True)
        return oracle(x)

    monkeypatch.setattr(base, "default_stages", lambda points: [points, 24, 5])
    found = solve(solver, counting, y, y, lanes=96)
    jax.effects_barrier()
    np.testing.assert_array_equal(wide.evaluations, found.evaluations)
    np.testing.assert_array_equal(wide.status, found.status)
    np.testing.assert_array_equal(wide.iterations, found.iterations)
    np.testing.assert_allclose(wide.x, found.x, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(wide.gradient_norm, found.gradient_norm, rtol=1e-9)
    # Each turn has the lanes of the first stage that holds the points still running in each seed.
    running = [max((wide.evaluations > turn).sum(axis=1)) for turn in range(wide.evaluations.max())]
    assert lanes == [next(size for size in (5, 24, 96) if count <= size) for count in running]
    assert set(lanes) == {96, 24, 5}


def test_stages_are_for_gpus_and_many_points(monkeypatch):
    assert base.default_stages(1024) == [1024]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert base.default_stages(1024) == [1024, 256, 64]
    assert base.default_stages(100) == [100]


def test_lbfgs_reaches_the_optimum_of_scipy():
    oracle = network("icnn", 6, seed=8)
    y = points(1, 20, 6, seed=9)
    result = solve(PRECISE, oracle, y, y)
    evaluate = jax.jit(oracle)
    for lane in range(20):

        def objective(x, target=y[0, lane]):
            value, gradient = map(np.asarray, evaluate(x[None, None]))
            return float(value[0, 0] - x @ target), gradient[0, 0] - target

        expected = scipy.optimize.minimize(
            objective, y[0, lane], jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 0}
        )
        # J is strongly convex with modulus 1 (the quadratic term), so J - J* <= |g|^2 / 2
        np.testing.assert_allclose(result.value[0, lane], expected.fun, rtol=0, atol=1e-9)
        np.testing.assert_allclose(result.x[0, lane], expected.x, atol=1e-4)


def test_lbfgs_reaches_the_optimum_of_jaxopt():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jaxopt says that it is unmaintained
        import jaxopt

    oracle = network("icnn", 4, seed=10)
    y = jnp.asarray(points(1, 16, 4, seed=11))

    def objective(x, target):
        value, _ = oracle(x[None, None])
        return value[0, 0] - x @ target

    solver = jaxopt.LBFGS(objective, tol=1e-6, maxiter=200)
    expected = jax.jit(jax.vmap(lambda target: solver.run(target, target).params))(y[0])
    result = solve(PRECISE, oracle, y, y)
    np.testing.assert_allclose(result.x[0], expected, atol=2e-5)


def test_adam_takes_the_steps_of_optax():
    oracle = network("mlp", 3, seed=12)
    y = jnp.asarray(points(1, 8, 3, seed=13, scale=4.0))
    solver = dataclasses.replace(ADAM, gradient_tolerance=1e-12, max_iterations=30)
    result = solve(solver, oracle, y, y)
    schedule = optax.cosine_decay_schedule(0.1, 30, alpha=1e-4)
    optimizer = optax.adam(schedule, b1=0.9, b2=0.999)

    @jax.jit
    def step(x, state):
        updates, state = optimizer.update(oracle(x)[1] - y, state)
        return optax.apply_updates(x, updates), state

    x, state = y, optimizer.init(y)
    for _ in range(30):
        x, state = step(x, state)
    assert isinstance(x, jax.Array)
    assert (result.status == Status.ITERATION_LIMIT).all()
    np.testing.assert_allclose(result.x, x, rtol=1e-7)


@functools.cache
def compiled(kind):
    """A network in R^3 and the solver on it, compiled once for all examples."""
    oracle = network(kind, 3, seed=6)
    return jax.jit(oracle), jax.jit(lambda y, x: conjugate.solve(PRECISE, oracle, y, x))


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(["icnn", "mlp"]), seed=st.integers(0, 10**6))
def test_fenchel_young(kind, seed):
    """f(x) + f*(y) >= <x, y> for all x; with f convex the result is the least J anywhere."""
    with jax.enable_x64(True):
        oracle, solve = compiled(kind)
        y = jnp.asarray(points(1, 12, 3, seed=seed))
        result = solve(y, y)
        x = jnp.asarray(points(1, 12, 3, seed=seed + 1))
        value, gradient = oracle(x)
        if kind == "icnn":
            slack = value - result.value - jnp.sum(x * y, -1)
            assert float(slack.min()) >= -1e-8
        # equality at y = grad f(x), started there: x itself is stationary
        tight = solve(gradient, x)
        np.testing.assert_allclose(value - tight.value, jnp.sum(x * gradient, -1), atol=1e-8)


def test_status_of_an_iteration_limit():
    oracle, _ = quadratic(6, seed=1)
    y = jnp.asarray(points(1, 8, 6, scale=5.0))
    tight = dataclasses.replace(PRECISE, max_iterations=2, gradient_tolerance=1e-12)
    result = solve(tight, oracle, y, y)
    assert (result.status == Status.ITERATION_LIMIT).all()
    assert (result.iterations == 2).all()


def test_status_of_a_failed_line_search_keeps_the_start():
    def uphill(x):  # a gradient of the wrong sign: no step along -g decreases f
        return jnp.sum(x**2, -1), -2 * x

    y = jnp.zeros((1, 4, 2))
    start = jnp.ones((1, 4, 2))
    result = solve(LBFGS, uphill, y, start)
    assert (result.status == Status.LINE_SEARCH_FAILED).all()
    np.testing.assert_array_equal(result.x, start)
    assert (result.evaluations == 1 + LBFGS.trials).all()


def test_status_of_a_stall():
    def flat(x):  # decreases by 2e-10 a step, with a gradient that promises more
        return -1e-10 * jnp.sum(x, -1), jnp.full_like(x, -1.0)

    y = jnp.zeros((1, 3, 2))
    result = solve(dataclasses.replace(LBFGS, armijo=1e-12), flat, y, y)
    assert (result.status == Status.STALLED).all()


@pytest.mark.parametrize("solver", [LBFGS, ADAM], ids=["lbfgs", "adam"])
def test_status_of_a_start_that_is_not_finite(solver):
    oracle, _ = quadratic(2, seed=1)
    y = jnp.zeros((1, 3, 2))
    start = jnp.asarray([[[0.0, 0.0], [jnp.nan, 0.0], [1.0, 1.0]]])
    result = solve(solver, oracle, y, start)
    assert result.status[0, 1] == Status.NON_FINITE
    assert (np.delete(np.asarray(result.status[0]), 1) != Status.NON_FINITE).all()


def test_steps_back_from_where_f_is_not_finite():
    def wall(x):  # f is infinite beyond |x| = 1.2
        value = jnp.sum(x**2, -1) * 5
        inside = jnp.max(jnp.abs(x), -1) < 1.2
        return jnp.where(inside, value, jnp.inf), jnp.where(inside[..., None], 10 * x, jnp.nan)

    y = jnp.zeros((1, 1, 2))
    result = solve(LBFGS, wall, y, jnp.full((1, 1, 2), 1.0))
    assert result.status[0, 0] == Status.CONVERGED
    assert jnp.isfinite(result.x).all()


def test_the_parallel_line_searchs_choice_is_the_largest_step_that_fits():
    """At a quadratic of curvature 4, J(x + a p) decreases enough for a < 0.5: first 1.5^-2."""
    oracle = lambda x: (2 * jnp.sum(x**2, -1), 4 * x)  # noqa: E731
    y = jnp.zeros((1, 1, 2))
    one = dataclasses.replace(LBFGS, max_iterations=1)
    result = solve(one, oracle, y, jnp.ones((1, 1, 2)))
    np.testing.assert_allclose(result.x, 1 - 4 * 1.5**-2, rtol=1e-12)
    assert int(result.evaluations[0, 0]) == 1 + 3


BEFORE: dict[str, np.ndarray] = {}
"""What a solver finds with nothing changed, by its kind: found once."""


def changes_the_result(base, change, dimension, oracle):
    y = jnp.asarray(points(1, 8, dimension, seed=3, scale=6.0))

    def found(settings_):
        solver = conjugate.make(settings_)
        assert solver is not None
        return np.asarray(solve(solver, oracle, y, y).x)

    kind = base["kind"]
    if kind not in BEFORE:
        BEFORE[kind] = found(base)
    return not np.array_equal(BEFORE[kind], found(base | change))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("history", 1),
        ("gradient_tolerance", 1e-2),
        ("max_iterations", 1),
        ("decrease_tolerance", 1.0),
        ("armijo", 0.9),
        ("shrink", 3.0),
        ("trials", 1),
    ],
)
def test_each_lbfgs_setting_reaches_the_solver(name, value):
    curvature = jnp.linspace(0.5, 8.0, 6)  # above 2 the first trial step fails
    oracle = lambda x: (  # noqa: E731
        jnp.sum(0.5 * curvature[None, None] * x**2, -1),
        curvature[None, None] * x,
    )
    base = dataclasses.asdict(dataclasses.replace(LBFGS, gradient_tolerance=1e-3))
    assert changes_the_result(base | {"kind": "lbfgs"}, {name: value}, 6, oracle)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gradient_tolerance", 1e-2),
        ("max_iterations", 20),
        ("learning_rate", 0.05),
        ("final_learning_rate_factor", 0.9),
        ("b1", 0.1),
        ("b2", 0.5),
    ],
)
def test_each_adam_setting_reaches_the_solver(name, value):
    oracle, _ = quadratic(3, seed=3)
    base = dataclasses.asdict(ADAM) | {"kind": "adam"}
    assert changes_the_result(base, {name: value}, 3, oracle)


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="no module w2dual.conjugate.newton"):
        conjugate.make({"kind": "newton"})


def test_an_unknown_line_search_is_refused():
    with pytest.raises(InputError, match="expected `sequential` or `parallel`"):
        conjugate.make(dataclasses.asdict(LBFGS) | {"kind": "lbfgs", "line_search": "zoom"})


def test_an_unknown_choice_of_pairs_is_refused():
    with pytest.raises(InputError, match="expected `positive` or `any`"):
        conjugate.make(dataclasses.asdict(LBFGS) | {"kind": "lbfgs", "curvature": "negative"})


def test_what_becomes_of_a_pair_without_curvature():
    """J(x) = cos x from x = 0.1, where it is concave: the first pair has s.d < 0.

    With `any`, as in the published code, the next direction is one of ascent: no trial is enough,
    and the point ends where it is. With `positive` the pair is skipped and the minimum is found.
    """

    def oracle(x):
        return jnp.cos(x[..., 0]), -jnp.sin(x)

    y, start = jnp.zeros((1, 1, 1)), jnp.full((1, 1, 1), 0.1)
    found = {
        curvature: solve(dataclasses.replace(PRECISE, curvature=curvature), oracle, y, start)
        for curvature in ("any", "positive")
    }
    assert found["any"].status[0, 0] == Status.LINE_SEARCH_FAILED
    assert found["any"].iterations[0, 0] == 2
    # one step of length 1 along -grad
    np.testing.assert_allclose(found["any"].x[0, 0, 0], 0.1 + np.sin(0.1), rtol=1e-12)
    assert found["positive"].status[0, 0] == Status.CONVERGED
    np.testing.assert_allclose(found["positive"].x[0, 0, 0], np.pi, atol=1e-5)


def test_no_point_is_evaluated_after_it_has_finished():
    """Lane-steps of the loop are the evaluations of the points, but for the last ones' idling."""
    oracle = network("mlp", 3, seed=4)
    y = jnp.asarray(points(1, 200, 3, seed=7, scale=6.0))
    calls = []

    def counting(x):
        jax.debug.callback(lambda: calls.append(1), ordered=True)
        return oracle(x)

    result = solve(LBFGS, counting, y, y, lanes=10)
    jax.effects_barrier()
    needed = int(result.evaluations.sum())
    assert needed > 400
    assert needed <= 10 * len(calls) <= needed + 10 * int(result.evaluations.max())


def test_an_unknown_setting_is_refused():
    with pytest.raises(InputError, match="momentum"):
        conjugate.make(dataclasses.asdict(ADAM) | {"kind": "adam", "momentum": 0.9})

"""The kernels, run by Pallas' interpreter, against the plain solver point by point.

In float64, so that a rounding does not decide whether a trial step is enough: then all statuses and
counts are equal. `benchmarks.gpu_check equality` compares in float32, on trained networks.
"""

import dataclasses
import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.conjugate.test_base import ADAM, LBFGS

from w2dual import conjugate, potentials
from w2dual.conjugate import Status, base, solving
from w2dual.conjugate.kernels import choice
from w2dual.potentials.icnn import ICNN
from w2dual.potentials.layered import layered
from w2dual.potentials.mlp import MLP

POINTS, SEEDS = 21, 2  # no whole number of blocks
# History wraps after 2 pairs; searches of 3 trials fail; some points come to the limit.
SHORT = {"history": 2, "trials": 3, "max_iterations": 6, "gradient_tolerance": 1e-2}
CASES = {
    "coordinates": (MLP([9, 5], "elu"), 2, dataclasses.replace(LBFGS, **SHORT, curvature="any")),
    "tile": (
        ICNN([9, 5], "leaky_relu_0.2", actnorm=True),
        5,
        dataclasses.replace(LBFGS, **SHORT, line_search="parallel"),
    ),
    "adam": (ICNN([9, 5], "elu", actnorm=True), 2, dataclasses.replace(ADAM, max_iterations=12)),
}


@functools.cache
def programs(case):
    """Parameters from a key, and the plain solver and the kernel, each compiled once."""
    module, n, solver = CASES[case]

    def init(key, points):
        def single(key):
            return module.init(key, points)["params"]

        params = jax.vmap(single)(jax.random.split(key, SEEDS))
        # rougher than at the start of training, so that line searches have work to do
        return jax.tree.map(lambda leaf: 2.5 * leaf.astype(jnp.float64), params)

    def plain(params, y, start):
        return base.drive(solver, potentials.Oracle(module, params), y, start, lanes=POINTS)

    def kernel(params, y, start):
        whole = solving.kernel_of(solver, potentials.Oracle(module, params), n, interpret=True)
        assert whole is not None
        return whole(y, start)

    return jax.jit(init), jax.jit(plain), jax.jit(kernel), n


@pytest.mark.parametrize("case", CASES)
def test_a_kernel_equals_the_plain_solver_point_by_point(case):
    seen = set()

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(
        seed=st.integers(0, 10**6),
        spread=st.sampled_from([0.3, 3.0, 10.0]),
        bad=st.sampled_from([None, np.inf, np.nan]),
    )
    def check(seed, spread, bad):
        init, plain, kernel, n = programs(case)
        rng = np.random.default_rng(seed)
        y = spread * rng.normal(size=(SEEDS, POINTS, n))
        start = y + rng.normal(size=y.shape)
        if bad is not None:
            start[1, 3, 1] = bad
        params = init(jax.random.key(seed), jnp.asarray(y[0]))
        expected, found = plain(params, y, start), kernel(params, y, start)
        np.testing.assert_array_equal(found.status, expected.status)
        np.testing.assert_array_equal(found.iterations, expected.iterations)
        np.testing.assert_array_equal(found.evaluations, expected.evaluations)
        # the same sums in another order, over a few iterations in float64
        for name in ("x", "value", "gradient_norm"):
            np.testing.assert_allclose(
                getattr(found, name), getattr(expected, name), rtol=1e-6, atol=1e-7
            )
        seen.update(np.unique(expected.status).tolist())

    with jax.enable_x64(True):
        check()
    wanted = {Status.CONVERGED, Status.ITERATION_LIMIT, Status.NON_FINITE}
    if case != "adam":
        wanted.add(Status.LINE_SEARCH_FAILED)
    assert wanted <= seen


class Derived(type(LBFGS)):
    """A user's solver."""


class DerivedMLP(MLP):
    """A user's potential."""


@pytest.mark.parametrize(
    ("module", "solver", "n", "there"),
    [
        (MLP([64, 32], "elu"), LBFGS, 2, True),
        (ICNN([128, 128, 64], "leaky_relu_0.2", True), ADAM, 64, True),
        (MLP([256, 256], "elu"), LBFGS, 2, False),  # too wide
        (MLP([64, 64], "elu"), LBFGS, 129, False),
        (MLP([], "elu"), LBFGS, 2, False),
        (MLP([64], "softplus"), LBFGS, 2, False),
        (DerivedMLP([64], "elu"), LBFGS, 2, False),
        (MLP([64], "elu"), Derived(**dataclasses.asdict(LBFGS)), 2, False),
    ],
)
def test_which_conjugations_have_a_kernel(module, solver, n, there):
    def chosen(x):
        params = module.init(jax.random.key(0), x)["params"]
        params = jax.tree.map(lambda leaf: leaf[None], params)
        found.append(choice.choose(solver, layered(module, params), n))
        return x

    found = []
    jax.eval_shape(chosen, jax.ShapeDtypeStruct((3, n), jnp.float32))
    assert (found[0] is not None) == there


def test_a_gpu_takes_the_kernel_and_a_cpu_never(monkeypatch, caplog):
    module, n, solver = CASES["coordinates"]
    y = jax.ShapeDtypeStruct((SEEDS, POINTS, n), jnp.float32)

    def program(y):
        params = jax.tree.map(
            lambda leaf: jnp.stack([leaf, leaf]), module.init(jax.random.key(0), y[0])["params"]
        )
        own = potentials.Oracle(module, params)
        return (
            conjugate.solve(solver, own, y, y),
            conjugate.solve(solver, lambda x: own(x), y, y),
            conjugate.solve(solver, own, y, y, lanes=3),
        )

    assert str(jax.make_jaxpr(program)(y)).count("pallas_call") == 0
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    solving._say.cache_clear()
    caplog.set_level("INFO", logger=solving.__name__)
    # A fresh function: what was traced before stays as it was.
    assert str(jax.make_jaxpr(lambda y: program(y))(y)).count("pallas_call[") == 1
    jax.make_jaxpr(lambda y: program(y))(y)
    ways = [record.getMessage().partition("R^2 ")[2] for record in caplog.records]
    assert sorted(ways) == ["by a loop of operations", "by one kernel"]  # once each


@pytest.mark.parametrize("curvature", ["any", "positive"])
def test_the_solver_without_loops_takes_the_same_steps(curvature, monkeypatch):
    module, n, _ = CASES["tile"]
    solver = dataclasses.replace(LBFGS, **SHORT, curvature=curvature)
    init, *_ = programs("tile")
    with jax.enable_x64(True):
        y = jnp.asarray(8 * np.random.default_rng(3).normal(size=(SEEDS, POINTS, n)))
        params = init(jax.random.key(5), y[0])

        def run():
            oracle = potentials.Oracle(module, params)
            return jax.jit(lambda y: base.drive(solver, oracle, y, y, lanes=POINTS))

        expected = run()(y)
        assert (expected.iterations > solver.history + 1).any()
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        text = str(jax.make_jaxpr(lambda y: run()(y))(y))
        assert text.count("while[") == 1  # the solver's own
        found = run()(y)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_array_equal(found.iterations, expected.iterations)
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-9, atol=1e-9)


def test_a_cpu_does_not_load_pallas():
    said = "import sys, w2dual.jobs.train, w2dual.training.methods.dual\n"
    said += "print('jax.experimental.pallas' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"

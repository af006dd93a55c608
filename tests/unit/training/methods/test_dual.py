"""The dual objective, the losses and one update, against closed forms and finite differences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.unit.settings import solver as solver_settings
from tests.unit.settings import training as training_settings

from w2dual import amortization, conjugate
from w2dual.amortization.cycle import cycle
from w2dual.amortization.objective import objective
from w2dual.amortization.regression import regression
from w2dual.records import InputError
from w2dual.training.methods import Given
from w2dual.training.methods.dual import Networks
from w2dual.training.methods.dual import make as make_problem

SOLVER = solver_settings(
    gradient_tolerance=1e-9, max_iterations=200, decrease_tolerance=0.0, trials=30
)


def settings(potential="icnn", loss="regression", solver=None, weight=None, **training):
    icnn = {"actnorm": True} if potential == "icnn" else {}
    return {
        "potential": {"kind": potential, "activation": "elu", "hidden": [8, 8, 4], **icnn},
        "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [8, 8]},
        "amortization": {"kind": loss} | ({"weight": weight} if weight else {}),
        "solver": SOLVER if solver is None else solver,
        "training": training_settings(**{"iterations": 100} | training),
    }


def setup(problem, seeds=1, batch=32, dtype=jnp.float64):
    @jax.jit
    def drawn():
        keys = jax.random.split(jax.random.key(0), seeds)
        x = jax.random.normal(jax.random.key(1), (seeds, batch, 2), dtype)
        y = 1.5 * jax.random.normal(jax.random.key(2), (seeds, batch, 2), dtype) + 0.3

        def init(module):
            params = jax.vmap(module.init)(keys, x)["params"]
            return jax.tree.map(lambda leaf: leaf.astype(dtype), params)

        model = None if problem.model is None else init(problem.model)
        return Networks(init(problem.potential), model), x, y

    return drawn()


def start(problem, params):
    return jax.jit(problem.init)(params)


@pytest.mark.parametrize("potential", ["icnn", "mlp"])
def test_danskins_gradient_against_finite_differences(potential):
    """-E grad f(x) + E grad f(x_hat), x_hat fixed, is the derivative of V with x_hat moving."""
    with jax.enable_x64(True):
        problem = make_problem(settings(potential, "none"), 2)
        params, x, y = setup(problem)

        @jax.jit
        def dual(params):
            value, _ = problem.oracle(params)(x)
            result = problem.conjugate(params, y)
            return jnp.mean(result.value) - jnp.mean(value), result.x

        _, x_hat = dual(params)
        one = jax.tree.map(lambda leaf: leaf[0], params)
        gradient, _ = jax.jit(jax.grad(problem._loss, has_aux=True))(one, x[0], y[0], x_hat[0])
        draws = np.random.default_rng(0)
        direction = jax.tree.map(lambda leaf: draws.normal(size=leaf.shape), one)
        inner = sum(
            np.vdot(a, b)
            for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
        )

        def moved(step):
            there = jax.tree.map(lambda p, d: np.asarray(p) + step * d[None], params, direction)
            return dual(there)[0]

        difference = (moved(1e-5) - moved(-1e-5)) / 2e-5
        # the loss is -V; central differences at 1e-5: error of order 1e-10 times third derivatives
        np.testing.assert_allclose(-inner, difference, rtol=1e-5)


def test_the_dual_objective_of_a_quadratic_is_the_closed_form():
    """For f = 1/2 ||x||^2: V = -E||x||^2/2 - E||y||^2/2."""
    with jax.enable_x64(True):
        problem = make_problem(settings("mlp", "none"), 2)
        params, x, y = setup(problem)
        quadratic = jax.tree.map(np.zeros_like, params)  # log_alpha = 0, the MLP 0
        _, metrics, _ = jax.jit(problem.update)(start(problem, quadratic), Given(x, y))
        expected = -sum(np.mean(np.sum(np.square(points), -1)) for points in (x, y)) / 2
        np.testing.assert_allclose(metrics.dual_objective[0], expected, rtol=1e-10)


def batch_of(fine_tuned):
    """f(x) = ||x||^2 (grad 2x), model(y) = y/2 + 1 with hand-set points."""
    y = jnp.asarray([[2.0, 4.0], [0.0, -2.0]])
    x = jnp.asarray([[1.0, 0.0], [1.0, 1.0]])
    model = lambda v: v / 2 + 1  # noqa: E731
    return amortization.AmortizationBatch(
        potential_fixed=lambda v: jnp.sum(v**2, -1),
        gradient=lambda v: 2 * v,
        gradient_fixed=lambda v: 2 * v,
        model=model,
        x=x,
        y=y,
        x_tilde=model(y),
        x_hat=y / 2,
        fine_tuned=fine_tuned,
    )


def test_objective_loss_by_hand():
    # x_tilde = (2,3), (1,0): f = 13, 1; <x_tilde, y> = 16, 0
    assert float(objective(batch_of(True))) == pytest.approx((-3 + 1) / 2)


def test_regression_loss_by_hand():
    assert float(regression(batch_of(True))) == pytest.approx(1.0)  # off by 1 each


def test_cycle_loss_by_hand():
    # 2 x_tilde - y = (2, 2), (2, 2); model(2x) - x = (1, 1), (1, 1)
    assert float(cycle(batch_of(True), 3.0)) == pytest.approx(3 * 4)
    assert float(cycle(batch_of(False), 3.0)) == pytest.approx(3 * (4 + 1))


@pytest.mark.parametrize(
    ("loss", "solver", "free"),
    [("objective", None, False), ("cycle", None, False), ("cycle", {"kind": "none"}, True)],
)
def test_whether_the_loss_moves_the_potential(loss, solver, free):
    """f is held fixed in the amortization loss, but for the cycle loss without a solver."""
    with jax.enable_x64(True):
        weight = 2.0 if loss == "cycle" else None
        problem = make_problem(settings("icnn", loss, solver, weight), 2)
        bare = dataclasses.replace(problem, loss=None)
        params, x, y = setup(problem)
        one = jax.tree.map(lambda leaf: leaf[0], params)
        gradients = [
            jax.jit(jax.grad(p._loss, has_aux=True))(one, x[0], y[0], y[0])[0]
            for p in (problem, bare)
        ]
        moved = [
            not np.allclose(a, b)
            for a, b in zip(*(jax.tree.leaves(g.potential) for g in gradients), strict=True)
        ]
        assert any(moved) == free
        assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients[0].model))


def test_the_optimizer_is_adamw_with_a_cosine_schedule():
    problem = make_problem(settings("mlp", "objective"), 2)
    plain = optax.adamw(
        optax.cosine_decay_schedule(5e-4, 100, 1e-4), b1=0.5, b2=0.5, weight_decay=1e-4
    )
    params = {"a": jnp.asarray([1.0, -2.0]), "b": jnp.asarray([[3.0]])}
    gradient = jax.tree.map(lambda leaf: 0.1 * leaf + 0.2, params)
    ours, theirs = problem.optimizer.init(params), plain.init(params)
    both = jax.jit(problem.optimizer.update), jax.jit(plain.update)
    for _ in range(3):
        a, ours = both[0](gradient, ours, params)
        b, theirs = both[1](gradient, theirs, params)
        jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-6), a, b)


def test_a_diverging_seed_is_frozen_and_its_neighbours_are_untouched():
    changes = {"divergence_loss": 50.0, "divergence_every": 3}
    problem = make_problem(settings("mlp", "objective", {"kind": "none"}, **changes), 2)
    params, x, y = setup(problem, seeds=3, dtype=jnp.float32)
    update = jax.jit(problem.update)
    apart = jnp.asarray([1.0, 1e4, 1.0])[:, None, None]
    clean = broken = start(problem, params)
    for step in range(4):
        clean, *_ = update(clean, Given(x, y))
        broken, *_ = update(broken, Given(x * (apart if step == 2 else 1.0), y))
    assert broken.diverged_at.tolist() == [-1, 3, -1]
    assert clean.diverged_at.tolist() == [-1, -1, -1]
    for one, other in zip(
        jax.tree.leaves(clean.params), jax.tree.leaves(broken.params), strict=True
    ):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[2], other[2])
        assert np.isfinite(other[1]).all()


def test_the_loss_is_judged_at_the_first_step_and_at_each_multiple():
    """The published code looks at step 1 and every 1,000th (w2ot, run_train.py); here every 3rd."""
    changes = {"divergence_loss": 1e-9, "divergence_every": 3}
    problem = make_problem(settings("mlp", "objective", {"kind": "none"}, **changes), 2)
    params, x, y = setup(problem, dtype=jnp.float32)
    update, first = jax.jit(problem.update), start(problem, params)
    fatal = [
        step
        for step in range(1, 8)
        if update(first._replace(step=jnp.int32(step - 1)), Given(x, y))[0].diverged_at[0] == step
    ]
    assert fatal == [1, 3, 6]


def test_parameters_that_are_not_finite_are_divergence_at_any_step():
    problem = make_problem(settings("mlp", "objective", {"kind": "none"}), 2)
    params, x, y = setup(problem, seeds=2, dtype=jnp.float32)
    before = start(problem, params)._replace(step=jnp.int32(16))
    state, *_ = jax.jit(problem.update)(before, Given(x.at[0, 0, 0].set(jnp.nan), y))
    assert state.diverged_at.tolist() == [17, -1]
    jax.tree.map(
        lambda new, old: np.testing.assert_array_equal(new[0], old[0]), state.params, params
    )


def test_nothing_recompiles_on_the_second_step():
    problem = make_problem(settings("icnn", "regression"), 2)
    params, x, y = setup(problem, dtype=jnp.float32)
    traces = []

    def traced(state, x, y):
        traces.append(1)
        return problem.update(state, Given(x, y))

    update = jax.jit(traced)
    state, *_ = update(start(problem, params), x, y)
    update(state, x, y)
    assert len(traces) == 1


def test_without_a_solver_the_conjugate_is_the_amortization_model():
    problem = make_problem(settings("mlp", "objective", {"kind": "none"}), 2)
    params, _, y = setup(problem, dtype=jnp.float32)

    @jax.jit
    def both(params, y):
        return problem.conjugate(params, y), problem.amortized(params, y)

    result, mapped = both(params, y)
    np.testing.assert_array_equal(result.x, mapped)
    assert (result.status == conjugate.Status.RUNNING).all()


def test_impossible_cells_are_refused():
    with pytest.raises(InputError, match="regression"):
        make_problem(settings("mlp", "regression", {"kind": "none"}), 2)
    with pytest.raises(InputError, match="solver is needed"):
        make_problem(settings("mlp", "none", {"kind": "none"}), 2)
    with pytest.raises(
        InputError, match="use one of the known kinds: none, cycle, objective, regression"
    ):
        make_problem(settings("mlp", "hinge"), 2)

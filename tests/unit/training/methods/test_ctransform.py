"""The c-transform dual: equal to the project's dual where the cost is, and its messages."""

from __future__ import annotations

import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from w2dual.amortization.models.mlp_skip import MLPWithSkip
from w2dual.amortization.regression import make as regression
from w2dual.conjugate.costs import InnerProduct, SquaredEuclidean
from w2dual.conjugate.lbfgs import LBFGS
from w2dual.potentials.mlp import MLP
from w2dual.records import InputError
from w2dual.training.methods import Given, ctransform
from w2dual.training.methods.base import Divergence
from w2dual.training.methods.ctransform import CTransform
from w2dual.training.methods.dual import DualProblem
from w2dual.training.methods.dual import Networks as DualNetworks

SEEDS, BATCH, N = 2, 16, 2
SOLVER = LBFGS(5, 1e-4, 40, 0.0, 1e-4, 1.5, 20, "sequential", "positive")
F = MLP([8], "softplus")
MODEL = MLPWithSkip([8], "elu")
OPTIMIZER = optax.adam(1e-2)
DIVERGENCE = Divergence(1e5, 1000)
ACTION: dict[str, Any] = {
    "strength": 0.01,
    "temperature": 0.01,
    "start_strength": 0.0,
    "start_temperature": 0.1,
    "annealing_steps": 4,
    "segments": 8,
    "stages": [0.1],
    "bends": [0.5],
    "first_newton": 2,
    "newton": 1,
}
PATH: dict[str, Any] = {
    "hidden": [8],
    "activation": "elu",
    "knots": 6,
    "basis": "c2",
    "learning_rate": 1e-3,
    "clip": 1.0,
    "initial_steps": 3,
    "refit_every": 2,
    "refit_steps": 2,
    "last_refit": 1,
    "stop": 1e-4,
}
SETTINGS: dict[str, Any] = {
    "potential": {
        "kind": "mlp_linear",
        "hidden": [8],
        "activation": "elu",
        "quadratic": 0.0,
    },
    "amortization_model": {"kind": "mlp_skip", "hidden": [8], "activation": "elu"},
    "solver": {"kind": "lbfgs", "history": 5, "gradient_tolerance": 1e-3, "max_iterations": 5}
    | {"decrease_tolerance": 0.0, "armijo": 1e-4, "shrink": 1.5, "trials": 8}
    | {"line_search": "sequential", "curvature": "positive"},
    "obstacle": {"kind": "box", "half_width": 0.5},
    "method": {"kind": "ctransform", "cost": "action", "clip": 5.0, "bound": 1.5}
    | {"action": ACTION, "path": PATH},
    "training": {"batch_size": BATCH, "iterations": 6, "learning_rate": 1e-3}
    | {"final_learning_rate_factor": 1.0, "b1": 0.9, "b2": 0.999, "weight_decay": 0.0}
    | {"divergence_loss": 1e5, "divergence_every": 1000},
}


class Negated(nn.Module):
    """-f(y), or 1/2 ||y||^2 - f(y)."""

    square: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return 0.5 * self.square * jnp.sum(x * x, axis=-1) - MLP([8], "softplus", name="f")(x)


def _points() -> tuple[jax.Array, jax.Array]:
    keys = jax.random.split(jax.random.key(0))
    x, y = (jax.random.normal(key, (SEEDS, BATCH, N)) for key in keys)
    return x, y


@pytest.mark.parametrize("square", [0.0, 1.0], ids=["inner product", "squared distance"])
def test_an_update_is_the_dual_s_with_the_measures_exchanged(square: float):
    x, y = _points()
    cost = SquaredEuclidean() if square else InnerProduct()
    dual = DualProblem(F, MODEL, regression({}), SOLVER, OPTIMIZER, DIVERGENCE, N)
    ours = CTransform(Negated(square), MODEL, SOLVER, cost, None, None, OPTIMIZER, DIVERGENCE, N)
    keys = jax.random.split(jax.random.key(1), SEEDS)
    f = jax.vmap(lambda key: F.init(key, x[0])["params"])(keys)
    model = jax.vmap(lambda key: MODEL.init(key, x[0])["params"])(keys)
    params = ctransform.Networks({"f": f}, model, None)

    after_dual = jax.jit(lambda: dual.update(dual.init(DualNetworks(f, model)), Given(y, x)))()
    after = jax.jit(lambda: ours.update(ours.init(params), Given(x, y)))()

    # Adam divides by the gradient's size: a rounding of a gradient near 0 moves a parameter.
    for one, other in (
        (after.state.params.potential["f"], after_dual.state.params.potential),
        (after.state.params.model, after_dual.state.params.model),
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), one, other)
    shift = 0.5 * square * jnp.mean(jnp.sum(x * x, -1) + jnp.sum(y * y, -1), axis=1)
    np.testing.assert_allclose(
        after.metrics.dual_objective - shift, after_dual.metrics.dual_objective, atol=2e-5
    )
    assert float(jnp.min(jnp.abs(after_dual.metrics.dual_objective))) > 0.1


@pytest.mark.long
def test_paths_are_trained_fitted_and_annealed():
    method = ctransform.make(SETTINGS, N)
    assert method.paths is not None
    x, y = _points()
    trees = {
        name: jax.vmap(lambda key, network=network: network.init(key, x[0]))(
            jax.random.split(jax.random.key(2), SEEDS)
        )
        for name, network in method.networks.items()
    }
    state = method.init(method.assemble(trees))

    class Fresh(Given):
        """The same points at each index: a fit may ask for any."""

        @staticmethod
        def _only(index: Any, points: jax.Array) -> jax.Array:
            return points

    step = jax.jit(lambda state: method.update(state, Fresh(x, y)))
    fits = []
    for _ in range(4):
        before = state.params
        found = step(state)
        state = found.state
        fits.append(int(found.metrics.fit_steps[0]))
        moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), before, state.params)
        moved.potential["dense_1"].pop("bias")  # a constant, which the dual does not depend on
        assert all(jax.tree.leaves(moved))
    # The first fit stops once the obstacle, which is not there yet, gives no gradient; then every
    # second step has one.
    assert fits[0] in (1, 2, 3)
    assert [fits[1], fits[3]] == [0, 0]
    assert fits[2] == 2
    pushed = method.push(state.params, x)
    assert float(jnp.max(jnp.abs(pushed))) <= 1.5
    assert method.paths.lagrangian(0).cost(jnp.zeros((9, 2))) == 0.0


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("method", "cost"), "manhattan", "`settings.method.cost` is 'manhattan'; expected action"),
        (("method", "path"), None, "needs `settings.method.action`, `settings.method.path`"),
        (("solver", "kind"), "none", "a c-transform needs a conjugate solver"),
        (("obstacle", "kind"), "cliff", "obstacle kind 'cliff': there is no module"),
        (("method", "path", "basis"), "c9", "spline basis 'c9': expected c1 or c2"),
    ],
)
def test_settings_that_do_not_fit_are_refused(place: tuple[str, ...], value: Any, message: str):
    settings = copy.deepcopy(SETTINGS)
    inner = settings
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(InputError, match=message):
        ctransform.make(settings, N)


def test_there_is_no_way_back():
    method = ctransform.make(SETTINGS, N)
    with pytest.raises(InputError, match="`ctransform` has no inverse map"):
        method.pull(None, _points()[1])  # pyright: ignore[reportArgumentType]

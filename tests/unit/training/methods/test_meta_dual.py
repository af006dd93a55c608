"""Networks that predict dual potentials: losses, gradients, and that training makes them better."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.entropic import geometry, semi_dual, sinkhorn, starts
from w2dual.evaluation.kinds import meta_dual as evaluation
from w2dual.measures.pairs.grid_images import GridImages
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods.base import Swapped
from w2dual.training.methods.meta_dual import MetaDual, Networks

SIDE = 4
PAIR = GridImages(
    dimension=SIDE**2,
    images=jnp.asarray(
        np.random.default_rng(0).integers(0, 255, (6, SIDE**2))
        * (np.random.default_rng(1).uniform(size=(6, SIDE**2)) < 0.6),
        jnp.uint8,
    ),
    others=jnp.asarray(np.random.default_rng(2).integers(1, 255, (4, SIDE**2)), jnp.uint8),
    side=SIDE,
    epsilon=0.05,
)
A = PAIR.sample_source(jax.random.key(0), 5)
B = PAIR.sample_target(jax.random.key(1), 5)
TRAINING = {
    "batch_size": 8,
    "iterations": 100,
    "learning_rate": 3e-3,
    "final_learning_rate_factor": 1.0,
    "b1": 0.9,
    "b2": 0.999,
    "weight_decay": 0.0,
    "divergence_loss": 1e5,
    "divergence_every": 1000,
}


def made(**own: Any) -> MetaDual:
    method = {
        "kind": "meta_dual",
        "hidden": [8],
        "mask": True,
        "residual": "none",
        "loss": "dual",
        "half_steps": 0,
        "clip": 1.0,
        "targets": SIDE**2,
    }
    found = methods.make({"training": TRAINING, "method": method | own}, SIDE**2)
    assert isinstance(found, MetaDual)
    return found


def params(method: MetaDual, seed: int = 0) -> Networks:
    tree = method.networks["prediction"].init(jax.random.key(seed), jnp.zeros((1, SIDE**2)))
    return method.assemble({"prediction": tree})


class Drawn:
    """Points of a step of one seed."""

    pair = PAIR

    def source(self, index: Any = 0) -> Any:
        del index
        return A[None]

    def target(self, index: Any = 0) -> Any:
        del index
        return B[None]

    def truth(self, x: Any) -> Any:
        raise AssertionError(x)

    def more_keys(self) -> Any:
        raise AssertionError("this method draws nothing else by it")


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("half_steps", [0, 2])
def test_the_gradient_of_the_dual_is_that_of_autodiff(mask: bool, half_steps: int) -> None:
    method = made(mask=mask, half_steps=half_steps)
    kernel = geometry.make(PAIR.support)

    def plainly(weights: Networks) -> Any:
        u = method.predict(weights, PAIR.support, A, B)
        u = semi_dual.masked(u, A) if mask else u
        u = jax.vmap(lambda a, b, u: sinkhorn.half_steps(kernel, a, b, u, half_steps))(A, B, u)
        form = jax.vmap(semi_dual.relative_entropy_form, (None, 0, 0, 0))
        return -PAIR.epsilon * jnp.mean(form(kernel, u, A, B))

    weights = params(method)
    loss, wanted = jax.jit(jax.value_and_grad(plainly))(weights)
    found, metrics = jax.jit(jax.grad(method._loss, has_aux=True))(weights, PAIR.support, A, B)
    assert float(metrics.loss) == pytest.approx(float(loss), rel=1e-4)
    for new, old in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(new, old, rtol=2e-3, atol=1e-6)


def test_the_regression_is_on_the_potential_some_iterations_on() -> None:
    method = made(loss="regression", half_steps=4)
    weights = params(method)
    _, metrics = jax.jit(jax.grad(method._loss, has_aux=True))(weights, PAIR.support, A, B)
    u = semi_dual.masked(method.predict(weights, PAIR.support, A, B), A)
    kernel = geometry.make(PAIR.support)
    errors = []
    for a, b, row in zip(A, B, u, strict=True):
        target = sinkhorn.half_steps(kernel, a, b, row, 4)
        there = np.asarray(a) > 0
        difference = np.asarray(row - target)[there]
        weight = np.asarray(a)[there]
        errors.append(weight @ (difference - weight @ difference) ** 2)
    assert float(metrics.loss) == pytest.approx(PAIR.epsilon * np.mean(errors), rel=1e-3)
    assert metrics.loss > 0


def test_a_residual_starts_at_the_gaussian_potential() -> None:
    u = made(residual="gaussian").predict(params(made(residual="gaussian")), PAIR.support, A, B)
    wanted = jax.vmap(starts.gaussian, (None, 0, 0))(PAIR.support, A, B)
    plain = made().predict(params(made()), PAIR.support, A, B)
    assert float(jnp.abs(u - wanted).max()) < 0.1 * float(jnp.abs(plain).max())
    assert float(jnp.abs(u - wanted).max()) > 0


@pytest.mark.long
def test_training_lowers_the_loss_and_the_error_on_measures_that_it_never_sees() -> None:
    method = made(residual="gaussian", hidden=[32])
    tree = jax.tree.map(lambda leaf: leaf[None], params(method))
    judge = evaluation.evaluator(method)
    keys = jax.random.split(jax.random.key(3), 1)
    before = judge(tree, keys, PAIR, 8)
    state = method.init(tree)

    def steps(state: Any) -> Any:
        return jax.lax.scan(lambda s, _: method.update(s, Drawn())[:2], state, None, 60)

    state, metrics = jax.jit(steps)(state)
    after = judge(state.params, keys, PAIR, 8)
    assert metrics.loss[-1, 0] < metrics.loss[0, 0]
    assert int(state.step) == 60
    assert int(state.diverged_at[0]) == -1
    assert np.isfinite(after.first_error).all()
    # The optimum is above: the dual of a prediction never passes it.
    assert (np.asarray(before.first_error) <= before.marginal_error).all()


def test_there_is_no_map_of_points_and_swapping_leaves_the_measures() -> None:
    with pytest.raises(InputError, match="maps no points"):
        made().push(params(made()), A[None])
    assert Swapped(Drawn()).pair is PAIR  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"residual": "normal"}, "`settings.method.residual` is 'normal'; expected one of none"),
        ({"loss": "cycle"}, "expected one of dual, regression"),
        ({"half_steps": 3}, "expected an even number from 0"),
        ({"loss": "regression"}, "a regression needs a target"),
        ({"clip": 0.0}, "expected numbers above 0"),
        ({"depth": 3}, "unknown key `depth`"),
    ],
)
def test_settings_that_do_not_fit_are_refused(own: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(**own)

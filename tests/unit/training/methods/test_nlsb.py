"""NLSB: its gradient, what devices share, the paths it is judged by, and its messages."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from w2dual.paths.action import Rule
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods import nlsb
from w2dual.training.methods.nlsb import Bridge, NState

SEEDS, BATCH, N, STEPS = 2, 8, 2, 6
SETTINGS: dict[str, Any] = {
    "obstacle": {"kind": "hill"},
    "method": {"kind": "nlsb", "hidden": 5, "diffusion": [4], "constant": None, "steps": STEPS}
    | {"blur": 0.5, "scaling": 0.9, "action_weight": 0.3, "residual_weight": 0.2}
    | {"penalty": None, "repeats": 3, "strength": 0.01, "temperature": 0.1, "bound": 2.0},
    "training": {"batch_size": BATCH, "iterations": 6, "learning_rate": 1e-3}
    | {"final_learning_rate_factor": 1.0, "b1": 0.9, "b2": 0.999, "weight_decay": 0.0}
    | {"divergence_loss": 1e5, "divergence_every": 1000},
}


class Points(NamedTuple):
    """Points of a step, with keys for its noise."""

    x: jax.Array
    y: jax.Array
    keys: jax.Array
    pair: Any = None

    def source(self, index: Any = 0) -> jax.Array:
        return self.x

    def target(self, index: Any = 0) -> jax.Array:
        return self.y

    def truth(self, x: jax.Array) -> jax.Array:
        raise ValueError

    def more_keys(self) -> jax.Array:
        return self.keys


def _method(**changes: Any) -> Bridge:
    settings = copy.deepcopy(SETTINGS)
    settings["method"] |= changes
    return nlsb.make(settings, N)


def _begun(method: Bridge) -> NState:
    """The state of two seeds; steps of plain descent at a rate of 1 show the gradient."""

    def drawn(keys: jax.Array) -> Any:
        x = jnp.zeros((BATCH, N))
        return {
            name: jax.vmap(lambda key, init=network.init: init(key, x))(keys)
            for name, network in method.networks.items()
        }

    trees: Mapping[str, Any] = jax.jit(drawn)(jax.random.split(jax.random.key(0), SEEDS))
    return method.init(method.assemble(trees))


def _points() -> Points:
    draw = np.random.default_rng(0).normal(size=(2, SEEDS, BATCH, N)).astype(np.float32)
    keys = jax.random.split(jax.random.key(1), (SEEDS, 2))
    return Points(jnp.asarray(draw[0]) - 1.0, 0.5 * jnp.asarray(draw[1]) + 1.0, keys)


def test_a_step_goes_down_the_loss_that_it_names_also_on_devices_that_share_it():
    method = dataclasses.replace(_method(), optimizer=optax.sgd(1.0))
    state, points = _begun(method), _points()
    step = jax.jit(lambda state: method.update(state, points))
    whole = step(state)
    slopes = jax.tree.map(lambda old, new: np.asarray(old - new), state.params, whole.state.params)
    m = whole.metrics
    np.testing.assert_allclose(m.loss, m.divergence + 0.3 * m.action + 0.2 * m.residual, rtol=1e-5)

    # Central differences, of which a rounding of the loss is 1e-4.
    for name, path in (
        ("drift", ("square",)),
        ("drift", ("slope",)),
        ("drift", ("residual", "weight")),
        ("diffusion", ("Linear_1", "bias")),
    ):
        slope = getattr(slopes, name)
        for key in path:
            slope = slope[key]
        place = np.unravel_index(np.argmax(np.abs(slope)), slope.shape)
        assert np.abs(slope[place]) > 0.01
        ends = []
        for shift in (0.01, -0.01):
            params = jax.tree.map(np.array, state.params)
            leaf = getattr(params, name)
            for key in path:
                leaf = leaf[key]
            leaf[place] += shift
            ends.append(float(step(state._replace(params=params)).metrics.loss[place[0]]))
        assert slope[place] == pytest.approx((ends[0] - ends[1]) / 0.02, rel=0.03, abs=1e-3)

    half = BATCH // 2
    x, y = (p.reshape(SEEDS, 2, half, N).swapaxes(0, 1) for p in (points.x, points.y))
    parts = Points(x, y, points.keys.T[..., None])

    def shared(x: jax.Array, y: jax.Array, keys: jax.Array) -> Any:
        return method.update(state, Points(x, y, keys), "parts")

    both = jax.jit(jax.vmap(shared, axis_name="parts"))(parts.x, parts.y, parts.keys)
    for ours, theirs in zip(
        jax.tree.leaves((both.state.params, both.metrics)),
        jax.tree.leaves((whole.state.params, whole.metrics)),
        strict=True,
    ):
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(ours[0], ours[1])


def test_paths_are_drawn_and_their_mean_is_expected():
    method = _method()
    x, travel = jax.random.normal(jax.random.key(2), (SEEDS, 2000, N)), jax.jit(method.travel)
    params = jax.tree.map(np.array, _begun(method).params)
    # g = tanh(b), the same everywhere.
    params.diffusion["Linear_1"]["weight"][:] = 0.0
    params.diffusion["Linear_1"]["bias"][:] = 0.0
    still = travel(params, x)
    assert still.expected is not None
    np.testing.assert_allclose(still.expected, still.path, atol=1e-5)
    np.testing.assert_array_equal(jnp.moveaxis(still.path[-1], 0, -1), still.y)
    assert still.path.shape == (STEPS + 1, N, SEEDS, 2000)
    # Without noise a path is one of least action, or not, and costs what any path does.
    cost = method.scene.action(Rule(STEPS, "left")).cost(still.path)
    np.testing.assert_allclose(still.action, cost, rtol=1e-4)

    # Without drift what is drawn has the variance g^2, and the mean of three a third of it.
    params.diffusion["Linear_1"]["bias"][:] = np.arctanh(0.6)
    free = params._replace(drift=jax.tree.map(np.zeros_like, params.drift))
    found = travel(free, x)
    assert found.expected is not None
    drawn, mean = (np.asarray(end) for end in (found.path[-1], found.expected[-1]))
    start = np.moveaxis(np.asarray(x), -1, 0)
    np.testing.assert_allclose(np.var(drawn - start, axis=-1), 0.36, rtol=0.15)
    np.testing.assert_allclose(np.var(mean - start, axis=-1), 0.12, rtol=0.15)


def test_the_action_of_training_has_the_setting_s_strength_or_its_own():
    assert _method().strength == pytest.approx(3.61)
    assert _method(penalty=100.0).strength == 100.0
    assert _method(penalty=100.0).scene.strength == 0.01


def test_a_spread_that_is_a_number_has_no_network():
    assert set(_method(constant=0.3).networks) == {"drift"}
    assert set(_method().networks) == {"drift", "diffusion"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obstacle": None}, "the method `nlsb` needs `settings.obstacle`"),
        ({"method": {"steps": "many"}}, "settings.method.steps"),
        ({"method": {"reversed": True}}, "`nlsb` has no inverse map, which would be its map"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, Any], message: str):
    settings = copy.deepcopy(SETTINGS)
    settings["method"] |= change.get("method", {})
    if "obstacle" in change:
        del settings["obstacle"]
    with pytest.raises(InputError, match=message):
        methods.make(settings, N)


def test_there_is_no_way_back():
    with pytest.raises(InputError, match="`nlsb` has no inverse map"):
        _method().pull(None, _points().y)  # pyright: ignore[reportArgumentType]

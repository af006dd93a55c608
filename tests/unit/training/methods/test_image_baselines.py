"""The benchmark's own methods on images: what drops, what is normalised by what, and a step.

On networks of a few numbers in place of those of images, which are tested by themselves.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tests.unit import settings
from tests.unit.training.methods.drawn import Drawn

from w2dual import potentials
from w2dual.config.cells import Cell
from w2dual.potentials import torch_layers
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods import Given, w2gn
from w2dual.training.methods.base import Reversed, Swapped
from w2dual.training.methods.maximin_map import STATISTICS
from w2dual.training.methods.two_potentials import Both
from w2dual.training.pretraining import initial_params

N = 3 * 16**2
SMALL = 3 * 2**2
CONV_ICNN = {"kind": "conv_icnn", "widths": [2, 2, 2, 2], "strong_convexity": 0.01, "dropout": 0.2}
PARTS: dict[str, dict[str, Any]] = {
    "w2": {"method": {"kind": "w2gn_images", "weight": 100.0}, "potential": CONV_ICNN},
    "mm": {
        "method": {"kind": "maximin_map", "inner": 2},
        "potential": {"kind": "resnet", "filters": 2, "max_filters": 4},
        "amortization_model": {"kind": "unet", "base": 2},
    },
}


class Dropping(nn.Module):
    """A potential of images of 2 x 2 pixels that drops out a part of its input."""

    dropout: float = 0.5

    @nn.compact
    def __call__(self, x: Any, keys: Any = None) -> Any:
        weight = self.param("weight", nn.initializers.normal(1.0), x.shape[1:])
        if keys is not None:
            part = (len(x) // len(keys), x.shape[1])
            kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.dropout, part))(keys)
            x = x * kept.reshape(x.shape)
        return jnp.sum(jnp.exp(weight[None]) * x**2 + jnp.sin(x), axis=1)

    def project(self, params: Any) -> Any:
        return {"weight": jnp.minimum(params["weight"], 1.0)}


class Normalised(nn.Module):
    """A map of such images with batch normalisation."""

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        z = torch_layers.Convolution(3, kernel=1, name="conv")(torch_layers.images(x))
        return torch_layers.BatchNorm(name="norm")(z, train).reshape(x.shape)


def cell(name: str, **changes: Any) -> Cell:
    given = PARTS[name] | {
        "seeds": [3],
        "training": settings.training(batch_size=4, iterations=4, weight_decay=0.0),
        "pretraining": {
            "iterations": 2,
            "learning_rate": 1e-3,
            "weight_decay": 1e-10,
            "bound": 2.0,
            "tolerance": 1e-9,
        },
        "evaluation": {"samples": 4, "history_every": 2, "history_samples": 4},
        "logging": {"every": 2},
    }
    return Cell(name, "celeba64_early", N, "x", name, "none", given | changes)


def small(name: str, **changes: Any) -> Any:
    """Return a method with small networks in place of its own."""
    method: Any = methods.make(cell(name, **changes).settings, N)
    if name == "w2":
        return replace(method, potential=Dropping())
    return replace(method, potential=Dropping(), map=Normalised())


def params_of(method: Any) -> Both:
    keys = jax.random.split(jax.random.key(0), 2)
    networks = method.networks
    return Both(
        *(
            (networks["potential"] if network.start_from else network).init(
                key, jnp.ones((2, SMALL))
            )
            for key, network in zip(keys, networks.values(), strict=True)
        )
    )


def stacked(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[None], tree)


def drawn() -> Drawn:
    x, y = jax.random.normal(jax.random.key(1), (2, 3, 1, 4, SMALL))
    return Drawn(x, y, jax.random.split(jax.random.key(2), (1, 2)))


def test_without_dropout_the_loss_is_w2gns_and_each_of_six_uses_drops_other_parts(
    monkeypatch: pytest.MonkeyPatch,
):
    method = small("w2")
    params, batch = params_of(method), drawn()
    x, y, keys = batch.x[0, 0], batch.y[0, 0], batch.keys[0]
    plain = w2gn.W2GN.loss(method, params, x, y)[1]
    assert float(method.noisy_loss(params, x, y, keys)[1].loss) != float(plain.loss)
    seen = []
    original = potentials.value

    def value(module: Any, tree: Any, x: Any, *more: Any) -> Any:
        seen.extend(bytes(np.asarray(jax.random.key_data(key))) for key in more[0])
        return original(module, tree, x)  # and drops nothing

    monkeypatch.setattr(potentials, "value", value)
    found = method.noisy_loss(params, x, y, keys)[1]
    np.testing.assert_allclose(found, plain, rtol=1e-6)
    assert len(seen) == len(set(seen)) == 2 * 6


@pytest.mark.long
@pytest.mark.parametrize("name", PARTS)
def test_a_step_on_two_halves_is_that_on_the_whole(name: str):
    """What is dropped goes with the parts, and statistics are of all of a batch."""
    method = small(name)
    params, batch = params_of(method), drawn()
    start = method.init(stacked(params))
    whole = jax.jit(method.update)(start, batch)
    halves = Drawn(
        jnp.stack(jnp.split(batch.x, 2, axis=2)),
        jnp.stack(jnp.split(batch.y, 2, axis=2)),
        jnp.stack(jnp.split(batch.keys, 2, axis=1)),
    )
    update = jax.vmap(lambda half: method.update(start, half, "parts"), axis_name="parts")
    parts = jax.jit(update)(halves)
    for one, both in zip(
        jax.tree.leaves((whole.state, whole.metrics)),
        jax.tree.leaves((parts.state, parts.metrics)),
        strict=True,
    ):
        np.testing.assert_allclose(one, both[0], rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(both[0], both[1])
    assert int(whole.state.step) == 1
    assert (whole.state.diverged_at == -1).all()
    for old, new in zip(start.params, whole.state.params, strict=True):
        changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), old, new)
        # A bias before a normalisation by the batch has no slope but for rounding.
        assert all(changed.values() if name == "w2" else [True])
        assert any(jax.tree.leaves(changed))
    assert float(jnp.max(whole.state.params.potential["weight"])) <= 1.0
    assert len(method.words(whole.metrics)) == 3


@pytest.mark.long
def test_the_map_goes_by_the_batch_while_it_moves_and_by_running_statistics_elsewhere():
    method, one = small("mm"), small("mm", method={"kind": "maximin_map", "inner": 1})
    params, batch = params_of(method), drawn()
    start = method.init(stacked(params))
    after, single = (jax.jit(m.update)(start, batch).state.params.inverse for m in (method, one))
    # The statistics move at each inner step alone, by its fresh points, and not by Adam.
    first = method.mapped_in_training(params.inverse, batch.y[1, 0])[1]
    then = method.mapped_in_training(jax.tree.map(lambda leaf: leaf[0], single), batch.y[2, 0])[1]
    for found, wanted in ((single, first), (after, then)):
        for name, statistic in wanted["norm"].items():
            np.testing.assert_allclose(found[STATISTICS]["norm"][name][0], statistic, rtol=1e-5)
    # D's step takes H as evaluation has it, where it is the inverse map.
    x, y = batch.x[0, 0], batch.y[0, 0]
    still, own = method.mapped(params.inverse, y), method.mapped_in_training(params.inverse, y)[0]
    assert float(jnp.max(jnp.abs(still - own))) > 0.1
    outer = method.outer_loss(params.potential, params.inverse, x, y)[0]
    wanted = jnp.mean(method.value(params.potential, x))
    wanted -= jnp.mean(method.value(params.potential, still))
    np.testing.assert_allclose(outer, wanted, rtol=1e-6)
    inner = method.inner_loss(params.inverse, params.potential, y)[0]
    wanted = jnp.mean(method.value(params.potential, own) - jnp.sum(own * y, axis=1))
    np.testing.assert_allclose(inner, wanted, rtol=1e-5)
    np.testing.assert_array_equal(method.pull(stacked(params), y[None])[0], still)


@pytest.mark.long
def test_networks_are_fitted_to_the_identity_each_as_it_is_trained():
    """The map by a batch's statistics, noting them; D with a part dropped; means over numbers."""
    mine = replace(cell("mm"), dimension=SMALL)
    method = small("mm")
    params, report = initial_params(method, mine)
    first = initial_params(method, replace(mine, settings=one_step(mine)))[1]
    assert 0.1 < first["pretraining_loss_inverse"] < 10
    assert report["pretraining_steps"] == 2
    statistics = params.inverse[STATISTICS]["norm"]
    # Two steps of a tenth of the way from 1.
    assert np.all(np.abs(statistics["running_var"] - 1) < 0.5)
    assert np.all(statistics["running_mean"] != 0)
    losses = []
    for dropout in (0.0, 0.5):
        dropping: Any = replace(small("w2"), potential=Dropping(dropout))
        report = initial_params(dropping, replace(cell("w2"), dimension=SMALL))[1]
        losses.append(report["pretraining_loss_potential"])
    assert losses[0] != losses[1]


def one_step(mine: Cell) -> dict[str, Any]:
    return {**mine.settings, "pretraining": mine.settings["pretraining"] | {"iterations": 1}}


def test_reversed_has_the_map_from_the_source_and_keys_go_through():
    turned = cell("mm", method={"kind": "maximin_map", "inner": 2, "reversed": True})
    method: Any = methods.make(turned.settings, N)
    assert isinstance(method, Reversed)
    mine = small("mm")
    params, batch = stacked(params_of(mine)), drawn()
    found = Reversed(mine).push(params, batch.x[0])
    np.testing.assert_array_equal(found, mine.pull(params, batch.x[0]))
    assert Swapped(batch).more_keys() is batch.keys
    assert Given(batch.x[0], batch.y[0]).more_keys().shape == (1, 1)


def test_parts_that_do_not_fit_are_refused_in_words():
    with pytest.raises(InputError, match="w2gn_images: the potential resnet has no `dropout`"):
        methods.make(cell("w2", potential=PARTS["mm"]["potential"]).settings, N)
    skip = {"kind": "mlp_skip", "hidden": [4], "activation": "elu"}
    with pytest.raises(InputError, match=r"map mlp_skip has the collections \['params'\]"):
        methods.make(cell("mm", amortization_model=skip).settings, N)

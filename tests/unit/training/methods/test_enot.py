"""ENOT: OTT-JAX's class takes the same steps; which network learns by which term."""

import importlib
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from tests.unit import settings

from w2dual import potentials
from w2dual.config.cells import Cell
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods import Given
from w2dual.training.methods.enot import ENOT, Settings
from w2dual.training.methods.two_potentials import Both

RATE, B1, B2 = 1e-2, 0.9, 0.99


def cell(**own: Any) -> Cell:
    given = {
        "method": {"kind": "enot", "expectile": 0.9, "weight": 0.5} | own,
        "potential": {
            "kind": "mlp_linear",
            "activation": "elu",
            "quadratic": 1.0,
            "hidden": [8, 8],
        },
        "seeds": [0, 3],
        "training": settings.training(
            batch_size=16,
            iterations=10,
            learning_rate=RATE,
            final_learning_rate_factor=1.0,
            b1=B1,
            b2=B2,
            weight_decay=0.0,
        ),
        "pretraining": {
            "iterations": 1,
            "learning_rate": 1e-3,
            "bound": 1.0,
            "tolerance": 1.0,
            "min_iterations": 1,
        },
        "evaluation": {"samples": 64, "history_every": 6, "history_samples": 32},
        "logging": {"every": 3},
    }
    return Cell("enot", "hd3", 3, "mlp_linear", "enot", "none", given)


def method(**own: Any) -> ENOT:
    made = methods.make(cell(**own).settings, 3)
    assert isinstance(made, ENOT)
    return made


def drawn(of: ENOT) -> Both:
    """Return parameters of two seeds, as the networks draw them."""
    keys = jax.random.split(jax.random.key(1), (2, 2))
    trees = [
        jax.vmap(lambda key, network=network: network.init(key, jnp.ones((2, 3))))(row)
        for network, row in zip(of.networks.values(), keys, strict=True)
    ]
    return Both(*trees)


def batch(seed: int) -> Given:
    x, y = jax.random.normal(jax.random.key(seed), (2, 2, 16, 3))
    return Given(x, 0.5 * y + 1.0)


# -- against OTT-JAX ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> Any:
    """OTT-JAX's module; its package imports one that this method does not need (diffrax)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "JAXopt is no longer maintained", DeprecationWarning)
        import ott.geometry.costs
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ott.neural", "ott.neural.methods"):
            package = ModuleType(name)
            package.__path__ = [str(Path(ott.__file__).parent.joinpath(*name.split(".")[1:]))]
            patch.setitem(sys.modules, name, package)
        networks = ModuleType("ott.neural.networks")
        networks.__path__ = [str(Path(ott.__file__).parent / "neural" / "networks")]
        patch.setitem(sys.modules, "ott.neural.networks", networks)
        return importlib.import_module("ott.neural.methods.expectile_neural_dual")


class Squared(nn.Module):
    """|x|^2 - 2 f(x) of one point: our potential f as one for the squared distance."""

    potential: nn.Module

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return (jnp.sum(x * x) - 2 * self.potential(x[None])[0])[None]


@pytest.mark.long
def test_ott_takes_the_same_steps(published: Any):
    ours = method()
    params = drawn(ours)
    adam = optax.adam(RATE, b1=B1, b2=B2)
    theirs = [
        published.ExpectileNeuralDual(
            3,
            *(Squared(ours.potential) for _ in params),
            *(adam, adam),
            cost_fn=published.costs.SqEuclidean(),
            expectile=0.9,
            expectile_loss_coef=0.25,  # half of ours, for a cost that is twice as large
        )
        for _ in range(2)
    ]
    for seed, one in enumerate(theirs):
        for name, tree in zip(("state_f", "state_g"), params, strict=True):
            own = {"model": {"potential": jax.tree.map(lambda leaf, i=seed: leaf[i], tree)}}
            setattr(one, name, getattr(one, name).replace(params=own))
    update: Callable[..., Any] = jax.jit(lambda state, points: ours.update(state, points).state)
    state = ours.init(params)
    for number in range(3):  # forwards, backwards, forwards
        points = batch(number)
        state = update(state, points)
        for seed, one in enumerate(theirs):
            x, y = points.x[seed], points.y[seed]
            names = ("state_f", "state_g") if number % 2 == 0 else ("state_g", "state_f")
            data = {"source": x, "target": y} if number % 2 == 0 else {"source": y, "target": x}
            new = one.train_step(*(getattr(one, name) for name in names), data)
            for name, moved in zip(names, new[:2], strict=True):
                setattr(one, name, moved)
    for seed, one in enumerate(theirs):
        for name, tree in zip(("state_f", "state_g"), state.params, strict=True):
            expected = getattr(one, name).params["model"]["potential"]
            for layer in ("dense_0", "dense_1", "dense_2"):
                parts = ("kernel",) if layer == "dense_2" else ("kernel", "bias")
                # The last bias is a constant of the potential, whose gradient is 0; of theirs Adam
                # makes steps of the rounding that is left.
                for part in parts:
                    found = tree[layer][part][seed]
                    np.testing.assert_allclose(found, expected[layer][part], atol=2e-6)
            assert np.all(tree["dense_2"]["bias"] == 0)


# -- of its own -----------------------------------------------------------------------------------


def single(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], tree)


def test_the_map_learns_by_the_amortization_and_values_by_the_rest():
    of, points = method(), batch(7)
    params = Both(*map(single, drawn(of)))
    x, y = points.x[0], points.y[0]

    @partial(jax.jit, static_argnums=0)
    def slopes(term: str) -> Both:
        return jax.grad(lambda both: getattr(of.loss(both, x, y)[1], term))(params)

    def size(tree: Any) -> float:
        return float(sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree)))

    for term, learns, does_not in (
        ("amortization", "potential", "inverse"),
        ("dual", "inverse", "potential"),
        ("regularisation", "inverse", "potential"),
    ):
        found = slopes(term)
        assert size(getattr(found, learns)) > 1e-3
        assert size(getattr(found, does_not)) == 0.0


class Quadratic(nn.Module):
    """<x, A x> / 2 + <b, x>, of which the conjugate is known."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        a = self.param("a", nn.initializers.zeros_init(), (3, 3))
        b = self.param("b", nn.initializers.zeros_init(), (3,))
        c = self.param("c", nn.initializers.zeros_init(), ())
        return 0.5 * jnp.sum(x * (x @ a), axis=-1) + x @ b + c


def test_exact_potentials_are_not_moved():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    a, b = root @ root.T + np.eye(3), rng.normal(size=3)
    inverse = np.linalg.inv(a)
    potential = {"a": a, "b": b, "c": np.zeros(())}
    conjugate = {"a": inverse, "b": -inverse @ b, "c": 0.5 * b @ inverse @ b}
    x, other = rng.normal(size=(2, 4096, 3))
    with jax.enable_x64(True):
        of = ENOT(Quadratic(), optax.sgd(1.0), None, 3, Settings(1.0, 0.5))  # pyright: ignore[reportArgumentType]
        params = Both(*(jax.tree.map(jnp.asarray, tree) for tree in (potential, conjugate)))
        image, elsewhere = x @ a + b, other @ a + b
        terms = {}
        for name, y in (("pairs", image), ("independent", elsewhere)):
            slope, terms[name] = jax.grad(of.loss, has_aux=True)(params, x, y)
            # No violation, so that the regularisation neither costs nor pulls; the map is exact.
            assert terms[name].regularisation < 1e-20
            assert max(float(jnp.max(jnp.abs(leaf))) for leaf in slope.potential.values()) < 1e-9
            if name == "pairs":
                assert max(float(jnp.max(jnp.abs(leaf))) for leaf in slope.inverse.values()) < 1e-9
        values = potentials.value(of.potential, params.potential, jnp.asarray(x))
        conjugates = potentials.value(of.potential, params.inverse, jnp.asarray(image))
        # Fenchel-Young holds with equality on pairs: the dual is E f(x) + E f*(y).
        assert terms["pairs"].dual == pytest.approx(float(jnp.mean(values + conjugates)), rel=1e-12)


@pytest.mark.parametrize(("tau", "below"), [(0.5, 0.5), (0.9, 0.1), (1.0, 0.0)])
def test_expectile(tau: float, below: float):
    found = method(expectile=tau).expectile(jnp.array([-2.0, 0.0, 3.0]))
    np.testing.assert_allclose(found, [4 * below, 0.0, 9 * tau], atol=1e-6)


def test_roles_swap_at_every_second_step():
    """Networks and batches in each other's place, and a step later, are mirrored."""
    of = method()
    params, points = drawn(of), batch(3)
    update: Callable[..., Any] = jax.jit(lambda state, points: of.update(state, points).state)
    state = of.init(params)
    one = update(state, points)
    mirrored = of.init(Both(params.inverse, params.potential))
    mirrored = mirrored._replace(step=mirrored.step + 1)
    other = update(mirrored, Given(points.y, points.x))
    for leaf, mirror in zip(
        jax.tree.leaves((one.params.potential, one.params.inverse, one.optimizer.potential)),
        jax.tree.leaves((other.params.inverse, other.params.potential, other.optimizer.inverse)),
        strict=True,
    ):
        np.testing.assert_array_equal(leaf, mirror)


def test_pairs_are_true_images_and_are_asked_for_alone():
    class Known(Given):
        def truth(self, x: jax.Array) -> jax.Array:
            return 2 * x

    def update(of: ENOT, points: Given) -> Any:
        return jax.jit(lambda state, points: of.update(state, points).state.params)(state, points)

    given = batch(5)
    independent, paired = method(), method(pairs=True)
    state = independent.init(drawn(independent))
    as_given = update(independent, Known(given.x, given.y))
    as_pairs = update(paired, Known(given.x, given.y))
    as_images = update(independent, Known(given.x, 2 * given.x))
    jax.tree.map(np.testing.assert_array_equal, as_pairs, as_images)
    with pytest.raises(AssertionError):
        jax.tree.map(np.testing.assert_array_equal, as_pairs, as_given)


def test_networks_are_drawn_apart_and_begin_near_the_identity():
    of = method()
    networks = of.networks
    assert [network.stream for network in networks.values()] == ["potential", "inverse"]
    assert all(network.map is None and network.start_from is None for network in networks.values())
    zero = jax.tree.map(jnp.zeros_like, single(drawn(of).potential))
    x = jax.random.normal(jax.random.key(0), (5, 3))
    np.testing.assert_allclose(of.gradient(zero, x), x)


def test_an_unknown_setting_is_refused():
    with pytest.raises(InputError, match="tau"):
        method(tau=0.9)

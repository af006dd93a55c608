"""The form of a step that a GPU runs, on a CPU: the same draws, and the same steps but rounding."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual import backend
from w2dual.cluster.measured import random_pair
from w2dual.measures.base import Pair
from w2dual.measures.benchmark import icnn_dense
from w2dual.training import loop
from w2dual.training.methods import Looped
from w2dual.training.methods.base import Step
from w2dual.training.methods.dual import make

N, SEEDS, BATCH, STEPS = 2, (3, 5), 16, 3
MLP = {"kind": "mlp", "activation": "elu", "hidden": [6]}
ICNN = {"kind": "icnn", "activation": "elu", "hidden": [6, 5], "actnorm": True}
CLAMPED = {"kind": "dense_icnn", "strong_convexity": 1e-4, "convex": True, "hidden": [6, 5]}
SOLVER = settings.solver("lbfgs", history=1, max_iterations=3)
CASES = {
    "regression": (MLP, {"kind": "regression"}, SOLVER),
    "objective": (ICNN, {"kind": "objective"}, {"kind": "none"}),
    "cycle": (MLP, {"kind": "cycle", "weight": 2.0}, {"kind": "none"}),
    "no model": (ICNN, {"kind": "none"}, settings.solver("adam", max_iterations=3)),
}


class Drawn(NamedTuple):
    """A state that keeps what was drawn."""

    step: Any
    x: Any
    y: Any


class Drawing:
    """What a loop needs of a method; its step draws, or one of its two branches does."""

    def __init__(self, branches=False):
        self.branches = branches

    class metrics(NamedTuple):
        """Nothing."""

    def in_loop(self, like):
        def update(state, batches, over):
            del over

            def draw():
                return batches.source(), batches.target()

            def draw_y_first():
                y = batches.target()
                return batches.source(), y

            early = state.step < 8
            x, y = jax.lax.cond(early, draw, draw_y_first) if self.branches else draw()
            drawn: Any = Drawn(state.step + 1, x, y)
            return Step(drawn, self.metrics())

        return Looped(lambda state: state, update, lambda state: state)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Noise(Pair):
    """Numbers that no product rounds."""

    def sample_source(self, key, size):
        return jax.random.normal(key, (size, self.dimension))

    def sample_target(self, key, size):
        return jax.random.uniform(key, (size, self.dimension))


@pytest.mark.parametrize("branches", [False, True])
def test_draws_are_bitwise_those_of_the_plain_form(branches, monkeypatch):
    """Also where a step draws within a branch, as one does whose last batches are larger."""
    empty = jnp.zeros((len(SEEDS), BATCH, N))
    start = Drawn(jnp.int32(7), empty, empty)
    run = [Drawing(branches), SEEDS, BATCH, 1]
    plain, _ = jax.jit(loop._chunk(*run))(start, Noise(dimension=N), 2)
    monkeypatch.setattr(backend, "few_launches", lambda: True)
    few, _ = jax.jit(loop._chunk(*run))(start, Noise(dimension=N), 2)
    for name in ("x", "y"):
        np.testing.assert_array_equal(getattr(few, name), getattr(plain, name))
        assert np.unique(getattr(few, name)).size == empty.size


def test_a_pair_draws_both_batches_with_the_keys_of_each(pair):
    keys = jax.random.split(jax.random.key(5), (2, 2, 3))
    x, y = jax.jit(lambda keys: pair.sample_both(keys, 8))(keys)
    of_one = x[1, 2], y[0, 1]

    @jax.jit
    def each(key, other):
        return pair.sample_source(key, 8), pair.sample_target(other, 8)

    alone = each(keys[0, 1, 2], keys[1, 0, 1])
    for got, expected in zip(of_one, alone, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)  # T* has large slopes


def test_potentials_as_one_network_map_as_each_of_them():
    @jax.jit
    def mapped():
        keys = jax.random.split(jax.random.key(2), 2)
        stacked = icnn_dense.stack([icnn_dense.init(key, N, 0.5) for key in keys])
        x = 3 * jax.random.normal(jax.random.key(3), (20, N))
        joint = icnn_dense.push_joint(icnn_dense.join(stacked), 0.3, x)
        return joint, icnn_dense.push_sum(stacked, 0.3, x)

    got, expected = mapped()
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-5 * np.abs(expected).max())


@pytest.fixture(scope="module")
def pair():
    return random_pair(N)


def method_of(potential, amortization, solver):
    cell = {
        "potential": potential,
        "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [6]},
        "amortization": amortization,
        "solver": solver,
        "training": settings.training(batch_size=BATCH, iterations=30),
    }
    return make(cell, N)


def start(method):
    @jax.jit
    def drawn():
        x = jax.random.normal(jax.random.key(0), (BATCH, N))
        keys = jax.random.split(jax.random.key(1), len(SEEDS))
        trees = {
            name: jax.vmap(lambda key, init=network.init: init(key, x))(keys)
            for name, network in method.networks.items()
        }
        return method.init(method.assemble(trees))

    return drawn()


def run(method, state, pair):
    """Some steps; the last seed has diverged before."""
    taken = jnp.array([4, 1], jnp.int32)
    counted = jax.tree.map(lambda leaf: taken if leaf.ndim == 1 else leaf, state.optimizer)
    state = state._replace(step=taken[0], diverged_at=jnp.array([-1, 2]), optimizer=counted)
    return backend.jit(loop._chunk(method, SEEDS, BATCH, 1), once=True)(state, pair, STEPS)


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_plain_form_but_for_rounding(case, pair, monkeypatch):
    method = method_of(*CASES[case])
    state = start(method)
    expected, expected_chunk = run(method, state, pair)
    monkeypatch.setattr(backend, "few_launches", lambda: True)
    got, chunk = run(method, state, pair)
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for name, tree in (("state", (got, expected)), ("chunk", (chunk, expected_chunk))):
        found, wanted = (jax.tree_util.tree_leaves_with_path(item) for item in tree)
        for (path, a), (_, b) in zip(found, wanted, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), (name, path)
            # Adam's first steps divide by a small root.
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6, err_msg=f"{name} {path}")


def test_a_potential_that_is_projected_after_each_step_keeps_its_trees(monkeypatch):
    method = method_of(CLAMPED, {"kind": "objective"}, {"kind": "none"})
    state = start(method)
    monkeypatch.setattr(backend, "few_launches", lambda: True)
    assert method.in_loop(state).enter(state) is state
    plain = method_of(*CASES["objective"])
    state = start(plain)
    assert plain.in_loop(state).enter(state) is not state

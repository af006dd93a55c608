"""The form of a step that a GPU runs, on a CPU: the same draws, and the same steps but for rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual import backend
from w2dual.measures.benchmark import icnn_dense
from w2dual.site.measured import random_pair
from w2dual.training import incidents, loop
from w2dual.training.methods import Method
from w2dual.training.methods.dual import make

N, SEEDS, BATCH, STEPS = 2, (3, 5), 16, 3
MLP = {"kind": "mlp", "activation": "elu", "hidden": [8, 8]}
ICNN = {"kind": "icnn", "activation": "elu", "hidden": [8, 8], "actnorm": True}
CASES = {
    "regression": (MLP, {"kind": "regression"}, settings.solver("lbfgs")),
    "objective": (ICNN, {"kind": "objective"}, {"kind": "none"}),
    "cycle": (MLP, {"kind": "cycle", "weight": 2.0}, {"kind": "none"}),
    "no model": (ICNN, {"kind": "none"}, settings.solver("lbfgs")),
}


@pytest.fixture(scope="module")
def pair():
    return random_pair(N)


def method_of(case):
    potential, amortization, solver = CASES[case]
    cell = {
        "potential": potential,
        "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [8, 8]},
        "amortization": amortization,
        "solver": solver,
        "training": settings.training(batch_size=BATCH, iterations=30),
    }
    return make(cell, N)


def start(method):
    x = jax.random.normal(jax.random.key(0), (BATCH, N))
    keys = jax.random.split(jax.random.key(1), len(SEEDS))
    trees = {
        name: jax.vmap(lambda key, init=network.init: init(key, x))(keys)
        for name, network in method.networks.items()
    }
    return method.init(method.assemble(trees))


def run(method, state, pair):
    """Some steps; the last seed has diverged before."""
    taken = jnp.array([4, 1], jnp.int32)
    counted = jax.tree.map(lambda leaf: taken if leaf.ndim == 1 else leaf, state.optimizer)
    state = state._replace(step=taken[0], diverged_at=jnp.array([-1, 2]), optimizer=counted)
    return backend.jit(loop._chunk(method, SEEDS, BATCH, 1), once=True)(state, pair, STEPS)


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_plain_form_but_for_rounding(case, pair, monkeypatch):
    method = method_of(case)
    state = start(method)
    expected, expected_chunk = run(method, state, pair)
    monkeypatch.setattr(backend, "few_launches", lambda: True)
    got, chunk = run(method, state, pair)
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    close = dict(rtol=2e-4, atol=2e-6)  # Adam's first steps divide by a small root
    for name, tree in (("state", (got, expected)), ("chunk", (chunk, expected_chunk))):
        found, wanted = (jax.tree_util.tree_leaves_with_path(item) for item in tree)
        for (path, a), (_, b) in zip(found, wanted, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), (name, path)
            np.testing.assert_allclose(a, b, **close, err_msg=f"{name} {path}")

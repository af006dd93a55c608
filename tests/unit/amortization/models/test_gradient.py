"""The amortization model that is the gradient of a second potential, and how it starts."""

import jax
import numpy as np
import pytest
from tests.unit import settings

from w2dual import potentials
from w2dual.amortization import make_model
from w2dual.config.cells import Cell
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods import Given
from w2dual.training.pretraining import fresh_params, initial_params

POTENTIAL = {"kind": "mlp", "activation": "elu", "hidden": [16, 8]}
CELL = Cell(
    "test",
    "hd3",
    3,
    "mlp",
    "cycle",
    "none",
    {
        "potential": POTENTIAL,
        "amortization_model": {"kind": "gradient", "potential": POTENTIAL},
        "amortization": {"kind": "cycle", "weight": 10.0},
        "solver": {"kind": "none"},
        "seeds": [3, 1],
        "training": settings.training(batch_size=32, iterations=5),
        "pretraining": settings.pretraining(iterations=30, min_iterations=10),
        "evaluation": {"samples": 64, "history_every": 5, "history_samples": 64},
        "logging": {"every": 5},
    },
)


@pytest.fixture(scope="module")
def method():
    return methods.make(CELL.settings, CELL.dimension)


@pytest.fixture(scope="module")
def start(method):
    return initial_params(method, CELL)


def same(one, other):
    leaves = [jax.tree.leaves(tree) for tree in (one, other)]
    return len(leaves[0]) == len(leaves[1]) > 0 and all(map(np.array_equal, *leaves))


def test_it_is_the_gradient_of_its_potential():
    module = potentials.make(POTENTIAL, 3)
    model = make_model({"kind": "gradient", "potential": POTENTIAL}, 3)
    y = jax.random.normal(jax.random.key(0), (7, 3))
    params = jax.jit(module.init)(jax.random.key(1), y)["params"]
    found = jax.jit(model.apply)({"params": {"inner": params}}, y)
    np.testing.assert_allclose(found, potentials.gradient(module, params, y), rtol=1e-6)


def test_it_starts_as_the_potential_that_was_pretrained(method, start):
    params, report = start
    assert same(params.model["inner"], params.potential)
    assert not same(params.potential, fresh_params(method, CELL).potential)  # it was trained
    assert "pretraining_loss_model" not in report
    y = jax.random.normal(jax.random.key(2), (2, 5, 3))
    np.testing.assert_array_equal(method.amortized(params, y), method.push(params, y))


def test_a_resumed_training_knows_its_shapes(method, start):
    shapes = jax.eval_shape(lambda: fresh_params(method, CELL, lambda function: function))
    found, wanted = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (shapes, start[0]))
    assert found == wanted


def test_both_networks_are_trained_and_part_ways(method, start):
    params, _ = start
    before = jax.tree.map(np.asarray, params)
    points = jax.random.normal(jax.random.key(3), (2, 2, 32, 3))
    # The state is given away, as the loop does: no array may be both networks'.
    step = jax.jit(lambda state, x, y: method.update(state, Given(x, y)).state, donate_argnums=0)
    after = step(method.init(params), points[0], points[1]).params
    assert not same(after.potential, before.potential)
    assert not same(after.model["inner"], after.potential)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))


def test_what_potential_it_is_of_has_to_be_said():
    with pytest.raises(InputError, match="potential kind 'mlpp'"):
        make_model({"kind": "gradient", "potential": POTENTIAL | {"kind": "mlpp"}}, 3)
    with pytest.raises(InputError, match="lacks `potential`"):
        make_model({"kind": "gradient"}, 3)

"""Metric recovery: what is learned on data that moves one way, its gradient, and its schedule."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.measures.snapshots import alignment
from w2dual.records import InputError
from w2dual.training.methods import Given, make
from w2dual.training.methods.metric_recovery import MetricRecovery, RecoveryState

TIMES, BATCH, SEEDS = 2, 12, 2
STEPS = 240
DIRECTION = np.array([0.8, 0.6])


def settings(**changes: Any) -> dict[str, Any]:
    """A cell's settings, small enough to compile in a moment."""
    path = {
        **{"hidden": [8], "activation": "relu", "knots": 4, "basis": "c2", "clip": 1.0},
        **{"learning_rate": 1e-3, "initial_steps": 2, "refit_every": 25, "refit_steps": 2},
        **{"last_refit": 0, "stop": 1e-4},
    }
    metric = {
        **{"hidden": [16], "activation": "leaky_relu_0.01", "small_eigenvalue": 0.1},
        **{"learning_rate": 0.01, "weight_decay": 1e-4, "warm_up": 9, "every": 2},
    }
    own = {
        **{"kind": "metric_recovery", "bounds": [[-3.0, 3.0], [-2.0, 4.0]], "segments": 3},
        **{"path": path, "metric": metric},
    }
    training = {
        **{"batch_size": BATCH, "iterations": 100, "learning_rate": 3e-3},
        **{"final_learning_rate_factor": 1.0, "b1": 0.9, "b2": 0.999, "weight_decay": 1e-4},
        **{"divergence_loss": 1e5, "divergence_every": 1000},
    }
    network = {"hidden": [16], "activation": "leaky_relu_0.01"}
    solver = {
        **{"kind": "lbfgs", "history": 3, "gradient_tolerance": 1e-3, "max_iterations": 8},
        **{"decrease_tolerance": 0.0, "armijo": 1e-4, "shrink": 1.5, "trials": 6},
        **{"line_search": "sequential", "curvature": "positive"},
    }
    return {
        "training": training,
        "potential": {"kind": "mlp_linear", "quadratic": 0.0, **network},
        "amortization_model": {"kind": "mlp_skip", **network},
        "solver": solver,
        "method": own | changes,
    }


def rows(seeds: int) -> tuple[Any, Any]:
    """Samples that move by a step along one direction, and again."""
    key = jax.random.key(5)
    first = 0.4 * jax.random.normal(key, (BATCH, 2))
    step = jnp.tile(0.5 * jnp.asarray(DIRECTION, jnp.float32), (BATCH, 1))
    slices = [first + i * step for i in range(TIMES + 1)]
    x, y = (jnp.concatenate(part, axis=1) for part in (slices[:-1], slices[1:]))
    return jnp.tile(x[None], (seeds, 1, 1)), jnp.tile(y[None], (seeds, 1, 1))


def started(method: MetricRecovery, seeds: list[int]) -> RecoveryState:
    x, _ = rows(1)
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])

    def start(keys: Any) -> RecoveryState:
        trees = {
            name: jax.vmap(network.init, (0, None))(keys, x[0])
            for name, network in method.networks.items()
        }
        return method.init(method.assemble(trees))

    return jax.jit(start)(keys)


@pytest.fixture(scope="module")
def trained() -> tuple[MetricRecovery, list[RecoveryState]]:
    """States of two seeds, after each of some steps."""
    method = make(settings(), 2 * TIMES)
    assert isinstance(method, MetricRecovery)
    batches = Given(*rows(SEEDS))
    update = jax.jit(lambda state: method.update(state, batches).state)
    states = [started(method, [0, 1])]
    for _ in range(STEPS):
        states.append(update(states[-1]))
    return method, states


def scores(method: MetricRecovery, state: RecoveryState) -> np.ndarray:
    places = rows(1)[0].reshape(1, -1, 2)
    found = method.directions(state.params, jnp.tile(places, (SEEDS, 1, 1)))
    true = np.tile(DIRECTION, (places.shape[1], 1))
    return alignment.of_directions(true, np.asarray(found))


@pytest.mark.long
def test_what_moves_one_way_makes_that_way_cheap(trained: Any):
    method, states = trained
    assert (scores(method, states[0]) < 0.7).all()
    assert (scores(method, states[-1]) > 0.93).all()
    assert (np.asarray(states[-1].diverged_at) == -1).all()


@pytest.mark.long
def test_the_metric_moves_after_the_warm_up_at_its_steps_only(trained: Any):
    _, states = trained
    kernels = [np.asarray(state.params.metric["dense_0"]["kernel"]) for state in states]
    moved = [i for i in range(STEPS) if not np.array_equal(kernels[i], kernels[i + 1])]
    assert moved == list(range(10, STEPS, 2))
    potentials = [np.asarray(s.params.potential["dense_0"]["kernel"]) for s in states]
    assert all(not np.array_equal(potentials[i], potentials[i + 1]) for i in range(20))


@pytest.mark.long
@pytest.mark.parametrize("factor", [1.0, 0.1])
def test_the_metrics_rate_decays_as_that_of_the_duals(factor: float):
    cell = settings()
    cell["training"]["final_learning_rate_factor"] = factor
    method = make(cell, 2 * TIMES)
    assert isinstance(method, MetricRecovery)
    optimizer = method.metric_optimizer
    params = {"w": jnp.zeros(1)}
    steps = (100 - 1 - 9) // 2  # of the metric, after its warm-up

    def step(state: Any, _: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update({"w": jnp.ones(1)}, state, params)
        return state, jax.tree.leaves(updates)[0][0]

    state, sizes = jax.lax.scan(step, optimizer.init(params), None, steps + 1)
    np.testing.assert_allclose(sizes[jnp.array([0, -1])], [-0.01, -0.01 * factor], rtol=1e-3)


def test_all_times_start_the_same_and_go_their_own_ways(trained: Any):
    _, states = trained
    first, last = (np.asarray(states[i].params.potential["dense_0"]["kernel"]) for i in (0, -1))
    assert first.shape[:2] == (SEEDS, TIMES)
    np.testing.assert_array_equal(first[:, 0], first[:, 1])
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(last[:, 0], last[:, 1])


@pytest.mark.long
def test_maps_send_each_time_to_the_next(trained: Any):
    """Where both are known: a row of samples goes to the row a step later."""
    method, states = trained
    x, y = rows(SEEDS)
    pushed = jax.jit(method.push)(states[-1].params, x)
    assert pushed.shape == x.shape
    before = np.linalg.norm((y - x).reshape(-1, 2), axis=1).mean()
    after = np.linalg.norm((y - pushed).mean(axis=1).reshape(-1, 2), axis=1).mean()
    assert after < 0.5 * before
    np.testing.assert_array_equal(method._rows(method.problems(x), SEEDS), x)


@pytest.mark.long
def test_the_metrics_gradient_is_that_of_the_cost(trained: Any):
    """Against differences of the mean cost of the straight lines, path and images held fixed."""
    method, states = trained
    still = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[:1]), states[0].params)
    first, last = (jnp.moveaxis(method.problems(item), -1, 0) for item in rows(1))

    def cost(angle: Any) -> Any:
        turned = jnp.stack([jnp.cos(angle), jnp.sin(angle)])[None]
        output = still.metric["dense_1"] | {"bias": turned}
        params = still._replace(metric=still.metric | {"dense_1": output})
        paths = method._paths(params.path, first, last)
        return jnp.mean(method.lagrangian(params).cost(paths))

    value, slope = jax.jit(jax.value_and_grad(cost))(0.3)
    cost = jax.jit(cost)
    h = 1e-2
    difference = float(cost(0.3 + h) - cost(0.3 - h)) / (2 * h)
    assert float(slope) == pytest.approx(difference, rel=1e-2)
    assert float(cost(0.3)) == pytest.approx(float(value))
    # 1/2 d^T A d = 1/2 |d|^2 (1 - 0.9 cos^2 of the angle between), d of length 0.5.
    apart = 0.3 - np.arctan2(DIRECTION[1], DIRECTION[0])
    assert float(slope) == pytest.approx(0.9 * 0.125 * np.sin(2 * apart), rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "dimension", "message"),
    [
        ({"bounds": [[1.0, -1.0], [0.0, 1.0]]}, 4, "the lower one comes first"),
        ({"segments": 1}, 4, "2 or more"),
        ({}, 3, "expected an even count"),
        ({"metric": settings()["method"]["metric"] | {"every": 0}}, 4, "expected at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    changes: dict[str, Any], dimension: int, message: str
):
    with pytest.raises(InputError, match=message):
        make(settings(**changes), dimension)


def test_there_is_no_way_back():
    method = make(settings(), 4)
    with pytest.raises(InputError, match="no inverse map"):
        method.pull(None, jnp.zeros((1, 2, 4)))

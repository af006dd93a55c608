"""Scarvelis and Solomon's metric: both losses, the phases and their restarts, what is learned."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.conformance import method as conformance
from w2dual.measures.snapshots import alignment, published
from w2dual.records import InputError
from w2dual.training import checkpoint
from w2dual.training.health import Totals
from w2dual.training.methods import Given, make
from w2dual.training.methods.scarvelis import Drawn, Networks, Scarvelis, State
from w2dual.training.progress import Timing

TIMES, BATCH, SEEDS = 2, 24, 2
STEPS, ROUND, TURN = 200, 100, 30
RATE, DECAY = 0.02, 0.01
DIRECTION = np.array([0.8, -0.6])
OWN: dict[str, Any] = {
    **{"hidden": [8], "metric_hidden": [8, 8], "rounds": STEPS // ROUND, "potential_steps": TURN},
    **{"groups": 1, "first_penalty": 0.02, "later_penalty": 0.03, "regularization": 0.5},
    "bounds": [[-3.0, 3.0], [-2.0, 4.0]],
}


def settings(training: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A cell's settings, small enough to compile in a moment."""
    common = {
        **{"batch_size": BATCH, "iterations": STEPS, "learning_rate": RATE},
        **{"final_learning_rate_factor": 1.0, "b1": 0.9, "b2": 0.999, "weight_decay": DECAY},
        **{"divergence_loss": 1e9, "divergence_every": 1000},
    }
    own = {"kind": "scarvelis", **OWN} | changes
    return {"training": common | (training or {}), "method": own}


def rows() -> tuple[Any, Any]:
    """Samples that move by a step along one direction, and again."""
    first = np.random.default_rng(5).normal(size=(BATCH, 2)) * 0.4
    slices = [first + i * 0.5 * DIRECTION for i in range(TIMES + 1)]
    x, y = (np.concatenate(part, axis=1) for part in (slices[:-1], slices[1:]))
    return _of_seeds(x), _of_seeds(y)


def _of_seeds(points: np.ndarray) -> Any:
    return jnp.tile(jnp.asarray(points[None], jnp.float32), (SEEDS, 1, 1))


class Keyed(NamedTuple):
    """The same points at each step, and keys of the step."""

    given: Given
    step: Any

    def source(self, index: int = 0) -> Any:
        return self.given.source(index)

    def target(self, index: int = 0) -> Any:
        return self.given.target(index)

    def more_keys(self) -> Any:
        keys = jax.random.split(jax.random.key(3), SEEDS)
        return jax.vmap(lambda key: jax.random.fold_in(key, self.step))(keys)[:, None]


def made(**changes: Any) -> Scarvelis:
    method = make(settings(**changes), 2 * TIMES)
    assert isinstance(method, Scarvelis)
    return method


METHOD = made()


@jax.jit
def update(state: State) -> State:
    batches: Any = Keyed(Given(*rows()), state.step)
    return METHOD.update(state, batches).state


@pytest.fixture(scope="module")
def states() -> list[State]:
    """States of two seeds, after each of the steps."""

    def start(keys: Any) -> State:
        points = rows()[0][0]
        trees = {
            name: jax.vmap(network.init, (0, None))(keys, points)
            for name, network in METHOD.networks.items()
        }
        return METHOD.init(METHOD.assemble(trees))

    found = [jax.jit(start)(jax.random.split(jax.random.key(1), SEEDS))]
    for _ in range(STEPS):
        found.append(update(found[-1]))
    return found


def same(left: Any, right: Any) -> bool:
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# -- the losses, against NumPy ------------------------------------------------------------------


def layers(tree: Any) -> published.Layers:
    """Weights and biases of one network, in double precision."""
    own = [tree[f"layer_{i}"] for i in range(len(tree))]
    wide = np.float64
    return [(np.asarray(one["weight"], wide), np.asarray(one["bias"], wide)) for one in own]


def network(own: published.Layers, x: np.ndarray) -> np.ndarray:
    for i, (weight, bias) in enumerate(own):
        x = (np.log1p(np.exp(x)) if i else x) @ weight.T + bias
    return x


def expected(params: Networks, points: Drawn, first: bool) -> tuple[float, float, float]:
    """Return the potentials' loss, R's and the mean softplus, point by point, grad phi by steps."""
    metric, h = layers(params.metric), 1e-5
    moves, sizes, softplus = [], [], []
    for t in range(TIMES):
        phi = layers(jax.tree.map(lambda leaf, t=t: leaf[t], params.potential))
        x, y, between, elsewhere = (np.asarray(item[t], np.float64) for item in points)
        for i in range(BATCH):
            moves.append((network(phi, y[i]) - network(phi, x[i]))[0])
            slope = np.array(
                [
                    (network(phi, between[i] + step) - network(phi, between[i] - step))[0] / (2 * h)
                    for step in h * np.eye(2)
                ]
            )
            factor, other = (network(metric, p[i]).reshape(2, 2) for p in (between, elsewhere))
            dual, far = (f.T @ f + 1e-3 * np.eye(2) for f in (factor, other))
            size = np.linalg.norm(slope) if first else slope @ dual @ slope
            softplus.append(np.log1p(np.exp(size / 2 - 1)))
            sizes.append(np.linalg.norm(far) ** 2)
    penalty = float(np.mean(softplus))
    weight = OWN["first_penalty"] if first else OWN["later_penalty"]
    return (
        float(np.mean(moves)) + weight * penalty,
        OWN["regularization"] * float(np.mean(sizes)) - penalty,
        penalty,
    )


@pytest.mark.parametrize("first", [True, False])
def test_both_losses_are_those_of_a_plain_evaluation(states: list[State], first: bool):
    params = jax.tree.map(lambda leaf: leaf[1], states[150].params)
    points = Drawn(*np.random.default_rng(2).normal(size=(4, TIMES, BATCH, 2)).astype(np.float32))
    potential, metric, penalty = expected(params, points, first)
    loss = jax.jit(METHOD._potential_loss)(params, points, jnp.asarray(first))
    assert [float(item) for item in loss] == pytest.approx([potential, penalty], rel=1e-4)
    if not first:
        loss = jax.jit(METHOD._metric_loss)(params, points)
        assert [float(item) for item in loss] == pytest.approx([metric, penalty], rel=1e-4)


# -- phases --------------------------------------------------------------------------------------


def test_each_phase_moves_its_own_networks_alone(states: list[State]):
    for i in range(STEPS):
        before, after = states[i].params, states[i + 1].params
        of_potentials = i % ROUND < TURN
        assert same(before.metric, after.metric) == of_potentials
        assert same(before.potential, after.potential) != of_potentials
    assert states[0].diverged_at.tolist() == states[-1].diverged_at.tolist() == [-1] * SEEDS


@pytest.mark.parametrize(("name", "at"), [("potential", 0), ("metric", TURN)])
def test_each_phase_starts_again(states: list[State], name: str, at: int):
    """Its first step is AdamW's first: by the sign of the gradient, and of the decay."""
    for place in (at, ROUND + at):
        drawn, after = (
            np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(getattr(tree, name))])
            for tree in (states[0].params, states[place + 1].params)
        )
        step = np.abs(after - (1 - RATE * DECAY) * drawn)
        assert np.median(step) == pytest.approx(RATE, rel=1e-3)
        assert step.max() < 1.001 * RATE
    assert not same(getattr(states[at].params, name), getattr(states[ROUND + at].params, name))


def test_the_first_step_goes_down_the_loss_at_the_points_that_it_draws(states: list[State]):
    points = jax.jit(jax.vmap(METHOD._drawn))(
        *(METHOD._apart(item) for item in rows()), Keyed(Given(*rows()), 0).more_keys()[:, 0]
    )
    slope = jax.jit(
        jax.vmap(jax.grad(lambda p, at: METHOD._potential_loss(p, at, jnp.asarray(True))[0]))
    )(states[0].params, points).potential
    for p, g, q in zip(
        *(jax.tree.leaves(tree) for tree in (states[0].params.potential, slope)),
        jax.tree.leaves(states[1].params.potential),
        strict=True,
    ):
        adam = np.asarray(g) / (np.abs(np.asarray(g)) + 1e-8)
        wanted = (1 - RATE * DECAY) * np.asarray(p) - RATE * adam
        np.testing.assert_allclose(q, wanted, atol=1e-5)


def test_a_resumed_run_has_the_same_bits_across_phases(states: list[State]):
    """From a checkpoint before R's first step, and one before the second round."""
    origin: dict[str, str | None] = dict.fromkeys(checkpoint.WORDS, "")
    for place in (TURN, ROUND):
        snapshot = checkpoint.Snapshot(states[place - 2], [], Timing({}), Totals.start(SEEDS))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "step-000000001.safetensors"
            checkpoint.write(path, origin, snapshot)
            state = checkpoint.read(path, origin, states[0]).state
        for _ in range(4):
            state = update(state)
        assert same(state, states[place + 2])


# -- points --------------------------------------------------------------------------------------


def test_points_are_drawn_again_of_each_time_and_between():
    x, y = (METHOD._apart(item)[0] for item in rows())
    found = jax.jit(METHOD._drawn)(x, y, jax.random.key(0))
    for drawn, all_ in ((found.x, x), (found.y, y)):
        for t in range(TIMES):
            distinct = {tuple(point) for point in np.asarray(drawn[t]).tolist()}
            assert distinct < {tuple(point) for point in np.asarray(all_[t]).tolist()}
            assert BATCH / 3 < len(distinct) < BATCH
    assert not np.array_equal(found.x + (y - x), found.y)  # each time by itself
    for points in (found.between, found.elsewhere):
        t = (points - found.y) / (found.x - found.y)
        np.testing.assert_allclose(t[..., 0], t[..., 1], rtol=1e-2, atol=1e-3)
        assert 0 <= float(t.min()) < 0.1 < 0.9 < float(t.max()) <= 1.0001
    assert not np.array_equal(found.between, found.elsewhere)


def test_groups_are_parts_of_the_samples_in_their_order():
    x, _ = rows()
    found = made(groups=2)._apart(x)
    assert found.shape == (SEEDS, 2 * TIMES, BATCH // 2, 2)
    first, second = x[:, : BATCH // 2], x[:, BATCH // 2 :]
    parts = [first[..., :2], first[..., 2:], second[..., :2], second[..., 2:]]
    np.testing.assert_array_equal(found, jnp.stack(parts, axis=1))


# -- what is learned -----------------------------------------------------------------------------


def test_what_moves_one_way_makes_that_way_cheap(states: list[State]):
    places = jnp.tile(rows()[0].reshape(SEEDS, -1, 2)[:1], (SEEDS, 1, 1))
    true = np.tile(DIRECTION, (places.shape[1], 1))

    def score(state: State) -> np.ndarray:
        return alignment.of_directions(true, np.asarray(METHOD.directions(state.params, places)))

    assert (score(states[0]) < 0.9).all()
    assert (score(states[-1]) > 0.97).all()


def test_the_network_of_published_weights_has_the_same_directions(states: list[State]):
    x = np.random.default_rng(4).normal(size=(SEEDS, 50, 2)).astype(np.float32)
    found = np.asarray(METHOD.directions(states[-1].params, jnp.asarray(x)))
    for seed in range(SEEDS):
        own = layers(jax.tree.map(lambda leaf, s=seed: leaf[s], states[-1].params.metric))
        other = published.directions(own, x[seed], "weights")
        np.testing.assert_allclose(np.abs(np.sum(found[seed] * other, axis=-1)), 1, atol=1e-5)


def test_there_is_no_map():
    for name in ("push", "pull"):
        with pytest.raises(InputError, match="`scarvelis` has no map: it learns a metric"):
            getattr(METHOD, name)(None, jnp.zeros((1, 2, 4)))


@pytest.mark.parametrize(
    ("changes", "dimension", "message"),
    [
        ({}, 3, "expected an even count"),
        ({"rounds": 3}, 4, r"`settings.training.iterations` 200: expected `rounds` \(3\) times"),
        ({"potential_steps": 100}, 4, r"which is `potential_steps` \(100\) and the metric's"),
        ({"groups": 5}, 4, "`settings.method.groups` 5: expected equal parts of 24 samples"),
        ({"groups": 0}, 4, "`settings.method.groups` is 0; expected 1 or more"),
        ({"training": {"final_learning_rate_factor": 0.1}}, 4, "constant learning rate"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    changes: dict[str, Any], dimension: int, message: str
):
    with pytest.raises(InputError, match=message):
        make(settings(**changes), dimension)


@pytest.mark.long
def test_it_keeps_what_the_rest_relies_on():
    own = OWN | {"rounds": 2, "potential_steps": 2}
    verdicts = conformance.verdicts("scarvelis", {"method": own})
    assert [verdict for verdict in verdicts if not verdict.passed] == []
    (shapes,) = [verdict for verdict in verdicts if verdict.check == "shapes and types"]
    assert "no map" in shapes.words

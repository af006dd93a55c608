"""Which points the seeds of a cell see."""

from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from w2dual import measures
from w2dual.measures.pairs import gaussian, snapshots
from w2dual.records import save_arrays
from w2dual.training import loop
from w2dual.training.loop import compile_loop
from w2dual.training.methods import Method, Step


class Seen(NamedTuple):
    params: Any
    step: Any
    diverged_at: Any


class Nothing(NamedTuple):
    loss: Any


class Looking(Method[Seen]):
    """Keeps the sums of the points that each seed has seen: three batches, and an image of one."""

    dimension = 2
    metrics: ClassVar = Nothing

    @property
    def networks(self):
        return {}

    def assemble(self, trees):
        return trees

    def init(self, params):
        return Seen(params, jnp.zeros((), jnp.int32), jnp.full(len(params), -1, jnp.int32))

    def update(self, state, batches, over=None):
        del over
        drawn = [batches.source(), batches.target(), batches.source(2)]
        drawn.append(batches.truth(drawn[0]))
        sums = jnp.stack([jnp.sum(points, axis=1) for points in drawn], axis=1)
        seen = state._replace(params=state.params + sums, step=state.step + 1)
        return Step(seen, Nothing(jnp.zeros(len(sums))))

    def push(self, params, x):
        return x

    def pull(self, params, y):
        return y


class Sources(Looking):
    """Keeps the sums of the first batches of the source."""

    def update(self, state, batches, over=None):
        del over
        sums = jnp.sum(batches.source(), axis=1, keepdims=True)
        seen = state._replace(params=state.params + sums, step=state.step + 1)
        return Step(seen, Nothing(jnp.zeros(len(sums))))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    path = tmp_path_factory.mktemp("pair") / "hd2.safetensors"
    save_arrays(path, *gaussian.draw(2, 0))
    return measures.load(path)


def seen(pair, seeds, shared):
    method = Looking()
    state = method.init(jnp.zeros((len(seeds), 4, 2)))
    run = compile_loop(method, seeds, 16, state, pair, shared)
    return np.asarray(run(state, 2)[0].params)


def test_points_are_each_seeds_own_or_shared(pair):
    own, shared = (seen(pair, [3, 1], kind) for kind in (False, True))
    assert not np.isclose(own[0], own[1]).any()
    np.testing.assert_array_equal(shared[0], shared[1])
    # Which are shared depends on no seed; the four batches differ.
    np.testing.assert_allclose(seen(pair, [7], True)[0], shared[0], rtol=1e-6)
    assert len(np.unique(shared[0][:, 0])) == 4
    assert not np.isclose(own, shared).any()


@pytest.mark.parametrize("calls", [False, True])
def test_a_loop_whose_steps_call_the_host_is_not_to_be_a_graph(monkeypatch, calls: bool):
    class Asked(Exception):
        pass

    def jit(function, **options):
        raise Asked(options)

    class Calling(Looking):
        calls_host = calls

    monkeypatch.setattr(loop.backend, "jit", jit)
    with pytest.raises(Asked) as asked:
        compile_loop(Calling(), [0], 15, None, SimpleNamespace(whole_batches=False))
    assert asked.value.args == ({"donate_argnums": 0, "graphs": not calls},)


def test_a_pair_of_whole_batches_gives_all_its_samples_once(tmp_path):
    """Though 16 points are eight parts elsewhere: their sum is that of all samples."""
    samples = np.random.default_rng(0).normal(size=(2, 16, 2))
    bounds = (np.full(2, -9.0), np.full(2, 9.0))
    path = tmp_path / "circle.safetensors"
    save_arrays(path, *snapshots.to_arrays(samples, *bounds, "circle", "circle"))
    method = Sources()
    state = method.init(jnp.zeros((2, 1, 2)))
    loop = compile_loop(method, [3, 1], 16, state, measures.load(path))
    found = np.asarray(loop(state, 1)[0].params)
    np.testing.assert_allclose(found[:, 0], np.tile(samples[0].sum(axis=0), (2, 1)), rtol=1e-5)

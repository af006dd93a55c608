"""Timing of a conjugation: what is timed, and that training does not notice."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from tests.unit.training.test_run import cell

from w2dual import measures, rng
from w2dual.evaluation import cell as cell_evaluation
from w2dual.evaluation import conjugation_time
from w2dual.evaluation.conjugation_time import FIELDS
from w2dual.measures.pairs import gaussian
from w2dual.records import save_arrays
from w2dual.training import run
from w2dual.training.loop import streams
from w2dual.training.methods import Conjugating

NO_NETWORKS: Any = None  # the solvers here make no use of any


def method(**attributes: Any) -> Any:
    """A method that conjugates as is said here, and does nothing else."""
    made = type("Method", (Conjugating,), attributes)
    made.__abstractmethods__ = frozenset()  # pyright: ignore[reportAttributeAccessIssue]
    return made()


def gaussian_pair(folder):
    path = folder / "hd2.safetensors"
    save_arrays(path, *gaussian.draw(2, 0))
    return measures.load(path)


def test_times_fresh_batches_of_all_seeds_from_a_stream_of_their_own(tmp_path):
    pair, seeds, seen = gaussian_pair(tmp_path), [3, 0], []

    def conjugate(params, y):
        jax.debug.callback(lambda y: seen.append(np.asarray(y)), y)
        return y

    problem = method(solver="one", conjugate=staticmethod(conjugate))
    times = conjugation_time.measure(problem, NO_NETWORKS, pair, seeds, 16, repetitions=4)
    jax.effects_barrier()
    assert tuple(times) == FIELDS
    low, median, high = (times[f"conjugation_ms{end}"] or 0 for end in ("_low", "", "_high"))
    assert 0 < low <= median <= high
    assert [batch.shape for batch in seen] == [(2, 16, 2)] * 5  # the first one warms up
    for step, batch in enumerate(seen):
        training_key = rng.at(rng.at(streams(seeds, "target")[0], step), 0)
        assert not np.isin(batch, pair.sample_target(training_key, 16)).any()
        assert not any(np.isin(batch, other).any() for other in seen[:step])


def test_without_a_solver_there_is_nothing_to_time(tmp_path):
    problem = method(solver=None)
    times = conjugation_time.measure(problem, NO_NETWORKS, gaussian_pair(tmp_path), [0], 16)
    assert times == dict.fromkeys(FIELDS)


def test_a_trained_cell_is_timed_and_its_numbers_do_not_move(tmp_path, monkeypatch):
    pair = gaussian_pair(tmp_path)
    short = cell(training__iterations=3, evaluation__history_every=3, logging__every=3)
    timed = run.train(short, pair, cell_evaluation.make)
    assert timed.timing["conjugation_ms"] > 0
    monkeypatch.setattr(conjugation_time, "measure", lambda *_: {})
    untimed = run.train(short, pair, cell_evaluation.make)
    assert untimed.seeds == timed.seeds
    for one, other in zip(
        jax.tree.leaves(timed.state), jax.tree.leaves(untimed.state), strict=True
    ):
        np.testing.assert_array_equal(one, other)

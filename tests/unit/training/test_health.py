"""When a seed has diverged, by the published rule; what is recorded of spikes and conjugates."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings
from tests.unit.training.test_checkpoint import EVERY_CHUNK, ORIGIN, Dying, Interrupted, same_result

from w2dual import backend, measures
from w2dual.config.cells import Cell
from w2dual.conjugate import ConjugateResult, Status
from w2dual.evaluation import cell as cell_evaluation
from w2dual.measures.pairs import gaussian
from w2dual.records import save_arrays
from w2dual.training import health, loop, methods, pretraining, run
from w2dual.training.checkpoint import Checkpoints
from w2dual.training.health import SOLVED, Incidents, Totals
from w2dual.training.methods import Given
from w2dual.training.methods.dual import DualProblem
from w2dual.training.methods.dual import make as make_problem

HUGE = 1e6  # times the source's points: a loss far beyond the bound, and finite gradients
RECORDED, FATAL, BROKEN, CALM = range(4)
SEEDS: list[int] = [RECORDED, FATAL, BROKEN, CALM]
"""Spikes at steps 8 and 11, one at step 12 which is judged, one that is not finite, none."""
SCHEDULE = {RECORDED: {8: HUGE, 11: HUGE}, FATAL: {12: HUGE}, BROKEN: {9: float("nan")}}
JUDGED_EVERY = 6
SETTINGS = {
    "potential": {"kind": "mlp", "activation": "elu", "hidden": [8, 8]},
    "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [8, 8]},
    "amortization": {"kind": "regression"},
    "solver": settings.solver("lbfgs"),
    "seeds": SEEDS,
    "training": settings.training(batch_size=16, iterations=24, divergence_every=JUDGED_EVERY),
    "pretraining": settings.pretraining(iterations=20, min_iterations=10),
    "evaluation": {"samples": 128, "history_every": 8, "history_samples": 64},
    "logging": {"every": 4},
}


def cell() -> Cell:
    return Cell("tiny", "hd2", 2, "mlp", "regression", "lbfgs", json.loads(json.dumps(SETTINGS)))


@dataclasses.dataclass(frozen=True)
class Spiking(DualProblem):
    """Points of the source lie far out, or nowhere, at the seeds and steps of `SCHEDULE`."""

    def update(self, state, batches, over=None):
        """Take a step, its number counted from 1."""
        factors = jnp.asarray(
            [[SCHEDULE.get(seed, {}).get(step, 1.0) for seed in SEEDS] for step in range(25)]
        )
        x = batches.source() * factors[state.step + 1][:, None, None]
        return super().update(state, Given(x, batches.target()), over)


@pytest.fixture(scope="module", autouse=True)
def spiking() -> Iterator[None]:
    """Train `Spiking` problems in the place of the cell's."""

    def make(*arguments: Any) -> Spiking:
        problem = make_problem(*arguments)
        return Spiking(**{f.name: getattr(problem, f.name) for f in dataclasses.fields(problem)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "make", make)
        yield


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> measures.SolvedPair:
    path = tmp_path_factory.mktemp("pair") / "hd2.safetensors"
    save_arrays(path, *gaussian.draw(2, 0))
    return measures.load_solved(path)


@pytest.fixture(scope="module")
def result(pair: measures.SolvedPair) -> run.TrainingResult:
    return run.train(cell(), pair, cell_evaluation.make)


def test_a_spike_between_the_judged_steps_is_recorded_and_not_fatal(result):
    seed = result.seeds[RECORDED]
    assert (seed["status"], seed["diverged_at_step"]) == ("finished", None)
    assert seed["before_divergence"] is None
    assert seed["l2_uvp_forward_percent"] > 0
    found = seed["spikes"]
    assert (found["steps"], found["first_step"], found["last_step"]) == (2, 8, 11)
    assert found["largest_loss"] > 1e5


def test_a_spike_at_a_judged_step_is_divergence(result):
    seed = result.seeds[FATAL]
    assert (seed["status"], seed["diverged_at_step"], seed["steps"]) == ("diverged", 12, 12)
    assert seed["spikes"]["steps"] == 1
    assert seed["l2_uvp_forward_percent"] is None


def test_parameters_that_are_not_finite_are_divergence_at_any_step(result):
    seed = result.seeds[BROKEN]
    assert (seed["status"], seed["diverged_at_step"]) == ("diverged", 9)
    assert seed["spikes"]["steps"] == 1
    assert seed["spikes"]["largest_loss"] is None  # JSON has no word for infinity


def test_a_seed_without_a_spike_says_so(result):
    seed = result.seeds[CALM]
    assert seed["status"] == "finished"
    nothing = {"largest_loss": None, "first_step": None, "last_step": None}
    assert seed["spikes"] == {"steps": 0} | nothing


def test_what_a_diverged_seed_was_before_is_evaluated(result):
    for index, last in ((FATAL, 11), (BROKEN, 8)):
        rows = [row for row in result.history if row["seed"] == SEEDS[index]]
        assert [row["step"] for row in rows] == sorted({0, 8, last})
        before = result.seeds[index]["before_divergence"]
        assert before["step"] == last
        for column in ("l2_uvp_forward_percent", "dual_objective"):
            assert before[column] == rows[-1][column]
    calm = [row["step"] for row in result.history if row["seed"] == SEEDS[CALM]]
    assert calm == [0, 8, 16, 24]


@pytest.mark.parametrize(
    "saves", [True, pytest.param(False, marks=pytest.mark.long)], ids=["after", "before"]
)
def test_resumed_around_the_spikes_to_the_same_bits(result, pair, tmp_path: Path, saves: bool):
    """Attempts die after chunks that end at steps 1, 4, 8, 12: about the spikes and at them."""
    for chunks in (2, 2, 3):
        dying = Dying(tmp_path, ORIGIN, every_s=EVERY_CHUNK)
        dying.chunks, dying.saves = chunks, saves
        with pytest.raises(Interrupted):
            run.train(cell(), pair, cell_evaluation.make, dying)
    resumed = run.train(
        cell(), pair, cell_evaluation.make, Checkpoints(tmp_path, ORIGIN, every_s=EVERY_CHUNK)
    )
    assert len(resumed.timing["resumed_at_steps"]) == 3
    same_result(resumed, result)


def test_points_are_counted_over_the_whole_of_training(result):
    counts = [sum(seed["training_conjugate_status"].values()) for seed in result.seeds]
    assert counts == [24 * 16, 12 * 16, 9 * 16, 24 * 16]  # none after a seed has diverged
    assert result.seeds[CALM]["worst_conjugate_residual"] > 0


def result_of(status: list[list[int]], norm: list[list[float]]) -> ConjugateResult:
    kinds, norms = jnp.asarray(status), jnp.asarray(norm, jnp.float32)
    zeros = jnp.zeros(kinds.shape)
    return ConjugateResult(
        zeros[..., None], zeros, norms, kinds, zeros.astype(int), zeros.astype(int)
    )


@pytest.mark.parametrize("few_launches", [False, True])
def test_one_step_by_hand(few_launches, monkeypatch):
    monkeypatch.setattr(backend, "few_launches", lambda: few_launches)
    found = health.of_step(
        jnp.asarray(7),
        jnp.asarray([True, True, False]),
        jnp.asarray([-3.0, jnp.nan, 1e9]),
        2.0,
        health.summary(
            result_of(
                [
                    [Status.CONVERGED, Status.STALLED],
                    [Status.NON_FINITE] * 2,
                    [Status.CONVERGED] * 2,
                ],
                [[0.5, 2.0], [jnp.nan, jnp.inf], [9.0, 9.0]],
            )
        ),
    )
    assert found.spikes.tolist() == [1, 1, 0]
    assert found.largest.tolist() == [3.0, jnp.inf, 0.0]
    assert found.first.tolist() == found.last.tolist() == [7, 7, 0]
    assert found.worst_residual.tolist() == [2.0, 0.0, 0.0]
    counts = [dict(zip(SOLVED, row, strict=True)) for row in found.statuses.tolist()]
    assert counts[0][Status.CONVERGED] == counts[0][Status.STALLED] == 1
    assert counts[1][Status.NON_FINITE] == 2
    assert not any(counts[2].values())


def test_spans_add_up_however_they_are_cut():
    rng = np.random.default_rng(0)
    steps = []
    for number in range(1, 9):
        spike = rng.random(3) < 0.4
        steps.append(
            Incidents(
                spike.astype(np.int32),
                np.where(spike, rng.random(3), 0).astype(np.float32),
                np.where(spike, number, 0).astype(np.int32),
                np.where(spike, number, 0).astype(np.int32),
                rng.integers(0, 5, (3, len(SOLVED))).astype(np.int32),
                rng.random(3).astype(np.float32),
            )
        )

    def in_chunks(*ends: int) -> Totals:
        totals, begin = Totals.start(3), 0
        for end in ends:
            chunk = health.none_yet(3)
            for one in steps[begin:end]:
                chunk = health.added(chunk, one)
            totals.add(chunk)
            begin = end
        return totals

    one, several = in_chunks(8), in_chunks(1, 3, 4, 8)
    for a, b in zip(one.incidents, several.incidents, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert one.incidents.spikes.dtype == np.int64
    at = [i + 1 for i, step in enumerate(steps) if step.spikes[0]]
    seed = one.of_seed(0)["spikes"]
    assert (seed["steps"], seed["first_step"], seed["last_step"]) == (len(at), at[0], at[-1])
    counted = sum(int(step.statuses.sum()) for step in steps)
    converged = sum(int(step.statuses[:, SOLVED.index(Status.CONVERGED)].sum()) for step in steps)
    assert one.not_converged == pytest.approx(1 - converged / counted)


def test_the_devices_that_share_a_batch_count_all_of_it(pair: measures.SolvedPair):
    """On one device, and on two that share it: the same points, the same worst residual."""
    problem = make_problem(cell().settings, 2)
    state = problem.init(pretraining.initial_params(problem, cell())[0])
    seeds, steps = SEEDS, jnp.int32(3)
    _, alone = jax.jit(loop._chunk(problem, seeds, 16, 1))(state, pair, steps)
    two = jax.vmap(
        loop._chunk(problem, seeds, 16, 2), in_axes=None, axis_name=loop.AXIS, axis_size=2
    )
    _, shared = jax.jit(two)(state, pair, steps)
    assert alone.incidents.statuses.sum(axis=1).tolist() == [48] * 4
    for device in range(2):
        found = jax.tree.map(lambda leaf, i=device: leaf[i], shared.incidents)
        np.testing.assert_array_equal(found.statuses, alone.incidents.statuses)
        # The same points in products of another shape.
        np.testing.assert_allclose(found.worst_residual, alone.incidents.worst_residual, rtol=1e-3)

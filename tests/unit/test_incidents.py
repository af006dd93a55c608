"""When a seed has diverged, by the published rule, and what is recorded of spikes and conjugates."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings
from tests.unit.test_checkpoint import EVERY_CHUNK, ORIGIN, Dying, Interrupted, same_result

from w2dual import incidents, measures, training
from w2dual.cells import Cell
from w2dual.checkpoint import Checkpoints
from w2dual.conjugate import ConjugateResult, Status
from w2dual.dual import DualProblem, make_problem
from w2dual.incidents import SOLVED, Incidents, Totals
from w2dual.measures import gaussian
from w2dual.records import save_arrays

SETTINGS = {
    "potential": {"kind": "mlp", "activation": "elu", "hidden": [8, 8]},
    "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [8, 8]},
    "amortization": {"kind": "regression"},
    "solver": settings.solver("lbfgs"),
    "seeds": [0, 3],
    "training": settings.training(batch_size=16, iterations=24, divergence_every=6),
    "pretraining": settings.pretraining(iterations=20, min_iterations=10),
    "evaluation": {"samples": 128, "history_every": 8, "history_samples": 64},
    "logging": {"every": 4},
}
HUGE = 1e6  # times the source's points: a loss far beyond the bound, and finite gradients


def cell() -> Cell:
    return Cell("tiny", "hd2", 2, "mlp", "regression", "lbfgs", json.loads(json.dumps(SETTINGS)))


@dataclasses.dataclass(frozen=True)
class Spiking(DualProblem):
    """Seed 0 gets a loss that is huge, or not finite, at chosen steps (counted from 1)."""

    steps: tuple[int, ...] = ()
    factor: float = HUGE

    def update(self, state, x, y, over=None):
        """Take a step on points of the source that lie far out where it is one of `steps`."""
        spike = jnp.isin(state.step + 1, jnp.asarray(self.steps))
        first = (jnp.arange(x.shape[0]) == 0)[:, None, None]
        return super().update(state, jnp.where(spike & first, x * self.factor, x), y, over)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> measures.Pair:
    path = tmp_path_factory.mktemp("pair") / "hd2.safetensors"
    save_arrays(path, *gaussian.make(2, 0))
    return measures.load_pair(path)


Train = Callable[..., training.TrainingResult]


@pytest.fixture
def train(pair: measures.Pair, monkeypatch: pytest.MonkeyPatch) -> Train:
    def run(
        *steps: int, factor: float = HUGE, checkpoints: Checkpoints | None = None
    ) -> training.TrainingResult:
        def spiking(settings, dimension):
            problem = make_problem(settings, dimension)
            fields = {f.name: getattr(problem, f.name) for f in dataclasses.fields(problem)}
            return Spiking(**fields, steps=steps, factor=factor)

        monkeypatch.setattr(training, "make_problem", spiking)
        return training.train(cell(), pair, checkpoints)

    return run


def test_a_spike_between_the_judged_steps_is_recorded_and_not_fatal(train: Train):
    result = train(8, 11)
    spiked, other = result.seeds
    assert [spiked["status"], other["status"]] == ["finished", "finished"]
    assert spiked["diverged_at_step"] is None
    assert spiked["before_divergence"] is None
    found = spiked["spikes"]
    assert (found["steps"], found["first_step"], found["last_step"]) == (2, 8, 11)
    assert found["largest_loss"] > 1e5
    nothing = {"largest_loss": None, "first_step": None, "last_step": None}
    assert other["spikes"] == {"steps": 0} | nothing


@pytest.mark.parametrize("step", [1, 12])
def test_a_spike_at_a_judged_step_is_divergence(train: Train, step: int):
    """The published code looks at the loss of step 1 and of every 1,000th; here of every 6th."""
    spiked, other = train(step).seeds
    assert (spiked["status"], spiked["diverged_at_step"]) == ("diverged", step)
    assert spiked["spikes"]["steps"] == 1
    assert spiked["l2_uvp_forward_percent"] is None
    assert other["status"] == "finished"


def test_parameters_that_are_not_finite_are_divergence_at_any_step(train: Train):
    spiked, other = train(9, factor=float("nan")).seeds
    assert (spiked["status"], spiked["diverged_at_step"]) == ("diverged", 9)
    assert spiked["spikes"]["steps"] == 1
    assert spiked["spikes"]["largest_loss"] is None  # JSON has no word for infinity
    assert other["status"] == "finished"


def test_what_a_diverged_seed_was_before_is_evaluated(train: Train):
    result = train(12)
    before = result.seeds[0]["before_divergence"]
    assert before["step"] == 11
    rows = [row for row in result.history if row["seed"] == 0]
    assert [row["step"] for row in rows] == [0, 8, 11]
    assert before["l2_uvp_forward_percent"] == rows[-1]["l2_uvp_forward_percent"]
    undisturbed = train()
    both = [[r for r in run.history if r["seed"] == 3] for run in (result, undisturbed)]
    assert [row["step"] for row in both[0]] == [0, 8, 16, 24]
    for one, same in zip(*both, strict=True):
        assert {k: v for k, v in one.items() if k != "seconds_per_step"} == {
            k: v for k, v in same.items() if k != "seconds_per_step"
        }


@pytest.mark.parametrize("saves", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("steps", [(8, 11), (8, 12)], ids=["recorded", "fatal"])
def test_resumed_around_a_spike_to_the_same_bits(
    train: Train, tmp_path: Path, steps: tuple[int, ...], saves: bool
):
    """Attempts die after chunks that end at steps 1, 4, 8, 12: about the spikes and at them."""
    base = train(*steps)
    for chunks in (2, 2, 3):
        dying = Dying(tmp_path, ORIGIN, every_s=EVERY_CHUNK)
        dying.chunks, dying.saves = chunks, saves
        with pytest.raises(Interrupted):
            train(*steps, checkpoints=dying)
    resumed = train(*steps, checkpoints=Checkpoints(tmp_path, ORIGIN, every_s=EVERY_CHUNK))
    same_result(resumed, base)
    assert base.seeds[0]["spikes"]["steps"] == 2


def test_points_are_counted_over_the_whole_of_training(train: Train):
    result = train(12)
    diverged, finished = (seed["training_conjugate_status"] for seed in result.seeds)
    assert sum(finished.values()) == 24 * 16
    assert sum(diverged.values()) == 12 * 16  # none after it diverged
    assert all(seed["worst_conjugate_residual"] > 0 for seed in result.seeds)


def result_of(status: list[list[int]], norm: list[list[float]]) -> ConjugateResult:
    kinds, norms = jnp.asarray(status), jnp.asarray(norm, jnp.float32)
    zeros = jnp.zeros(kinds.shape)
    return ConjugateResult(
        zeros[..., None], zeros, norms, kinds, zeros.astype(int), zeros.astype(int)
    )


def test_one_step_by_hand():
    found = incidents.of_step(
        jnp.asarray(7),
        jnp.asarray([True, True, False]),
        jnp.asarray([-3.0, jnp.nan, 1e9]),
        2.0,
        result_of(
            [[Status.CONVERGED, Status.STALLED], [Status.NON_FINITE] * 2, [Status.CONVERGED] * 2],
            [[0.5, 2.0], [jnp.nan, jnp.inf], [9.0, 9.0]],
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
            chunk = incidents.none_yet(3)
            for one in steps[begin:end]:
                chunk = incidents.added(chunk, one)
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


def test_the_devices_that_share_a_batch_count_all_of_it(pair: measures.Pair):
    """On one device and on two: the same points counted, the same worst residual."""
    from w2dual import loop

    assert jax.local_device_count() >= 2, "tests/conftest.py asks for two CPU devices"
    problem = make_problem(cell().settings, 2)
    params = training.initial_params(problem, cell())[0]
    found = []
    for count in (1, 2):
        run = jax.jit(loop._chunk(problem, [0, 3], 16, 1)) if count == 1 else None
        if run is None:
            compiled = loop.compile_loop(problem, [0, 3], 16, problem.init(params), pair)
            _, chunk = compiled(problem.init(jax.tree.map(jnp.array, params)), 3)
        else:
            _, chunk = run(problem.init(params), pair, jnp.int32(3))
        found.append(chunk.incidents)
    assert np.asarray(found[0].statuses).sum(axis=1).tolist() == [48, 48]
    np.testing.assert_array_equal(found[0].statuses, found[1].statuses)
    np.testing.assert_allclose(found[0].worst_residual, found[1].worst_residual, rtol=1e-4)

"""Training whole cells, on the closed-form Gaussian pair and on a pair of laws on the plane."""

import csv
import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from tests.unit import settings

from w2dual import measures, rng
from w2dual.__main__ import main
from w2dual.config.cells import Cell
from w2dual.evaluation import cell as cell_evaluation
from w2dual.evaluation import l2_uvp as metrics
from w2dual.measures.pairs import gaussian
from w2dual.measures.preparation import synthetic as preparation
from w2dual.records import load_arrays, read_json, save_arrays
from w2dual.results.measured.hd import MEASURED as HD
from w2dual.results.measured.synthetic import MEASURED as SYNTHETIC
from w2dual.training import files, health, loop, run
from w2dual.training.checkpoint import WORDS, Checkpoints
from w2dual.training.methods.dual import make as make_problem
from w2dual.training.progress import Progress
from w2dual.training.status import NAME, CellStatus

ORIGIN: dict[str, str | None] = dict.fromkeys(WORDS, "x")
SETTINGS = {
    "potential": {"kind": "mlp", "activation": "elu", "hidden": [32, 32]},
    "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [32, 32]},
    "amortization": {"kind": "regression"},
    "solver": settings.solver("lbfgs"),
    "seeds": [0, 1],
    "training": settings.training(batch_size=64, iterations=30),
    "pretraining": settings.pretraining(iterations=40, min_iterations=10),
    "evaluation": {"samples": 512, "history_every": 10, "history_samples": 256},
    "logging": {"every": 10},
}


def cell(**changes):
    changed = json.loads(json.dumps(SETTINGS))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = changed
        for part in parents:
            node = node[part]
        node[last] = value
    return Cell("test", "hd2", 2, "mlp", "regression", "lbfgs", changed)


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("pair") / "hd2.safetensors"
    save_arrays(path, *gaussian.draw(2, 0))
    return path


@pytest.fixture(scope="module")
def pair(pair_file):
    return measures.load(pair_file)


@pytest.fixture(scope="module")
def base(pair):
    return run.train(cell(), pair, cell_evaluation.make)


PLANE = {
    # As many samples in the history: one program evaluates both.
    "evaluation": {"samples": 48, "epsilon": 0.05, "history_every": 10, "history_samples": 48},
    "potential": {"kind": "mlp", "activation": "leaky_relu_0.2", "hidden": [8, 8]},
    "seeds": [4, 2],
}


@pytest.fixture(scope="module")
def plane_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("plane") / "gauss8.safetensors"
    laws = {"source": "gauss_1_small", "target": "gauss_8"}
    save_arrays(path, *preparation.prepare("gauss8", laws))
    return path


def same_bits(one, other):
    for a, b in zip(
        jax.tree.leaves(one.state.params), jax.tree.leaves(other.state.params), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_logging_and_evaluating_move_no_bit(base, pair):
    changes = {"logging__every": 3, "evaluation__history_every": 6, "evaluation__samples": 100}
    same_bits(base, run.train(cell(**changes), pair, cell_evaluation.make))


def test_a_seeds_result_does_not_depend_on_its_neighbours(base, pair):
    alone = run.train(cell(seeds=[1]), pair, cell_evaluation.make)
    for a, b in zip(
        jax.tree.leaves(base.state.params), jax.tree.leaves(alone.state.params), strict=True
    ):
        # the same sums in batched products of another shape, over 70 steps in float32
        np.testing.assert_allclose(a[1], b[0], rtol=1e-3, atol=1e-5)


def test_groups_of_seeds_are_one_cell_and_resume(pair, tmp_path):
    plain = {"amortization__kind": "objective", "solver": {"kind": "none"}}
    plain |= {"potential__hidden": [8], "amortization_model__hidden": [8]}
    apart = cell(**plain, training__seeds_at_once=1)
    whole = run.train(apart, pair, cell_evaluation.make)
    alone = run.train(cell(**plain, seeds=[1]), pair, cell_evaluation.make)
    for a, b in zip(
        jax.tree.leaves(whole.state.params), jax.tree.leaves(alone.state.params), strict=True
    ):
        np.testing.assert_array_equal(a[1], b[0])
    assert [record["seed"] for record in whole.seeds] == [0, 1]
    steps = [(row["seed"], row["step"]) for row in whole.history]
    assert steps == [(seed, step) for step in (0, 10, 20, 30) for seed in (0, 1)]

    begun = []

    def stops_in_the_second(*arguments):
        begun.append(arguments)
        if len(begun) == 2:
            raise RuntimeError("stopped")
        return cell_evaluation.make(*arguments)

    folder = tmp_path / "checkpoints"
    with pytest.raises(RuntimeError, match="stopped"):
        run.train(apart, pair, stops_in_the_second, Checkpoints(folder, ORIGIN))
    status = CellStatus.read(folder / NAME)
    assert (status.phase, status.seeds, status.group, status.groups) == ("stopped", 2, 2, 2)
    checkpoints = Checkpoints(folder, ORIGIN)
    again = run.train(apart, pair, cell_evaluation.make, checkpoints)
    same_bits(whole, again)
    assert again.timing["resumed_at_steps"][0] == 30  # the first group was done
    checkpoints.remove()
    assert not folder.exists()


def test_what_the_groups_before_went_through_is_counted(tmp_path):
    """By the status of a cell whose last group is being trained."""
    mine = cell(seeds=[5])
    seeds = [
        {
            "status": status,
            "spikes": {"steps": spikes},
            "training_conjugate_status": {"converged": 6, "stalled": 2},
        }
        for status, spikes in (("diverged", 4), ("finished", 1))
    ]
    before: Any = [SimpleNamespace(seeds=seeds[:1]), SimpleNamespace(seeds=seeds[1:])]
    whole = run._whole(cell(seeds=[1, 2, 5]), 3, 3, before)
    with Progress(mine, tmp_path, whole) as progress:
        converged = health.SOLVED.index(health.Status.CONVERGED)
        progress.totals.incidents.statuses[0, converged] = 4
        progress.enter("training")
    status = CellStatus.read(tmp_path / NAME)
    assert (status.seeds, status.diverged_seeds, status.spikes) == (3, 1, 5)
    assert status.not_converged == 1 - 16 / 20
    assert (status.group, status.groups) == (3, 3)


def test_seeds_differ(base):
    kernel = base.state.params.potential["dense_0"]["kernel"]
    assert not np.allclose(kernel[0], kernel[1])


def test_history_and_records(base):
    steps = [(row["seed"], row["step"]) for row in base.history]
    assert steps == [(seed, step) for step in (0, 10, 20, 30) for seed in (0, 1)]
    for record in base.seeds:
        assert record["status"] == "finished"
        assert sum(record["conjugate_status"].values()) == 512
        assert record["conjugate_iterations_mean"] > 0
    assert base.timing["seconds_per_step"] > 0


def test_the_start_is_measured_against_the_solvers_result(base, pair):
    for row in base.history:
        # f is trained little and near 1/2 ||x||^2, so that the gap is about half the distance
        # squared, and never below what float32 makes of 0.
        assert row["amortization_gap_mean"] > -1e-5
        assert row["start_gradient_norm_mean"] > 0
    problem = make_problem(cell().settings, 2)
    keys = loop.streams([0, 1], "test")
    found = metrics.evaluator(problem, 256)(base.state.params, keys, pair, 256)

    @jax.jit
    def by_hand(params):
        """The same points, all of them one block."""
        x = jax.vmap(lambda key: pair.sample_source(rng.at(key, 0), 256))(keys)
        y = pair.ground_truth(x)
        start = problem.amortized(params, y)
        value, gradient = problem.oracle(params)(start)
        gap = value - (start * y).sum(axis=-1) - problem.conjugate(params, y).value
        return y, gradient, gap

    y, gradient, gap = by_hand(base.state.params)
    np.testing.assert_allclose(found.amortization_gap_mean, gap.mean(axis=1), atol=1e-5)
    norm = abs(gradient - y).max(axis=-1).mean(axis=1)
    np.testing.assert_allclose(found.start_gradient_norm_mean, norm, rtol=1e-4)

    none = dataclasses.replace(problem, solver=None)
    without = metrics.evaluator(none, 256)(base.state.params, keys, pair, 256)
    assert np.all(np.isnan(without.amortization_gap_mean))
    np.testing.assert_allclose(without.start_gradient_norm_mean, norm, rtol=1e-4)


@pytest.mark.parametrize("file", ["pair_file", "plane_file"])
def test_a_diverging_cell_is_recorded_and_no_error(file, request, caplog):
    changes = PLANE if file == "plane_file" else {}
    diverging = cell(training__divergence_loss=1e-9, **changes)
    result = run.train(
        diverging, measures.load(request.getfixturevalue(file)), cell_evaluation.make
    )
    for record in result.seeds:
        assert record["status"] == "diverged"
        assert record["diverged_at_step"] == 1
        assert record[result.headline.column] is None
    assert {row["step"] for row in result.history} == {0}


def test_pretraining_reaches_the_identity_and_stops_at_its_tolerance(pair):
    long = cell(pretraining__iterations=2000, pretraining__tolerance=0.05, training__iterations=1)
    result = run.train(long, pair, cell_evaluation.make)
    assert result.timing["pretraining_loss_potential"] < 0.05
    assert 11 <= result.timing["pretraining_steps"] < 2000


OUT = ("metrics.json", "history.csv", "params.safetensors")


def run_job(record, pair_file, folder):
    """Run the job `train`, with all it writes in `folder`; return the exit code."""
    metrics, history, params = (str(folder / name) for name in OUT)
    return main(
        [
            "train",
            *("--cell", json.dumps(record)),
            *("--preset", '{"name":"test","label":"a test","reduced":true}'),
            *("--measures", str(pair_file)),
            *("--metrics", metrics, "--history", history, "--params", params),
            *("--checkpoints", str(folder / "checkpoints")),
        ]
    )


def test_the_job_writes_all_files_and_refuses_a_wrong_pair(pair_file, pair, tmp_path):
    small = cell(training__iterations=10, seeds=[3])
    out = {name: tmp_path / name for name in OUT}
    wrong = dataclasses.replace(small, dimension=4, pair="hd4")
    assert run_job(wrong.to_json(), pair_file, tmp_path) == 2
    assert list(tmp_path.iterdir()) == []
    assert run_job(small.to_json(), pair_file, tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == out.keys()
    record = read_json(out["metrics.json"])
    assert record["cell"]["hash"] == small.hash
    assert record["timing"]["resumed_at_steps"] == []
    assert record["seeds"][0]["seed"] == 3
    assert record["provenance"]["packages"]["jax"]
    assert record["headline"] == {"column": "l2_uvp_forward_percent", "label": "L2-UVP %"}
    assert set(HD.metrics) <= record["seeds"][0].keys()
    assert record["measures"].keys() == {"source", "var_source", "var_target", "sha256"}
    assert record["measures"]["var_target"] == pytest.approx(float(pair.var_target))
    assert out["history.csv"].read_text().splitlines()[0].split(",") == [
        *("seed", "step", "l2_uvp_forward_percent", "l2_uvp_inverse_percent"),
        *("cosine_forward", "cosine_inverse", "dual_objective", "conjugate_iterations_mean"),
        *("amortization_gap_mean", "start_gradient_norm_mean", "seconds_per_step"),
    ]
    params, loaded, seeds = files.load_params(out["params.safetensors"])
    assert (loaded, seeds) == (small, [3])
    names = set(load_arrays(out["params.safetensors"])[0])
    assert set(files.flatten(params)) == names
    assert "model/dense_0/kernel" in names


def test_the_job_trains_a_cell_on_the_plane(plane_file, tmp_path):
    plane = dataclasses.replace(cell(training__iterations=20, **PLANE), pair="gauss8")
    assert run_job(plane.to_json(), plane_file, tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(OUT)
    record = read_json(tmp_path / "metrics.json")
    assert record["headline"] == {"column": "w2_forward", "label": "W2 squared"}
    assert record["measures"].keys() == {"source", "sha256"}
    assert [seed["seed"] for seed in record["seeds"]] == [4, 2]
    for seed in record["seeds"]:
        assert set(SYNTHETIC.metrics) <= seed.keys()
        assert all(seed[name] is not None for name in SYNTHETIC.metrics)
        # Of the conjugates at samples of the target, and not of those for the cycle.
        assert sum(seed["conjugate_status"].values()) == 48
        assert seed["w2_forward"] > seed["w2_floor_forward"] > 0
    with (tmp_path / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        *("seed", "step", "sinkhorn_forward", "sinkhorn_inverse", "w2_forward", "w2_inverse"),
        *("monge_gap_forward", "monge_gap_inverse", "cycle_forward", "cycle_inverse"),
        *("dual_objective", "conjugate_iterations_mean", "seconds_per_step"),
    ]
    assert [(row["seed"], row["step"]) for row in rows] == [
        (seed, step) for step in ("0", "10", "20") for seed in ("4", "2")
    ]
    # gauss_1_small is not where gauss_8 is, so that the start is bad, and numbers are of the map.
    assert all(float(row["w2_forward"]) > 5 for row in rows[:2])


def optimised(function, graphs=True, **options):
    """Compile as well as XLA can, which pays off over thousands of steps."""
    del graphs  # of a GPU
    best = {"xla_backend_optimization_level": "3", "xla_cpu_use_fusion_emitters": True}
    return jax.jit(function, compiler_options=best, **options)


@pytest.mark.long
@pytest.mark.slow
def test_a_gaussian_pair_is_learned(pair, monkeypatch):
    """Closed form: T* is linear, and f = 1/2 <x, A x> + <b, x> is in reach of the network."""
    monkeypatch.setattr(loop.backend, "jit", optimised)
    long = cell(
        seeds=[0],
        potential__activation="softplus",  # smooth, as the truth is
        solver__gradient_tolerance=0.01,
        training__iterations=8000,
        training__batch_size=256,
        training__learning_rate=2e-3,
        pretraining__iterations=500,
        evaluation__samples=4096,
        evaluation__history_every=8000,
        logging__every=8000,
    )
    record = run.train(long, pair, cell_evaluation.make).seeds[0]
    assert record["l2_uvp_forward_percent"] < 0.1
    assert record["l2_uvp_inverse_percent"] < 0.1

"""Training whole cells, on the closed-form Gaussian pair."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from w2dual import measures, train_job, training
from w2dual.__main__ import main
from w2dual.cells import Cell
from w2dual.measures import gaussian
from w2dual.records import load_arrays, read_json, save_arrays

SETTINGS = {
    "potential": {"kind": "mlp", "activation": "elu", "hidden": [32, 32]},
    "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [32, 32]},
    "amortization": {"kind": "regression"},
    "solver": {
        "kind": "lbfgs",
        "history": 10,
        "gradient_tolerance": 0.1,
        "max_iterations": 100,
        "decrease_tolerance": 2.220446049250313e-9,
        "armijo": 1e-4,
        "shrink": 1.5,
        "trials": 10,
        "line_search": "sequential",
    },
    "seeds": [0, 1],
    "training": {
        "batch_size": 64,
        "iterations": 30,
        "learning_rate": 5e-4,
        "final_learning_rate_factor": 1e-4,
        "b1": 0.5,
        "b2": 0.5,
        "weight_decay": 1e-4,
        "divergence_loss": 1e5,
    },
    "pretraining": {
        "iterations": 40,
        "learning_rate": 1e-3,
        "bound": 5.0,
        "tolerance": 1e-6,
        "min_iterations": 10,
    },
    "evaluation": {"samples": 512, "history_every": 10, "history_samples": 256},
    "logging": {"every": 10},
}


def cell(**changes):
    settings = json.loads(json.dumps(SETTINGS))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = settings
        for part in parents:
            node = node[part]
        node[last] = value
    return Cell("test", "hd2", 2, "mlp", "regression", "lbfgs", settings)


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("pair") / "hd2.safetensors"
    save_arrays(path, *gaussian.make(2, 0))
    return path


@pytest.fixture(scope="module")
def pair(pair_file):
    return measures.load(pair_file)


@pytest.fixture(scope="module")
def base(pair):
    return training.train(cell(), pair)


def same_bits(one, other):
    for a, b in zip(
        jax.tree.leaves(one.state.params), jax.tree.leaves(other.state.params), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize(
    "changes",
    [
        {"logging__every": 3, "evaluation__history_every": 6},
        {"evaluation__history_every": 30, "evaluation__samples": 100, "logging__every": 15},
    ],
    ids=["often", "seldom"],
)
def test_logging_and_evaluating_move_no_bit(base, pair, changes):
    same_bits(base, training.train(cell(**changes), pair))


def test_a_seeds_result_does_not_depend_on_its_neighbours(base, pair):
    alone = training.train(cell(seeds=[1]), pair)
    for a, b in zip(
        jax.tree.leaves(base.state.params), jax.tree.leaves(alone.state.params), strict=True
    ):
        # the same sums in batched products of another shape, over 70 steps in float32
        np.testing.assert_allclose(a[1], b[0], rtol=1e-3, atol=1e-5)


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


def test_a_diverging_cell_is_recorded_and_no_error(pair, caplog):
    result = training.train(cell(training__divergence_loss=1e-9), pair)
    for record in result.seeds:
        assert record["status"] == "diverged"
        assert record["diverged_at_step"] == 1
        assert record["l2_uvp_forward_percent"] is None
    assert {row["step"] for row in result.history} == {0}


def test_pretraining_reaches_the_identity_and_stops_at_its_tolerance(pair):
    long = cell(pretraining__iterations=2000, pretraining__tolerance=0.05, training__iterations=1)
    result = training.train(long, pair)
    assert result.timing["pretraining_loss_potential"] < 0.05
    assert 11 <= result.timing["pretraining_steps"] < 2000


def test_the_job_writes_all_files_and_refuses_a_wrong_pair(pair_file, tmp_path):
    small = cell(training__iterations=10, seeds=[3])
    out = {name: tmp_path / name for name in ("metrics.json", "history.csv", "params.safetensors")}

    def run(record):
        return main(
            [
                "train",
                *("--cell", json.dumps(record)),
                *("--preset", '{"name":"test","label":"a test","reduced":true}'),
                *("--measures", str(pair_file)),
                *("--metrics", str(out["metrics.json"])),
                *("--history", str(out["history.csv"])),
                *("--params", str(out["params.safetensors"])),
                *("--checkpoints", str(tmp_path / "checkpoints")),
            ]
        )

    assert run(dataclasses.replace(small, dimension=4, pair="hd4").to_json()) == 2
    assert list(tmp_path.iterdir()) == []
    assert run(small.to_json()) == 0
    assert {path.name for path in tmp_path.iterdir()} == out.keys()
    record = read_json(out["metrics.json"])
    assert record["cell"]["hash"] == small.hash
    assert record["timing"]["resumed_at_steps"] == []
    assert record["seeds"][0]["seed"] == 3
    assert record["provenance"]["packages"]["jax"]
    assert out["history.csv"].read_text().splitlines()[0] == ",".join(training.HISTORY_COLUMNS)
    params, loaded, seeds = train_job.load_params(out["params.safetensors"])
    assert (loaded, seeds) == (small, [3])
    names = set(load_arrays(out["params.safetensors"])[0])
    assert set(train_job.flatten(params)) == names
    assert "model/dense_0/kernel" in names


@pytest.mark.slow
def test_a_gaussian_pair_is_learned(pair):
    """Closed form: T* is linear, and f = 1/2 <x, A x> + <b, x> is in reach of the network."""
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
    record = training.train(long, pair).seeds[0]
    assert record["l2_uvp_forward_percent"] < 0.1
    assert record["l2_uvp_inverse_percent"] < 0.1

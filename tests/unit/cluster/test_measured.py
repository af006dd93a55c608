"""Timing training: on a tiny pair and tiny networks, so that what counts is the record."""

import copy
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from w2dual import provenance
from w2dual.__main__ import main
from w2dual.cluster import measured
from w2dual.cluster.costs import read_costs, write_costs
from w2dual.config.grid import cells_in
from w2dual.config.reader import load
from w2dual.measures.pairs import gaussian
from w2dual.records import InputError, save_arrays
from w2dual.training import pretraining
from w2dual.training.methods.dual import make as make_problem

ROOT = Path(__file__).parents[3]
CONFIG = str(ROOT / "config.yaml")
ONE = ["--dimensions", "2", "--potentials", "mlp", "--methods", "regression,lbfgs"]
SHORT = ["--pretraining-steps", "1", "--warm-up-steps", "2", "--block-steps", "2"]


@pytest.fixture(autouse=True)
def _leave_jax_as_it_is():
    names = ("jax_enable_compilation_cache", "jax_default_matmul_precision")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """The config with two hidden layers of 4, and a file to write to."""
    path = tmp_path / "tiny.yaml"
    path.write_text(
        "hd:\n"
        "  training: {hidden: [4, 4], batch_size: 8}\n"
        "  pretraining: {iterations: 2, min_iterations: 1}\n"
    )
    files = ["--config", CONFIG, "--configfile", str(path), "--out", str(tmp_path / "costs.csv")]
    return ["time", *files, *SHORT]


def test_a_row_says_what_was_measured(tiny: list[str], tmp_path: Path):
    argv = [*tiny, *ONE, "--seeds", "2", "--random-pair", "--commit", "abc", "--note", "a test"]
    assert main(argv) == 0
    (row,) = read_costs(tmp_path / "costs.csv")
    assert (row.device, row.kind) == (provenance.device_name(), "cpu")
    assert row.threads > 0
    assert (row.potential, row.amortization, row.solver) == ("mlp", "regression", "lbfgs")
    assert (row.hidden, row.dimension, row.batch_size, row.seeds) == ("4-4", 2, 8, 2)
    assert (row.pretraining_steps, row.warm_up_steps, row.steps_measured) == (1, 2, 10)
    assert row.commit == "abc"
    assert "random weights" in row.source
    assert row.source.endswith("; a test")
    assert 0 < row.iterations_mean <= 100  # of the solver

    # Again: what is there stays, or is measured anew; another count of seeds is another row.
    marked = tmp_path / "costs.csv"
    marked.write_text(marked.read_text().replace("a test", "kept"))
    assert main([*argv, "--only-missing"]) == 0
    assert [row.source.endswith("kept") for row in read_costs(marked)] == [True]


def test_rows_are_added_and_replaced(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The bookkeeping, with the timing itself left out."""
    times: dict[str, Any] = dict.fromkeys(("ms_per_step", "ms_per_step_low"), 1.0)
    times |= dict.fromkeys(("ms_per_step_high", "compile_s", "pretraining_s"), 2.0)
    times |= {"pretraining_steps": 1, "iterations_mean": 0.0}
    times |= {"steps_measured": 1, "warm_up_steps": 1}
    monkeypatch.setattr(measured, "measure", lambda *_: dict(times))
    begun = []
    monkeypatch.setattr(measured, "pretrain", lambda cell, _: begun.append(cell.name))
    save_arrays(tmp_path / "hd2.safetensors", *gaussian.draw(2, seed=0))
    argv = [*tiny, "--dimensions", "2", "--potentials", "mlp", "--measures", str(tmp_path)]
    out = tmp_path / "costs.csv"
    assert main([*argv, "--methods", "cycle,none", "--seeds", "1", "3"]) == 0
    assert [row.seeds for row in read_costs(out)] == [1, 3]
    times["ms_per_step"] = 1.5
    assert main([*argv, "--methods", "cycle,none", "objective,adam", "--seeds", "3"]) == 0
    found = {(row.amortization, row.seeds): row.ms_per_step for row in read_costs(out)}
    assert found == {("cycle", 1): 1.0, ("cycle", 3): 1.5, ("objective", 3): 1.5}
    # Two counts of seeds, then one for both methods, which start from the same networks.
    assert begun == ["hd2-mlp-cycle-none", "hd2-mlp-cycle-none", "hd2-mlp-cycle-none"]
    assert {row.source for row in read_costs(out)} == {
        "training's first steps on the prepared pair"
    }


def test_random_pair_is_one_of_the_benchmarks_form():
    pair = measured.random_pair(3)
    x = pair.sample_source(jax.random.key(0), 4000)
    y = np.asarray(pair.ground_truth(x))
    assert np.isfinite(y).all()
    # Standardised on 16,384 points: mean 0 and total variance n, up to sampling.
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(y.var(axis=0).sum(), 3, rtol=0.1)
    assert np.abs(y - np.asarray(x)).max() > 0.1  # no identity


def test_steps_of_pretraining_are_told_from_what_is_paid_once(monkeypatch: pytest.MonkeyPatch):
    """8 steps and 24, each after 1 s, and 7 s of compiling besides."""

    def timed(seconds: float):
        return lambda problem, cell, steps: (1.0 + seconds * steps, 7.0, steps)

    monkeypatch.setattr(measured, "_timed_pretraining", timed(0.25))
    cell = cells_in("hd", load([CONFIG]))[0]
    params, once, steps = measured.pretrain(cell, 8)
    assert params == 24  # those of the longer one
    assert once == pytest.approx(8.0)
    assert steps == pytest.approx(2.0)
    monkeypatch.setattr(measured, "_timed_pretraining", timed(-0.01))
    assert measured.pretrain(cell, 8).pretraining_s == pytest.approx(0.76 / 3)


def test_compiling_is_not_counted_as_steps():
    seconds = measured._compile_times()
    seconds.clear()
    jax.jit(lambda x: x * 3 + 1)(np.ones(5, np.float32)).block_until_ready()
    assert sum(seconds) > 0


def test_methods_start_from_the_same_networks(tiny: list[str]):
    """The compiled loop takes its state over; what it was made from is to stay."""
    axes = measured.Axes(
        dimensions=[2], potentials=["mlp"], methods=["regression,lbfgs"], seeds=[1]
    )
    (cell,) = measured.cells_of(axes, load([CONFIG, tiny[tiny.index("--configfile") + 1]]))
    effort = measured.Effort(1, 1, 1, 1)
    problem = make_problem(cell.settings, 2)
    start = measured.Start(jax.device_get(pretraining.initial_params(problem, cell)[0]), 1.0, 1.0)
    before = copy.deepcopy(start.params)
    arrays, metadata = gaussian.draw(2, seed=0)
    pair = gaussian.from_arrays(arrays, metadata)
    times = measured.measure(cell, pair, start, effort)
    assert times["compile_s"] > 1.0
    assert times["ms_per_step"] > 0
    jax.tree.map(np.testing.assert_array_equal, start.params, before)


def test_a_seed_that_diverges_is_no_measurement(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    config = tmp_path / "tiny.yaml"
    config.write_text("hd: {training: {hidden: [4, 4], batch_size: 8, divergence_loss: 1.0e-30}}\n")
    save_arrays(tmp_path / "hd2.safetensors", *gaussian.draw(2, seed=0))
    methods = ["--potentials", "mlp", "--methods", "objective,none", "--measures", str(tmp_path)]
    assert main([*tiny, "--dimensions", "2", *methods, "--seeds", "1"]) == 2
    assert "a seed diverged while it was measured" in capsys.readouterr().err
    assert not (tmp_path / "costs.csv").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([*ONE, "--random-pair", "--blocks", "4"], "--blocks: 4; expected at least 5"),
        (["--methods", "regression", "--random-pair"], "expected a loss and a solver"),
        (["--methods", "cycle,sgd", "--random-pair"], "no `sgd` under `solvers`"),
        (["--potentials", "icn", "--random-pair"], "--potentials: no `icn`; there are icnn, mlp"),
        ([*ONE, "--measures", "nowhere"], "nowhere/hd2.safetensors: no such file"),
    ],
)
def test_measure_refuses(
    tiny: list[str], more: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main([*tiny, *more]) == 2
    assert message in capsys.readouterr().err


def test_a_pair_of_another_dimension_is_refused(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    save_arrays(tmp_path / "hd2.safetensors", *gaussian.draw(3, seed=0))
    assert main([*tiny, *ONE, "--measures", str(tmp_path)]) == 2
    assert "hd2.safetensors: holds measures on R^3, not R^2" in capsys.readouterr().err


def test_a_damaged_file_is_not_overwritten(tiny: list[str], tmp_path: Path):
    out = tmp_path / "costs.csv"
    write_costs(out, [])
    out.write_text(out.read_text().replace("seeds", "seed"))
    before = out.read_text()
    assert main([*tiny, *ONE, "--random-pair"]) == 2
    assert out.read_text() == before


def test_config_is_read_where_jsonschema_is_missing(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="lacks"):
        measured._config([str(ROOT / "presets" / "smoke.yaml")])
    monkeypatch.setattr(measured.importlib.util, "find_spec", lambda _: None)
    assert measured._config([CONFIG])["hd"]["dimensions"]
    assert "potentials" not in measured._config([str(ROOT / "presets" / "smoke.yaml")])

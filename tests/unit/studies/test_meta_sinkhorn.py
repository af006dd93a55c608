"""The study of starts, from a trained cell to tables and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from w2dual.config.assembly import untrained
from w2dual.config.cells import Cell
from w2dual.measures.base import FORMAT
from w2dual.plots import meta_sinkhorn as figures
from w2dual.records import InputError, file_sha256, load_arrays, save_arrays, write_json
from w2dual.report.tables import meta_sinkhorn as tables
from w2dual.results import meta_sinkhorn as results
from w2dual.results.meta_sinkhorn import TableSettings
from w2dual.studies import meta_sinkhorn as study
from w2dual.training import methods
from w2dual.training.files import save_params

ROOT = Path(__file__).parents[3]
SIDE = 4
METHOD = {
    "kind": "meta_dual",
    "hidden": [4],
    "mask": True,
    "residual": "gaussian",
    "loss": "dual",
    "half_steps": 0,
    "clip": 1.0,
    "targets": SIDE**2,
}
CELL_SETTINGS = {
    "seeds": [0, 1],
    "method": METHOD,
    "training": {
        "batch_size": 8,
        "iterations": 10,
        "learning_rate": 1e-3,
        "final_learning_rate_factor": 1.0,
        "b1": 0.9,
        "b2": 0.999,
        "weight_decay": 0.0,
        "divergence_loss": 1e5,
        "divergence_every": 1000,
    },
    "pretraining": untrained(1.0),
    "evaluation": {"samples": 4, "history_every": 5, "history_samples": 2},
    "logging": {"every": 5},
}
SETTINGS = {
    "task": "mnist",
    "pairs": 3,
    "shown": 2,
    "seed": 0,
    "tolerances": [1e-2, 1e-3, 1e-5],
    "check_every": [1, 10],
    "max_iterations": {"sinkhorn": 3000, "newton": 50},
    "traced": 5,
    "finetuners": {
        "sinkhorn": {"kind": "sinkhorn", "factor": 1.0, "plain_first": 0},
        "relaxed": {"kind": "sinkhorn", "factor": 1.5, "plain_first": 3},
        "newton": {"kind": "newton", "levenberg": 1e-3, "armijo": 1e-4, "trials": 30},
    },
}
TABLE = TableSettings.from_json(
    {
        "tasks": ["mnist"],
        "methods": ["meta"],
        "tolerances": [1e-2, 1e-3, 1e-5],
        "check_every": [1, 10],
        "preset": {"name": "smoke", "label": "tiny", "reduced": True},
        "iterations": 10,
        "finetuners": ["sinkhorn", "newton"],
    }
)


def files(folder: Path, method: str = "meta") -> dict[str, Path]:
    draws = np.random.default_rng(0)
    images = draws.integers(1, 255, (6, SIDE**2)) * (draws.uniform(size=(6, SIDE**2)) < 0.7)
    images[:, 0] = 9
    arrays = {"train": images.astype(np.uint8), "held_out": images[:4].astype(np.uint8)}
    numbers = {"dimension": SIDE**2, "side": SIDE, "epsilon": 0.05}
    said = {"source": "packaged", "label": "digits of a package", "files": {}}
    paths = {
        "pair": folder / "mnist.safetensors",
        "params": folder / "params.safetensors",
        "metrics": folder / "metrics.json",
        "counts": folder / "counts.csv",
        "traces": folder / "traces.safetensors",
    }
    save_arrays(paths["pair"], arrays, {"format": FORMAT, "kind": "grid_images"} | numbers | said)
    cell = Cell(f"mnist-{method}", "mnist", SIDE**2, "own", method, "none", CELL_SETTINGS)
    made: Any = methods.make(cell.settings, SIDE**2)
    tree = made.networks["prediction"].init(jax.random.key(0), jnp.zeros((1, SIDE**2)))
    tree = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), tree)
    save_params(paths["params"], made.assemble({"prediction": tree}), cell)
    record = {
        "cell": cell.to_json(),
        "preset": {"name": "smoke", "label": "tiny", "reduced": True},
        "measures": {"sha256": file_sha256(paths["pair"])},
        "seeds": [{"seed": 0, "status": "finished"}, {"seed": 1, "status": "diverged"}],
    }
    write_json(paths["metrics"], record)
    return paths


def run(paths: dict[str, Path], settings: dict[str, Any]) -> None:
    study.run(
        paths["pair"],
        [paths["params"]],
        [paths["metrics"]],
        settings,
        paths["counts"],
        paths["traces"],
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = files(tmp_path_factory.mktemp("study"))
    run(paths, SETTINGS)
    return paths


def test_each_start_is_counted_by_each_solver_that_is_run(ran: dict[str, Path]) -> None:
    frame = pd.read_csv(ran["counts"])
    assert tuple(frame.columns) == study.COLUMNS
    assert list(dict.fromkeys(frame["start"])) == ["zeros", "gaussian", "meta"]
    assert set(frame["finetuner"]) == {"sinkhorn", "newton"}
    assert len(frame) == 3 * 2 * 2 * 3 * 3  # starts, solvers, looks, tolerances, pairs
    assert (frame["iterations"] >= 0).all()
    rarely = frame[(frame["every"] == 10) & (frame["finetuner"] == "sinkhorn")]
    assert (rarely["iterations"] % 10 == 0).all()
    # A start that nobody trained is the Gaussian one, nearly.
    means = frame[frame["every"] == 1].groupby(["finetuner", "start"])["iterations"].mean()
    assert abs(means["sinkhorn", "meta"] - means["sinkhorn", "gaussian"]) < 3
    assert means["newton", "zeros"] < means["sinkhorn", "zeros"]


def test_errors_times_and_pictures_are_kept(ran: dict[str, Path]) -> None:
    arrays, metadata = load_arrays(ran["traces"])
    assert arrays["errors/zeros"].shape == (2, 5)
    assert len(metadata["times"]) == 6
    for item in metadata["times"]:
        assert item["iteration_ms"] > 0
        assert (item["start_ms"] > 0) == (item["start"] != "zeros")
    frames = arrays["frames/solution"]
    np.testing.assert_allclose(frames.sum(axis=(2, 3)), 1.0, atol=1e-5)
    _, pair = load_arrays(ran["pair"])
    assert metadata["data"]["label"] == pair["label"]
    assert metadata["networks"] == {"meta": {"seeds": [0, 1], "diverged": [1]}}
    assert metadata["drawn"] == {"start": "meta", "seed": 0}


def test_no_prediction_is_drawn_where_every_seed_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pictures(*given: Any) -> dict[str, np.ndarray]:
        return {"frames/solution": np.ones(1), "frames/prediction": np.ones(1)}

    monkeypatch.setattr(study.meta_pictures, "_both", pictures)  # no solver is compiled
    monkeypatch.setattr(study, "_solvers", lambda *given: {})
    monkeypatch.setattr(study, "_errors", lambda *given: {})
    for statuses, drawn in ((["diverged", "finished"], 1), (["diverged", "diverged"], None)):
        paths = files(tmp_path)
        record = json.loads(paths["metrics"].read_text())
        seeds = [{"seed": seed, "status": status} for seed, status in enumerate(statuses)]
        write_json(paths["metrics"], record | {"seeds": seeds})
        run(paths, SETTINGS)
        arrays, metadata = load_arrays(paths["traces"])
        assert ("frames/prediction" in arrays) == (drawn is not None)
        assert "frames/solution" in arrays
        if drawn is None:
            assert metadata["drawn"] is None
            assert metadata["networks"]["meta"] == {"seeds": [0, 1], "diverged": [0, 1]}
        else:
            assert metadata["drawn"] == {"start": "meta", "seed": drawn}


def test_the_table_has_what_was_counted_beside_what_is_published(
    ran: dict[str, Path], tmp_path: Path
) -> None:
    studies = results.read([ran["counts"]], [ran["traces"]])
    published = ROOT / "tables" / "published"
    for name in tables.TABLES:
        tex, csv = tmp_path / f"{name}.tex", tmp_path / f"{name}.csv"
        tables.write(name, studies, published, TABLE, tex, csv)
        assert "Reduced budget" in tex.read_text()
    text = (tmp_path / "meta_ot_sinkhorn.tex").read_text()
    assert "Stand-in data" in text
    assert "2.3 ms" in text  # published, of the prediction
    frame = pd.read_csv(tmp_path / "meta_ot_sinkhorn.csv")
    counted = pd.read_csv(ran["counts"])
    row = frame[(frame["start"] == "meta") & (frame["every"] == 1)].iloc[0]
    wanted = counted[
        (counted["start"] == "meta")
        & (counted["every"] == 1)
        & (counted["finetuner"] == "sinkhorn")
        & (counted["tolerance"] == 1e-2)
    ]["iterations"]
    assert row["iterations_finished_mean"] == pytest.approx(wanted.mean())
    assert row["iterations_mean"] == np.inf  # the other seed diverged
    assert (row["seeds"], row["diverged_seeds"]) == (2, 1)
    assert row["published_ratio"] == pytest.approx(4.5 / 2.3)
    judged = pd.read_csv(tmp_path / "claims_meta_ot.csv")
    assert judged["verdict"].tolist() == ["inconclusive"] * 2
    assert judged["published_verdict"].tolist() == ["holds", "missing"]


def test_figures_are_drawn_from_traces(ran: dict[str, Path], tmp_path: Path) -> None:
    published = ROOT / "tables" / "published"
    for name in ("meta_errors", "meta_interpolation"):
        out = tmp_path / f"{name}.pdf", tmp_path / f"{name}.png"
        figures.write(name, [ran["traces"]], published, *out)
        assert all(path.stat().st_size > 1000 for path in out)
    with pytest.raises(InputError, match="one task with `sphere/supply`, found 0"):
        figures.write("meta_sphere", [ran["traces"]], published, *out)


def test_lines_on_the_sphere_are_the_shortest_and_are_cut_at_the_edge() -> None:
    east, north = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    line = figures.arc(east, north)
    np.testing.assert_allclose(np.linalg.norm(line, axis=1), 1.0, rtol=1e-12)
    assert figures.degrees(line)[12] == pytest.approx([90.0, 90 * 12 / 23])
    flat = np.radians([170.0, -170.0])
    ends = np.stack([np.cos(flat), np.sin(flat), np.zeros(2)], axis=1)
    parts = figures.unwrapped(figures.arc(*ends))
    assert len(parts) == 2
    assert all(np.abs(np.diff(part[:, 0])).max() < 10 for part in parts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shown": 9}, "`shown` is 9; expected 1 to `pairs`, 3"),
        ({"tolerances": [1e-17]}, "tolerance 1e-17: expected a number from"),
        ({"finetuners": {"sinkhorn": {"kind": "simplex"}}}, "expected sinkhorn, newton or lbfgs"),
        ({"depth": 1}, "unknown key `depth`"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_and_nothing_is_written(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    paths = files(tmp_path)
    with pytest.raises(InputError, match=message):
        run(paths, SETTINGS | settings)
    assert not paths["counts"].exists()


def test_files_of_other_measures_or_cells_are_refused(tmp_path: Path) -> None:
    paths = files(tmp_path)
    record = json.loads(paths["metrics"].read_text())
    write_json(paths["metrics"], record | {"measures": {"sha256": "0"}})
    with pytest.raises(InputError, match="was trained on other measures than"):
        run(paths, SETTINGS)
    write_json(paths["metrics"], record | {"cell": record["cell"] | {"hash": "0"}})
    with pytest.raises(InputError, match="is of another cell than"):
        run(paths, SETTINGS)
    arrays, metadata = load_arrays(paths["params"])
    cut = {name: array[:1] for name, array in arrays.items()}
    save_arrays(paths["params"], cut, metadata | {"seeds": [0]})
    seeds = [{"seed": seed, "status": "finished"} for seed in (0, 1)]
    write_json(paths["metrics"], record | {"seeds": seeds})
    with pytest.raises(InputError, match="has no seed 1, which .* names; it has 0"):
        run(paths, SETTINGS)
    with pytest.raises(InputError, match="is the second cell of the method `meta`"):
        study.networks([paths["metrics"]] * 2)


def test_intervals_are_of_the_mean_and_unknown_where_a_count_is() -> None:
    values = np.random.default_rng(0).normal(10.0, 2.0, 400)
    low, high = results.interval(values)
    assert high - low == pytest.approx(2 * 1.96 * 2.0 / 20, rel=0.15)
    assert np.isnan(results.interval(np.array([1.0, np.nan]))).all()

"""Aggregation on hand-built metrics files: complete, missing, duplicate, unreadable, diverged."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from w2dual.evaluation import conjugation_time
from w2dual.records import InputError
from w2dual.results.aggregate import TIMINGS, aggregate, columns, read
from w2dual.results.measured.hd import MEASURED as HD
from w2dual.results.measured.synthetic import MEASURED as SYNTHETIC


def seed(number: int, value: float | None = 0.5, status: str = "finished") -> dict[str, Any]:
    return {
        "seed": number,
        "status": status,
        "diverged_at_step": None if status == "finished" else 17,
        "steps": 100 if status == "finished" else 17,
        "before_divergence": None
        if status == "finished"
        else {"step": 16, "l2_uvp_forward_percent": 0.24, "w2_forward": 0.24},
        "l2_uvp_forward_percent": value,
        "l2_uvp_inverse_percent": value,
        "cosine_forward": 0.9,
        "cosine_inverse": 0.9,
        "dual_objective": -0.3,
        "conjugate_iterations_mean": 3.0,
        "conjugate_gradient_norm_median": 0.01,
        "conjugate_gradient_norm_max": 0.09,
        "conjugate_status": {"converged": 90, "iteration_limit": 10, "stalled": 0}
        | {"line_search_failed": 0, "non_finite": 0},
        "training_conjugate_status": {"converged": 6000, "iteration_limit": 300, "stalled": 90}
        | {"line_search_failed": 9, "non_finite": 1},
        "worst_conjugate_residual": 0.5,
        "spikes": {"steps": 2, "largest_loss": 2e5, "first_step": 11, "last_step": 12},
    }


def record(solver: str = "lbfgs", seeds: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    return {
        "format": 2,
        "cell": {"name": f"hd2-mlp-objective-{solver}", "pair": "hd2", "dimension": 2}
        | {"potential": "mlp", "amortization": "objective", "solver": solver}
        | {"hash": "a" * 12, "settings": {"seeds": list(seeds)}},
        "preset": {"name": "smoke", "label": "smoke test", "reduced": True},
        "measures": {"source": "mirror", "var_source": 2.0, "var_target": 2.0, "sha256": "f" * 64},
        "headline": {"column": "l2_uvp_forward_percent", "label": "L2-UVP %"},
        "seeds": [seed(number) for number in seeds],
        "timing": {"seconds_per_step": 0.01, "steps_per_second": 100.0, "training_s": 1.0}
        | {"compile_s": 2.0, "pretraining_s": 0.5}
        | dict.fromkeys(conjugation_time.FIELDS, None if solver == "none" else 4.0),
        "provenance": {"git_commit": "c" * 40, "device": "cpu", "ended": "2026-01-01T00:00:00Z"},
    }


def plane_seed(number: int, value: float | None = 0.02, status: str = "finished") -> dict[str, Any]:
    """A seed on the plane: `value` as its distances, half of it as their floors."""
    hd = seed(number, None, status)
    one = {key: kept for key, kept in hd.items() if key not in HD.metrics}
    floor = None if value is None else value / 2
    figures = {key: floor if "floor" in key else value for key in SYNTHETIC.metrics}
    return one | figures


def plane_record(
    pair: str = "gauss8", potential: str = "icnn_leaky", seeds: tuple[int, ...] = (0, 1)
) -> dict[str, Any]:
    one = record("lbfgs", seeds)
    one["cell"] |= {"name": f"{pair}-{potential}-regression-lbfgs", "pair": pair}
    one["cell"] |= {"potential": potential, "amortization": "regression"}
    one["cell"]["settings"] |= {"evaluation": {"samples": 2048, "history_samples": 512}}
    one["measures"] = {"source": "closed form", "sha256": pair}
    one["headline"] = {"column": "w2_forward", "label": "W2 squared"}
    one["seeds"] = [plane_seed(number) for number in seeds]
    return one


def write(folder: Path, *records: dict[str, Any]) -> list[Path]:
    paths = []
    for number, one in enumerate(records):
        paths.append(folder / f"metrics-{number}.json")
        paths[-1].write_text(json.dumps(one), encoding="utf-8")
    return paths


def expected(*records: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": one["cell"]["name"], "hash": one["cell"]["hash"]} for one in records]


def test_one_row_for_each_cell_and_seed_in_one_order(tmp_path: Path) -> None:
    records = [record("none"), record("adam")]
    paths = write(tmp_path, *records)
    aggregate(paths, expected(*records), tmp_path / "a.csv")
    aggregate(paths[::-1], expected(*records)[::-1], tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    frame = read(tmp_path / "a.csv")
    assert list(zip(frame["solver"], frame["seed"], strict=True)) == [
        ("adam", 0),
        ("adam", 1),
        ("none", 0),
        ("none", 1),
    ]
    assert frame["conjugate_converged"].tolist() == [90] * 4
    assert frame["reduced"].tolist() == [True] * 4


def test_diverged_seed_is_a_row_with_empty_numbers(tmp_path: Path) -> None:
    one = record()
    one["seeds"][1] = seed(1, None, "diverged")
    aggregate(write(tmp_path, one), expected(one), tmp_path / "out.csv")
    frame = read(tmp_path / "out.csv")
    assert frame["status"].tolist() == ["finished", "diverged"]
    assert frame["l2_uvp_forward_percent"].isna().tolist() == [False, True]
    assert frame["diverged_at_step"].iloc[1] == 17
    assert frame["before_divergence_step"].isna().tolist() == [True, False]
    assert frame["before_divergence"].iloc[1] == 0.24


def test_what_happened_in_training_is_kept(tmp_path: Path) -> None:
    one = record()
    one["seeds"][1]["spikes"] |= {"steps": 0, "largest_loss": None}
    one["seeds"][1]["spikes"] |= {"first_step": None, "last_step": None}
    aggregate(write(tmp_path, one), expected(one), tmp_path / "out.csv")
    frame = read(tmp_path / "out.csv")
    assert frame["spikes_steps"].tolist() == [2, 0]
    assert frame["spikes_largest_loss"].iloc[0] == 2e5
    assert (frame["spikes_first_step"].iloc[0], frame["spikes_last_step"].iloc[0]) == (11, 12)
    assert frame["spikes_first_step"].isna().tolist() == [False, True]
    assert frame["training_line_search_failed"].tolist() == [9, 9]
    assert frame["worst_conjugate_residual"].tolist() == [0.5, 0.5]


def test_times_of_a_job_stand_beside_each_of_its_seeds(tmp_path: Path) -> None:
    solved, amortized = record("adam"), record("none")
    both = (solved, amortized)
    aggregate(write(tmp_path, *both), expected(*both), tmp_path / "out.csv")
    frame = read(tmp_path / "out.csv")
    for name in TIMINGS:
        wanted = [solved["timing"][name]] * 2 + [amortized["timing"][name]] * 2
        found = [None if math.isnan(value) else value for value in frame[name]]
        assert found == wanted, name
    assert frame["conjugation_ms"].notna().tolist() == [True, True, False, False]


def test_missing_cell_is_named(tmp_path: Path) -> None:
    have, lack = record("adam"), record("none")
    with pytest.raises(InputError, match="hd2-mlp-objective-none"):
        aggregate(write(tmp_path, have), expected(have, lack), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone.json"):
        aggregate([tmp_path / "gone.json"], expected(record()), tmp_path / "out.csv")


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    one = record()
    (path,) = write(tmp_path, one)
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(InputError, match="metrics-0.json"):
        aggregate([path], expected(one), tmp_path / "out.csv")


def test_cell_given_twice(tmp_path: Path) -> None:
    one = record()
    with pytest.raises(InputError, match=r"metrics-1.json.*already given by .*metrics-0.json"):
        aggregate(write(tmp_path, one, one), expected(one), tmp_path / "out.csv")


def test_unexpected_cell_and_other_settings(tmp_path: Path) -> None:
    one, other = record("adam"), record("none")
    with pytest.raises(InputError, match="not one of the 1 expected"):
        aggregate(write(tmp_path, one, other), expected(one), tmp_path / "out.csv")
    changed = [{"name": one["cell"]["name"], "hash": "b" * 12}]
    with pytest.raises(InputError, match="other settings"):
        aggregate(write(tmp_path, one), changed, tmp_path / "out.csv")


def test_cells_of_different_presets_or_measures_do_not_mix(tmp_path: Path) -> None:
    one, other = record("adam"), record("none")
    other["preset"]["name"] = "laptop"
    with pytest.raises(InputError, match=r"different presets.*smoke.*laptop"):
        aggregate(write(tmp_path, one, other), expected(one, other), tmp_path / "out.csv")
    other = record("none")
    other["measures"]["sha256"] = "0" * 64
    with pytest.raises(InputError, match="hd2: trained from different prepared files"):
        aggregate(write(tmp_path, one, other), expected(one, other), tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(format=1), "format is 1, expected 2"),
        (lambda r: r["cell"].pop("hash"), "cell.hash is missing"),
        (lambda r: r["cell"].update(dimension="2"), "cell.dimension is '2', expected int"),
        (lambda r: r["seeds"].pop(), r"has seeds \[0\], its settings name \[0, 1\]"),
        (lambda r: r["seeds"].append(seed(0)), r"more than once: \[0\]"),
        (lambda r: r["seeds"][0].update(status="fine"), "seed 0: status 'fine'"),
        (lambda r: r["seeds"][1].pop("cosine_forward"), "seed 1: cosine_forward is missing"),
        (lambda r: r["seeds"][1].update(steps=None), "seed 1: steps is None"),
        (lambda r: r["timing"].update(training_s="1"), "timing.training_s is '1'"),
        (lambda r: r["timing"].pop("conjugation_ms"), "timing.conjugation_ms is missing"),
        (lambda r: r.pop("preset"), "preset is missing"),
        (lambda r: r["seeds"][0].pop("spikes"), "seed 0: spikes is missing"),
        (
            lambda r: r["seeds"][1]["training_conjugate_status"].pop("stalled"),
            "seed 1: stalled is missing",
        ),
        (
            lambda r: r["seeds"][1].update(status="diverged"),
            "seed 1: before_divergence is None, expected dict",
        ),
    ],
)
def test_malformed_record_names_file_and_field(tmp_path: Path, change: Any, message: str) -> None:
    one = record()
    wanted = expected(copy.deepcopy(one))
    change(one)
    with pytest.raises(InputError, match="metrics-0.json: .*" + message):
        aggregate(write(tmp_path, one), wanted, tmp_path / "out.csv")


def test_each_kind_of_cell_has_its_own_columns(tmp_path: Path) -> None:
    one = plane_record(potential="mlp_leaky")
    other = plane_record(potential="icnn_leaky")
    paths, wanted = write(tmp_path, one, other), expected(one, other)
    aggregate(paths, wanted, tmp_path / "out.csv", SYNTHETIC)
    frame = read(tmp_path / "out.csv", SYNTHETIC)
    assert list(frame.columns) == list(columns(SYNTHETIC))
    assert frame["potential"].tolist() == ["icnn_leaky"] * 2 + ["mlp_leaky"] * 2
    assert frame["w2_forward"].tolist() == [0.02] * 4
    assert frame["w2_floor_forward"].tolist() == [0.01] * 4
    with pytest.raises(InputError, match=r"out.csv: lacks the columns l2_uvp_forward_percent"):
        read(tmp_path / "out.csv")


def test_cell_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    plane, hd = plane_record(), record()
    with pytest.raises(InputError, match="seed 0: l2_uvp_forward_percent is missing"):
        aggregate(write(tmp_path, plane), expected(plane), tmp_path / "out.csv")
    with pytest.raises(InputError, match="seed 0: sinkhorn_forward is missing"):
        aggregate(write(tmp_path, hd), expected(hd), tmp_path / "out.csv", SYNTHETIC)


def test_read_names_a_file_without_the_columns(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("cell,seed\na,0\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"x.csv: lacks the columns pair"):
        read(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"x.csv: is not a readable CSV"):
        read(tmp_path / "x.csv")


def test_no_finite_evaluation_is_not_a_metric_that_is_missing(tmp_path: Path):
    names = ("l2_uvp_forward_percent", "l2_uvp_inverse_percent")
    kept, lost, older = record("lbfgs", (0,)), record("adam", (0,)), record("none", (0,))
    kept["seeds"][0]["best"] = {name: {"step": 20, "value": 0.4} for name in names}
    lost["seeds"][0]["best"] = {name: {"step": None, "value": None} for name in names}
    cells = (kept, lost, older)
    aggregate(write(tmp_path, *cells), expected(*cells), tmp_path / "out.csv")
    best = read(tmp_path / "out.csv").set_index("solver")["best_l2_uvp_forward_percent"]
    assert (best["lbfgs"], best["adam"]) == (0.4, math.inf)
    assert math.isnan(best["none"])

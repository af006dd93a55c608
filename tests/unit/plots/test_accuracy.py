"""Accuracy against cost and dimension: what the marks stand for."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.report.tables.test_hd import PUBLISHED, full, metrics, settings

from w2dual.jobs import accuracy_figure as accuracy_figure_job
from w2dual.plots import accuracy, style
from w2dual.plots.cells import Cells, gather, native_cells
from w2dual.results.summary import TableSettings


def frame(**changes: list[float | None]) -> pd.DataFrame:
    parts = [metrics(full(**changes), potential=potential) for potential in ("icnn", "mlp")]
    found = pd.concat(parts, ignore_index=True)
    seconds = {"none": 10.0, "lbfgs": 30.0, "adam": 60.0}
    found["training_s"] = found["solver"].map(seconds) * found["dimension"]
    return found.assign(device="CPU: a $b$")


def cells(of: pd.DataFrame, **changes: Any) -> Cells:
    chosen = TableSettings.from_json(settings(**changes))
    return gather(of, ["icnn", "mlp"], PUBLISHED, chosen)


def marks(axes: Any, colour: str, marker: str) -> list[tuple[float, float, bool]]:
    """Single marks of a colour and shape: x, y, and whether at the upper edge and hollow."""
    found = []
    for line in axes.lines:
        if line.get_color() == colour and line.get_marker() == marker:
            edge = line.get_transform() != axes.transData
            assert edge == (line.get_markerfacecolor() == "none")
            found.append((float(line.get_xdata()[0]), float(line.get_ydata()[0]), edge))
    return found


def draw(name: str, shown: Cells) -> list[Any]:
    with style.style():
        return accuracy.FIGURES[name](shown).axes


def test_a_panel_for_each_dimension_with_each_cell_at_its_cost() -> None:
    shown = cells(frame())
    two, four = draw("accuracy_vs_cost", shown)
    assert (two.get_title(), four.get_title()) == ("n = 2", "n = 4")
    method = ("objective", "lbfgs")
    # 30 s for each unit of dimension, shared by two seeds.
    assert marks(two, shown.colour(method), "s") == [(30.0, 0.031, False)]
    assert marks(four, shown.colour(method), "o") == [(60.0, pytest.approx(0.22), False)]
    for axes in (two, four):
        low, high = axes.get_ylim()
        assert low < 0.031 if axes is two else low < 0.2
        assert high > 0.4


def test_failed_cells_stand_at_the_upper_edge_and_none_hides_another() -> None:
    failed = {"objective_lbfgs_2": [None, 0.03], "regression_adam_2": [150.0, 130.0]}
    of = frame(**failed)
    of.loc[of["dimension"] == 2, "training_s"] = 20.0
    shown = cells(of)
    two, four = draw("accuracy_vs_cost", shown)
    edge = [
        mark
        for method in shown.settings.methods
        for marker in "os"
        for mark in marks(two, shown.colour(method), marker)
        if mark[2]
    ]
    assert [x for x, _, _ in edge] == [10.0] * 4
    heights = [y for _, y, _ in edge]
    assert len(set(heights)) == 4
    assert all(0.7 < y <= accuracy.EDGE for y in heights)
    assert not any(mark[2] for mark in marks(four, shown.colour(("cycle", "none")), "o"))


def test_against_dimension_published_values_are_dashed_beside_ours() -> None:
    shown = cells(frame(objective_lbfgs_4=[None, None]))
    icnn, mlp = draw("accuracy_vs_dimension", shown)
    assert mlp.get_title() == "MLP potential"
    colour = shown.colour(("objective", "lbfgs"))
    lines = [line for line in mlp.lines if line.get_color() == colour]
    (published,) = (line for line in lines if line.get_marker() == "_")
    assert np.asarray(published.get_ydata()).tolist() == [0.03, 0.22]  # table 3 at n = 2, 4
    assert published.is_dashed()
    (mine,) = (line for line in lines if line.get_marker() == "None")
    assert np.isnan(np.asarray(mine.get_ydata())).tolist() == [False, True]
    assert [edge for _, _, edge in marks(mlp, colour, "s")] == [False, True]
    # The paper has no value where it printed >100.
    none = [line for line in mlp.lines if line.get_color() == shown.colour(("cycle", "none"))]
    assert [line for line in none if line.get_marker() == "_"]
    assert icnn.get_ylim()[0] < 0.1  # the best quoted baseline at n = 2 is in view


def test_one_dimension_is_enough_for_both() -> None:
    of = frame()
    shown = cells(of[of["dimension"] == 2], dimensions=[2])
    (only,) = draw("accuracy_vs_cost", shown)
    assert only.get_title() == "n = 2"
    for axes in draw("accuracy_vs_dimension", shown):
        low, high = axes.get_xlim()
        assert low < 2 < high
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2"]


def test_more_methods_than_colours_stay_apart() -> None:
    methods = [{"amortization": f"own{i}", "solver": "lbfgs"} for i in range(14)]
    chosen = TableSettings.from_json(settings(methods=methods))
    shown = Cells(pd.DataFrame(), pd.DataFrame(), pd.Series(dtype=float), ("mlp",), chosen)
    assert len({shown.colour(method) for method in chosen.methods}) == 14


def test_footnote_names_device_and_preset() -> None:
    assert cells(frame()).footnote == r"mean and standard deviation over 2 seeds; CPU: a \$b\$"
    reduced = {"name": "smoke", "label": "", "reduced": True}
    of = frame().assign(preset="smoke", measures_source="generated")
    note = cells(of, preset=reduced).footnote
    assert note.endswith(
        "; reduced budget: preset smoke; measures generated here, not the published ones"
    )


@pytest.mark.parametrize("name", list(accuracy.FIGURES))
def test_job_draws_the_same_bytes_twice(name: str, tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "hd.csv", index=False)
    parser = argparse.ArgumentParser()
    accuracy_figure_job.add_arguments(parser)
    for folder in ("a", "b"):
        command = [name, "--metrics", str(tmp_path / "hd.csv"), "--potentials", "icnn", "mlp"]
        command += ["--settings", json.dumps(settings()), "--published", str(PUBLISHED)]
        command += ["--pdf", str(tmp_path / folder / "x.pdf")]
        command += ["--png", str(tmp_path / folder / "x.png")]
        accuracy_figure_job.main(parser.parse_args(command))
    for ending in ("pdf", "png"):
        one, other = ((tmp_path / folder / f"x.{ending}").read_bytes() for folder in "ab")
        assert one == other


def test_the_benchmarks_own_methods_stand_by_their_names_at_their_cost() -> None:
    rows = [
        {"amortization": method, "solver": solver, "dimension": 2, "seed": seed, "status": status}
        | {"l2_uvp_forward_percent": value, "training_s": 40.0}
        for method, solver, status, values in (
            ("w2", "none", "finished", (0.1, 0.3)),
            ("w2", "lbfgs", "finished", (0.5, 0.7)),
            ("mm_r", "none", "diverged", (None, None)),
        )
        for seed, value in enumerate(values)
    ]
    native = native_cells(pd.DataFrame(rows))
    assert native["mean"].tolist() == [pytest.approx(0.2), pytest.approx(0.6), float("inf")]
    assert native["seconds"].tolist() == [20.0] * 3
    two, four = draw("accuracy_vs_cost", replace(cells(frame()), native=native))
    placed = {text.get_text(): text.get_position() for text in two.texts}
    assert placed == {
        "W2": (20.0, pytest.approx(0.2)),
        "W2, L-BFGS": (20.0, pytest.approx(0.6)),
        "MM:R": (20.0, accuracy.EDGE),
    }
    assert not four.texts
    legend: Any = two.figure.legends[0]
    texts = {t.get_text() for t in legend.get_texts()}
    named, edge = "the benchmark's own methods, by name", "top edge: above 100 % or diverged"
    assert f"{named}\n({edge})" in texts  # no other cell is there
    several = replace(cells(frame(objective_lbfgs_4=[None, None])), native=native)
    texts = {t.get_text() for t in draw("accuracy_vs_cost", several)[0].figure.legends[0].texts}
    assert {named, edge} <= texts
    good = replace(cells(frame()), native=native[native["method"] == "w2"])
    texts = {t.get_text() for t in draw("accuracy_vs_cost", good)[0].figure.legends[0].texts}
    assert named in texts

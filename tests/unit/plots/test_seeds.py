"""Accuracy seed by seed: each seed has its mark, and those that failed are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from tests.unit.plots.test_accuracy import cells, draw, frame

from w2dual.config.names import method_words

NAME = "accuracy_over_seeds"


def seeds(axes: Axes, method: str) -> list[float]:
    """Values of the filled marks on the line of a method."""
    figure = axes.get_figure()
    assert figure is not None
    labels = figure.axes[0].get_yticklabels()  # the panels share them
    line = [label.get_text() for label in labels].index(method)
    offsets = np.concatenate([np.asarray(marks.get_offsets()) for marks in axes.collections])
    return sorted(x for x, y in offsets if abs(y - line) < 0.5)


def median(axes: Axes, colour: Any, method: int) -> float:
    (drawn,) = (
        line for line in axes.lines if line.get_marker() == "|" and line.get_color() == colour
    )
    (found,) = (x for x, y in np.asarray(drawn.get_xydata()) if abs(y - method) < 0.5)
    return float(found)


def counts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_each_seed_has_a_mark_in_the_panel_of_its_dimension() -> None:
    of, shown = frame(), cells(frame())
    panels = draw(NAME, shown)
    assert [axes.get_title() for axes in panels] == ["n = 2", "n = 4"]
    for n, axes in zip((2, 4), panels, strict=True):
        for method in shown.settings.methods:
            mine = of[
                (of["dimension"] == n)
                & (of["amortization"] == method[0])
                & (of["solver"] == method[1])
            ]
            values = sorted(mine["l2_uvp_forward_percent"])
            assert len(values) == 4  # two potentials, two seeds each
            assert np.allclose(seeds(axes, method_words(*method)), values)
        assert counts(axes) == []
    cycle = of[(of["amortization"] == "cycle") & (of["dimension"] == 2)]
    expected = cycle[cycle["potential"] == "icnn"]["l2_uvp_forward_percent"].median()
    place = shown.settings.methods.index(("cycle", "none"))
    assert median(panels[0], "#000000", place) == pytest.approx(expected)  # not of logarithms


def test_failed_seeds_are_counted_at_the_edge_and_leave_the_median() -> None:
    shown = cells(frame(objective_lbfgs_2=[None, 0.03], regression_adam_2=[150.0, None]))
    two, four = draw(NAME, shown)
    assert counts(two) == ["1", "2", "1", "2"]
    assert counts(four) == []
    assert seeds(two, method_words("objective", "lbfgs")) == pytest.approx([0.03, 0.03])
    assert seeds(two, method_words("regression", "adam")) == []
    place = shown.settings.methods.index(("objective", "lbfgs"))
    assert median(two, "#000000", place) == pytest.approx(0.03)
    low, high = two.get_xlim()
    assert low < 0.03 < high < 100


def test_all_seeds_may_fail() -> None:
    of = frame().assign(l2_uvp_forward_percent=np.nan, status="diverged")
    panels = draw(NAME, cells(of))
    assert all(counts(axes) == ["2"] * 6 for axes in panels)


def test_one_potential_stands_on_the_line_of_its_method() -> None:
    shown = cells(frame())
    alone = type(shown)(shown.runs, shown.frame, shown.baselines, ("mlp",), shown.settings)
    axes = draw(NAME, alone)[0]
    heights = {float(y) for marks in axes.collections for _, y in np.asarray(marks.get_offsets())}
    assert heights == set(map(float, range(len(shown.settings.methods))))

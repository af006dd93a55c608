"""The figure of paths: a panel a setting, a row a method, and what cannot be drawn."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import pytest
from tests.unit import settings

from w2dual.config.grid import cells_in
from w2dual.evaluation.trained import Trained
from w2dual.measures.pairs.synthetic import SyntheticPair
from w2dual.measures.synthetic.laws import LAWS
from w2dual.plots import lagrangian_paths
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.pretraining import fresh_params

STRIPS = SyntheticPair(dimension=2, source=LAWS["strip_left"], target=LAWS["strip_right"])
CELLS = {cell.name: cell for cell in cells_in("lagrangian", settings.PAPER)}


def _trained(name: str) -> Trained:
    cell = CELLS[name]
    method = dict(cell.settings["method"])
    if "path" in method:
        method["path"] = method["path"] | {"hidden": [4]}
    else:
        method |= {"hidden": 4, "diffusion": [4], "steps": 5, "repeats": 20}
    parts = ("potential", "amortization_model")
    small = {key: cell.settings[key] | {"hidden": [4]} for key in parts if key in cell.settings}
    cell = dataclasses.replace(
        cell, settings=cell.settings | small | {"seeds": [0], "method": method}
    )
    made = methods.make(cell.settings, 2)
    record = {"preset": settings.PAPER["preset"]}
    return Trained(cell, record, 0, made, fresh_params(made, cell), STRIPS)


def test_a_panel_has_samples_paths_and_contours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lagrangian_paths, "SAMPLES", 6)
    monkeypatch.setattr(lagrangian_paths, "GRID", 21)
    figure = lagrangian_paths.draw([_trained("lagrangian_slit-plain-nlot")])
    axes: Any = figure.axes[0]
    assert len(figure.axes) == 1
    assert axes.get_title() == "slit: NLOT"
    assert [len(line.get_xdata()) for line in axes.lines] == [6, 6, 6]
    paths: list[Any] = [
        path
        for part in axes.collections
        if type(part).__name__ == "LineCollection"
        for path in part.get_paths()
    ]
    assert [path.vertices.shape for path in paths] == [(20, 2)] * 6
    # A path begins at its sample and ends where the sample is pushed.
    source, _, pushed = (line.get_xydata() for line in axes.lines)
    assert paths[0].vertices[0] == pytest.approx(source[0], abs=1e-6)
    assert paths[0].vertices[-1] == pytest.approx(pushed[0], abs=1e-6)


def test_a_random_map_has_a_row_of_drawn_paths_and_one_of_their_mean(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(lagrangian_paths, "SAMPLES", 6)
    monkeypatch.setattr(lagrangian_paths, "GRID", 21)
    figure = lagrangian_paths.draw([_trained("lagrangian_slit-nlsb")])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["slit: NLSB (stochastic)", "slit: NLSB (expected)"]
    drawn, mean = (axes.lines[2].get_xydata() for axes in figure.axes)
    assert drawn != pytest.approx(mean)


def test_a_method_without_paths_cannot_be_drawn():
    cell = _trained("lagrangian_well-plain-nlot")
    other = dataclasses.replace(cell, problem=jax)
    with pytest.raises(InputError, match="lagrangian_well-plain-nlot has no paths"):
        lagrangian_paths.draw([other])

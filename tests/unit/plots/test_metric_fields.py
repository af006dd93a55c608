"""The figures of learned metrics: a row a method, a column a set; paths of those with maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual.config.grid import cells_in
from w2dual.evaluation.trained import Trained
from w2dual.measures.pairs.snapshots import SnapshotPair
from w2dual.plots import metric_fields, metric_paths
from w2dual.training import methods

CELLS = {cell.name: cell for cell in cells_in("metric_recovery", settings.PAPER)}
ALONG = {"circle": np.array([1.0, 0.0]), "x_paths": np.array([0.0, 1.0])}


class Along:
    """A method whose metric is cheap along one direction everywhere."""

    def __init__(self, direction: np.ndarray) -> None:
        self.direction = jnp.asarray(direction, jnp.float32)

    def directions(self, params: Any, x: Any) -> Any:
        del params
        return jnp.broadcast_to(self.direction, x.shape)


def trained(name: str) -> Trained:
    cell = CELLS[name]
    samples = np.random.default_rng(0).uniform(-1, 1, (3, 4, 2)).astype(np.float32)
    low, high = (jnp.full(2, side, jnp.float32) for side in (-1.5, 1.5))
    pair = SnapshotPair(
        dimension=4, samples=jnp.asarray(samples), low=low, high=high, truth=cell.pair
    )
    record = {
        "preset": settings.PAPER["preset"],
        "measures": {"source": "generated"},
        "seeds": [{"seed": 0, "alignment": 0.9}],
    }
    return Trained(cell, record, 0, Along(ALONG[cell.pair]), None, pair)


NAMES = [
    *("circle-plain-metric_recovery", "x_paths-plain-metric_recovery"),
    *("circle-scarvelis", "x_paths-scarvelis"),
]


def test_a_method_is_a_row_and_a_set_a_column(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metric_fields, "SIDE", 3)
    figure = metric_fields.draw([trained(name) for name in NAMES])
    boxes = [axes.get_position() for axes in figure.axes]
    assert [boxes[0].x0, boxes[1].x0] == pytest.approx([boxes[2].x0, boxes[3].x0])
    assert boxes[0].y0 == pytest.approx(boxes[1].y0)
    assert boxes[0].y0 > boxes[2].y1
    assert max(box.y1 for box in boxes) < 1
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "Metric recovery\nCircle, GENERATED samples\nalignment 0.900"
    assert titles[3].startswith("Scarvelis and Solomon, trained here\nX paths")
    learned: Any = figure.axes[1].collections[0]
    assert np.stack([learned.U, learned.V], axis=1) == pytest.approx(np.tile([[0.0, 1.0]], (9, 1)))


def test_titles_of_one_method_do_not_name_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metric_fields, "SIDE", 3)
    figure = metric_fields.draw([trained(name) for name in NAMES[2:]])
    assert figure.axes[0].get_title() == "Circle, GENERATED samples\nalignment 0.900"


def test_methods_that_learn_a_metric_can_be_drawn():
    for name in ("circle-plain-metric_recovery", "circle-scarvelis"):
        cell = CELLS[name]
        assert isinstance(methods.make(cell.settings, cell.dimension), metric_fields.METHODS)


def test_paths_are_of_the_methods_that_have_maps(tmp_path: Path):
    files = []
    for name in NAMES:
        metrics = tmp_path / f"{name}.json"
        metrics.write_text(json.dumps({"cell": CELLS[name].to_json()}))
        files.append((tmp_path / name, metrics, tmp_path / "pair"))
    assert metric_paths.choose(files) == files[:2]
    figure = metric_paths.draw([])
    assert [text.get_text() for text in figure.texts] == ["none of the methods here has maps"]

"""Where learned metrics take samples: some of the first time, pushed from time to time.

A panel for each cell whose method has maps: each sample goes through the maps of all times one
after another, and the paths between are those that the network predicts. Right titles, as in
`metric_fields`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from w2dual.config.cells import Cell
from w2dual.evaluation.trained import Trained
from w2dual.plots import style
from w2dual.plots.metric_fields import samples, side_by_side, snapshots_of
from w2dual.records import read_json
from w2dual.training import methods
from w2dual.training.methods.metric_recovery import MetricRecovery

METHODS = (MetricRecovery,)
"""Of whose cells this figure can be drawn."""

SAMPLES = 50
"""As published."""


def choose(files: Sequence[tuple[Path, Path, Path]]) -> list[tuple[Path, Path, Path]]:
    """Return the files of the cells whose method has maps."""
    cells = [Cell.from_json(read_json(metrics)["cell"]) for _, metrics, _ in files]
    return [
        paths
        for paths, cell in zip(files, cells, strict=True)
        if methods.make(cell.settings, cell.dimension).has_map
    ]


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw a panel for each cell; where there is none, a page that says so.

    Raises:
        InputError: a cell is not of samples of successive times.
    """
    figure, panels = side_by_side(cells)
    if not cells:
        figure.text(0.5, 0.5, "none of the methods here has maps", ha="center", va="center")
    for axes, cell in zip(panels, cells, strict=True):
        pair = snapshots_of(cell)
        samples(axes, pair, alpha=0.4)
        start = np.asarray(pair.samples)[0][:: max(1, len(pair.samples[0]) // SAMPLES)][:SAMPLES]
        paths = journeys(cell.problem, cell.params, start)
        lines = LineCollection(list(paths), colors=style.VERMILLION, linewidths=0.8, alpha=0.5)
        axes.add_collection(lines)
        axes.plot(*start.T, linestyle="none", marker="o", markersize=2, color=style.BLACK, zorder=3)
    return figure


def journeys(method: MetricRecovery, params: object, start: np.ndarray) -> np.ndarray:
    """Return the way of each point through all times, (points, places, 2).

    Args:
        method: of the cell.
        params: of one seed.
        start: points of the first time, (points, 2).
    """
    times = method.times
    transport = jax.jit(method.transport)
    now, found = np.asarray(start, np.float32), []
    for time in range(times):
        # All maps take the points; only that of this time is kept.
        moved = transport(params, jnp.tile(jnp.asarray(now)[None], (times, 1, 1)))
        found.append(np.moveaxis(np.asarray(moved.path)[:, :, time], -1, 0))
        now = np.asarray(moved.result.x)[time]
    return np.concatenate(found, axis=1)

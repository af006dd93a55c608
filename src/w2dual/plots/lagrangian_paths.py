"""Where maps of Lagrangian costs take samples, along which paths, over the obstacle's contours.

A row for each method and a panel for each setting: samples of the source, of the target, and pushed
ones, with the paths between as polylines of as many points as the method has. Shades are of -U at
full strength. A method whose map is random has two rows: of one drawn path of each sample, and of
the mean of many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from w2dual.config.names import words
from w2dual.evaluation.trained import Trained
from w2dual.plots import style
from w2dual.records import InputError
from w2dual.results.lagrangian import rows_of, setting_of
from w2dual.training.methods.along_paths import AlongPaths, Scene

METHODS = (AlongPaths,)
"""Of whose cells this figure can be drawn."""
SAMPLES = 128
"""As in the published figure."""
GRID = 201
LEVELS = 12
PAGE_WIDTH_IN = 7.0
PATH_COLOUR = "#8080FF"
_HEAD_IN, _FOOT_IN, _EDGE_IN, _GAP_IN = 0.32, 0.1, 0.13, 0.06


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw cells, a row for each method, and another for the expected paths of a random map.

    Raises:
        InputError: a cell's method has no paths.
    """
    rows: dict[str, list[_Panel]] = {}
    for cell in cells:
        for panel in _panels(cell):
            rows.setdefault(panel.method, []).append(panel)
    columns = max(map(len, rows.values()))
    side = (PAGE_WIDTH_IN - 2 * _EDGE_IN - (columns - 1) * _GAP_IN) / columns
    row_in = side + _HEAD_IN
    height = len(rows) * row_in + _FOOT_IN
    figure = Figure(figsize=(PAGE_WIDTH_IN, height))
    for number, (method, line) in enumerate(rows.items()):
        for place, panel in enumerate(line):
            left = _EDGE_IN + place * (side + _GAP_IN)
            bottom = height - (number + 1) * row_in
            axes = figure.add_axes(
                (left / PAGE_WIDTH_IN, bottom / height, side / PAGE_WIDTH_IN, side / height)
            )
            _draw(axes, panel)
            axes.set_title(f"{panel.setting}: {words(method)}", pad=2)
    return figure


class _Panel(NamedTuple):
    """What one panel shows; paths of shape (samples, points, n)."""

    setting: str
    method: str
    scene: Scene
    x: np.ndarray
    y: np.ndarray
    paths: np.ndarray


def _panels(cell: Trained) -> list[_Panel]:
    """Return what a cell shows: its paths, and the expected ones where its map is random."""
    method = cell.problem
    scene = method.scene if isinstance(method, AlongPaths) else None
    if not isinstance(method, AlongPaths) or scene is None:
        raise InputError(f"figure lagrangian_paths: {cell.cell.name} has no paths")
    x, y = cell.source(SAMPLES), cell.target(SAMPLES)
    found = jax.jit(method.travel)(cell.params, jnp.asarray(x)[None])
    name, setting = cell.cell.amortization, words(setting_of(cell.cell.name))
    shown = {name: found.path}
    if found.expected is not None:
        own, mean = rows_of(name, random=True)
        shown = {own: found.path, mean: found.expected}
    return [
        _Panel(setting, row, scene, x, y, np.moveaxis(np.asarray(path)[:, :, 0], -1, 0))
        for row, path in shown.items()
    ]


def _draw(axes: Axes, panel: _Panel) -> None:
    x, y = panel.x, panel.y
    side = panel.scene.bound or float(max(np.abs(x).max(), np.abs(y).max()))
    ticks = jnp.linspace(-side, side, GRID)
    penalty = -panel.scene.potential()(jnp.stack(jnp.meshgrid(ticks, ticks)))
    axes.contourf(ticks, ticks, np.asarray(penalty), LEVELS, cmap="Blues", alpha=0.6, zorder=0)
    lines = LineCollection(list(panel.paths), colors=PATH_COLOUR, linewidths=0.5, alpha=0.6)
    axes.add_collection(lines)
    mark = {"linestyle": "none", "markersize": 1.6, "markeredgewidth": 0.0}
    axes.plot(*x.T, marker="o", color=style.BLUE, label="source", **mark)
    axes.plot(*y.T, marker="s", color=style.GREEN, label="target", **mark)
    mark |= {"markersize": 2.4, "markeredgewidth": 0.5}
    pushed = panel.paths[:, -1]
    axes.plot(*pushed.T, marker="x", color=style.VERMILLION, label="pushed", **mark)
    axes.set(xlim=(-side, side), ylim=(-side, side), xticks=[], yticks=[], aspect="equal")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.legend(loc="upper center", ncols=3, fontsize=4.5, handletextpad=0.1, columnspacing=0.6)

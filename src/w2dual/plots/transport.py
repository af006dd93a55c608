"""Samples of cells on the plane moved by the maps: T from source to target, and x_hat back.

The layout, two square panels for each cell, serves the other figures of whole cells too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from w2dual.config.names import words
from w2dual.evaluation.trained import Points, Trained
from w2dual.plots import style

SAMPLES = 512
LINES = 120
"""Of the samples, those whose way is drawn."""
PAGE_WIDTH_IN = 7.0
MARGIN = 0.05
"""Of a window, beyond the points on each side, as a fraction of their extent."""

_MARKS: dict[str, dict[str, Any]] = {
    "source": {"marker": "o", "color": style.BLUE, "markersize": 1.3, "markeredgewidth": 0.0},
    "target": {
        "marker": "o",
        "color": style.GREEN,
        "markersize": 2.2,
        "markeredgewidth": 0.3,
        "markerfacecolor": "none",
    },
    "moved": {
        "marker": "x",
        "color": style.VERMILLION,
        "markersize": 1.6,
        "markeredgewidth": 0.35,
    },
}
"""Shapes differ too, for print in grey."""

_HEAD_IN, _FOOT_IN = 0.42, 0.1
_EDGE_IN, _GAP_IN, _NAME_IN, _PANEL_IN = 0.13, 0.06, 0.17, 1.54


def window(*samples: Points) -> Points:
    """Return the lower left and upper right corners of a square that holds all points, [2, 2]."""
    points = np.concatenate(samples)
    low, high = points.min(axis=0), points.max(axis=0)
    half = (0.5 + MARGIN) * np.max(high - low)
    middle = (low + high) / 2
    return np.stack([middle - half, middle + half])


def panel(figure: Figure, left_in: float, top_in: float, side_in: float) -> Axes:
    """Add a square panel without ticks; left and top count from the figure's upper left corner."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (left_in / width, 1 - (top_in + side_in) / height, side_in / width, side_in / height)
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=style.GREY, linewidth=0.4)
    return axes


def show(axes: Axes, corners: Points) -> None:
    """Show the square between two corners."""
    axes.set(xlim=corners[:, 0], ylim=corners[:, 1])


def paired_panels(cells: Sequence[Trained]) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Lay out two panels for each cell, its measures' name above them, two cells side by side.

    Returns:
        The figure, not taller than a page with up to ten cells, with room for `head` at the top;
        and the panels.
    """
    across = min(len(cells), 2)
    width = (style.COLUMN_WIDTH_IN, PAGE_WIDTH_IN)[across - 1]
    pitch = _NAME_IN + _PANEL_IN
    height = _HEAD_IN + math.ceil(len(cells) / across) * pitch + _FOOT_IN
    figure = Figure(figsize=(width, height))
    block = 2 * _PANEL_IN + _GAP_IN
    panels = []
    for place, cell in enumerate(cells):
        row, column = divmod(place, across)
        left = _EDGE_IN + column * (width - 2 * _EDGE_IN - block)
        top = _HEAD_IN + row * pitch + _NAME_IN
        figure.text(
            (left + block / 2) / width,
            1 - (top - 0.03) / height,
            words(cell.cell.pair),
            ha="center",
            va="bottom",
            fontsize=7.0,
        )
        shift = _PANEL_IN + _GAP_IN
        panels.append(
            (
                panel(figure, left, top, _PANEL_IN),
                panel(figure, left + shift, top, _PANEL_IN),
            )
        )
    return figure, panels


def head(figure: Figure, top_in: float, text: str) -> None:
    """Say at the top, in small type, what is to be seen."""
    height = figure.get_size_inches()[1]
    figure.text(
        0.5, 1 - top_in / height, text, ha="center", va="top", fontsize=5.5, linespacing=1.3
    )


def potentials_in_words(cells: Sequence[Trained]) -> str:
    """Name the kinds of potential among cells."""
    return " and ".join(dict.fromkeys(words(cell.cell.potential) for cell in cells))


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw samples, where the maps take them, and for some of them the way."""
    figure, panels = paired_panels(cells)
    for cell, (left, right) in zip(cells, panels, strict=True):
        source, target = cell.source(SAMPLES), cell.target(SAMPLES)
        corners = window(source, target)
        for axes, start, end in (
            (left, source, cell.forward(source)),
            (right, target, cell.inverse(target)),
        ):
            show(axes, corners)
            _ways(axes, start[:LINES], end[:LINES])
            for label, points in (("target", target), ("source", source), ("moved", end)):
                axes.plot(*points.T, linestyle="none", label=label, **_MARKS[label])
    handles, labels = panels[0][0].get_legend_handles_labels()
    order = [labels.index(label) for label in _MARKS]
    figure.legend(
        [handles[i] for i in order],
        list(_MARKS),
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.03 / figure.get_size_inches()[1]),
        ncols=len(order),
        markerscale=1.8,
        columnspacing=1.5,
        borderaxespad=0.0,
    )
    head(
        figure,
        0.2,
        r"left: source moved by $T=\nabla f$; right: target moved by $\hat{x}=\nabla f^*$"
        "\n"
        f"lines: the way of {LINES} points; $f$: {potentials_in_words(cells)}",
    )
    return figure


def _ways(axes: Axes, start: Points, end: Points) -> None:
    lines = LineCollection(
        list(np.stack([start, end], axis=1)), colors=style.GREY, linewidths=0.25, alpha=0.6
    )
    lines.set_zorder(1)
    axes.add_collection(lines, autolim=False)

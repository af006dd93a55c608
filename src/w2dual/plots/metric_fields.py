"""Learned metrics beside the true ones: the direction that each is cheapest along, both ways.

A row for each method, a panel for each set: the learned direction black, the true one grey, over
the samples, which get lighter with time.

# DIFFERS: in the published figures the titles of mass splitting and of the crossing paths are
# exchanged; here each panel has its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2dual.config.names import words
from w2dual.evaluation.kinds.alignment import LearnsMetric
from w2dual.evaluation.trained import Trained
from w2dual.measures.pairs.snapshots import SnapshotPair
from w2dual.measures.snapshots import alignment
from w2dual.measures.snapshots.truths import TRUTHS
from w2dual.plots import style
from w2dual.records import InputError

METHODS = (LearnsMetric,)
"""Of whose cells this figure can be drawn."""
SIDE = 21
"""Arrows along a side, as published."""
PAGE_WIDTH_IN = 7.0
HEAD_IN, FOOT_IN, EDGE_IN, GAP_IN = 0.32, 0.25, 0.1, 0.1
LINE_IN = 0.14
"""Of a title, more where it names the method."""
LIGHTEST, DARKEST = 0.25, 0.95
"""Of the colour map, at the last and the first time."""


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw a panel for each cell.

    Raises:
        InputError: a cell is not of samples of successive times.
    """
    figure, panels = side_by_side(cells)
    for axes, cell in zip(panels, cells, strict=True):
        pair = snapshots_of(cell)
        samples(axes, pair)
        points = alignment.grid(np.asarray(pair.low), np.asarray(pair.high), SIDE)
        true = np.asarray(TRUTHS[pair.truth](jnp.asarray(points)))
        learned = np.asarray(cell.problem.directions(cell.params, jnp.asarray(points)[None]))[0]
        _arrows(axes, points, learned, style.BLACK, 0.9, "learned")
        _arrows(axes, points, true, style.GREY, 0.5, "true")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=2, fontsize=5.5)
    return figure


def side_by_side(cells: Sequence[Trained]) -> tuple[Figure, list[Axes]]:
    """Return a figure with a square panel for each cell: a row for each method, a column a set.

    Panels are titled by their set and its alignment, and by the method where there are several.
    """
    rows = list(dict.fromkeys(cell.cell.amortization for cell in cells))
    columns = list(dict.fromkeys(cell.cell.pair for cell in cells))
    count = len(columns)
    side = (PAGE_WIDTH_IN - 2 * EDGE_IN - (count - 1) * GAP_IN) / max(count, 3)
    several = len(rows) > 1
    row = side + HEAD_IN + several * LINE_IN
    height = max(len(rows), 1) * row + FOOT_IN
    first = (PAGE_WIDTH_IN - count * side - (count - 1) * GAP_IN) / 2
    figure = Figure(figsize=(PAGE_WIDTH_IN, height))
    panels = []
    for cell in cells:
        left = first + columns.index(cell.cell.pair) * (side + GAP_IN)
        below = len(rows) - 1 - rows.index(cell.cell.amortization)
        bottom_in = FOOT_IN + below * row
        box = (left / PAGE_WIDTH_IN, bottom_in / height, side / PAGE_WIDTH_IN, side / height)
        axes = figure.add_axes(box)
        pair = snapshots_of(cell)
        (left_x, bottom), (right_x, top) = np.asarray(pair.low), np.asarray(pair.high)
        axes.set_xlim(left_x, right_x)
        axes.set_ylim(bottom, top)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.set_title(_title(cell, several), pad=2)
        panels.append(axes)
    return figure, panels


def snapshots_of(cell: Trained) -> SnapshotPair:
    """Return a cell's samples.

    Raises:
        InputError: it has none of successive times.
    """
    if not isinstance(cell.pair, SnapshotPair):
        raise InputError(f"{cell.cell.name}: its measures are no samples of successive times")
    return cell.pair


def _title(cell: Trained, several: bool) -> str:
    name = words(cell.cell.pair)
    own = next(entry for entry in cell.record["seeds"] if entry["seed"] == cell.seed)
    made = ", GENERATED samples" if cell.record["measures"]["source"] == "generated" else ""
    method = f"{words(cell.cell.amortization)}\n" if several else ""
    return f"{method}{name[:1].upper()}{name[1:]}{made}\nalignment {own['alignment']:.3f}"


def samples(axes: Axes, pair: SnapshotPair, alpha: float = 1.0) -> None:
    """Draw the samples of all times, lighter with time."""
    blues = colormaps["Blues"]
    shades = np.linspace(DARKEST, LIGHTEST, len(pair.samples))
    for points, shade in zip(np.asarray(pair.samples), shades, strict=True):
        axes.plot(
            *points.T,
            linestyle="none",
            marker="o",
            markersize=1.2,
            markeredgewidth=0.0,
            color=blues(shade),
            alpha=alpha,
            zorder=1,
        )


def _arrows(
    axes: Axes, points: np.ndarray, vectors: np.ndarray, colour: str, alpha: float, label: str
) -> None:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1.0)
    for sign in (1, -1):
        axes.quiver(
            *points.T,
            *(sign * unit.T),
            color=colour,
            alpha=alpha,
            scale=SIDE * 2.2,
            width=0.003,
            headwidth=2.5,
            zorder=2,
            label=label if sign == 1 else None,
        )

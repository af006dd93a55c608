"""Samples and a grid on their way from one measure to the other, by displacement interpolation.

A point is at (1 - t) y + t x_hat(y) on its way from target to source, and at (1 - t) x + t T(x) on
the way back (McCann 1997). In motion, the first of the two is shown, there and back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from w2dual.config.names import words
from w2dual.evaluation.trained import Points, Trained
from w2dual.plots import style
from w2dual.plots.transport import PAGE_WIDTH_IN, head, panel, potentials_in_words, show, window

Lines = Float[np.ndarray, "lines points n"]

TIMES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SAMPLES = 256
GRID_LINES = 17
"""Of the grid, in each direction."""
LINE_POINTS = 65
FRAMES = 24
FRAME_MS = 90
FRAME_PX = 400

_SIDE_BY_SIDE = 4
"""Cells from which on two share a row, so that the figure fits a page."""
_HEAD_IN, _FOOT_IN = 0.34, 0.1
_LABEL_IN, _EDGE_IN, _GAP_IN, _NAME_IN = 0.17, 0.05, 0.04, 0.28


class Course(NamedTuple):
    """Where points start and where a map takes them: samples first, then those of grid lines."""

    start: Points
    end: Points

    def at(self, t: float) -> tuple[Points, Lines]:
        """Return the samples and the grid lines at a time from 0 to 1."""
        now = (1 - t) * self.start + t * self.end
        return now[:SAMPLES], now[SAMPLES:].reshape(-1, LINE_POINTS, 2)


def course(samples: Points, push: Callable[[Points], Points]) -> Course:
    """Push `SAMPLES` samples, and a grid on the rectangle that they fill."""
    start = np.concatenate([samples, grid(samples).reshape(-1, 2)])
    return Course(start, push(start))


def grid(samples: Points) -> Lines:
    """Return the lines of a grid on the rectangle that samples fill: horizontal, then vertical."""
    low, high = samples.min(axis=0), samples.max(axis=0)
    along, across = np.linspace(low, high, LINE_POINTS), np.linspace(low, high, GRID_LINES)
    horizontal = np.meshgrid(along[:, 0], across[:, 1])
    vertical = np.meshgrid(across[:, 0], along[:, 1], indexing="ij")
    return np.concatenate([np.stack(horizontal, axis=-1), np.stack(vertical, axis=-1)])


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw the way from target to source, and below it that from source to target."""
    abreast = 1 if len(cells) < _SIDE_BY_SIDE else 2
    block = (PAGE_WIDTH_IN - _EDGE_IN) / abreast
    side = (block - _LABEL_IN - _EDGE_IN - (len(TIMES) - 1) * _GAP_IN) / len(TIMES)
    pitch = _NAME_IN + 2 * (side + _GAP_IN)
    height = _HEAD_IN + math.ceil(len(cells) / abreast) * pitch + _FOOT_IN
    figure = Figure(figsize=(PAGE_WIDTH_IN, height))
    for place, cell in enumerate(cells):
        row, column = divmod(place, abreast)
        left, top = _EDGE_IN + column * block, _HEAD_IN + row * pitch
        source, target = cell.source(SAMPLES), cell.target(SAMPLES)
        figure.text(
            (left + _LABEL_IN) / PAGE_WIDTH_IN,
            1 - (top + 0.02) / height,
            words(cell.cell.pair),
            va="top",
            fontsize=7.0,
        )
        for line, (samples, push, colour, label) in enumerate(
            (
                (target, cell.inverse, style.GREEN, "target to source"),
                (source, cell.forward, style.BLUE, "source to target"),
            )
        ):
            way = course(samples, push)
            for number, t in enumerate(TIMES):
                axes = panel(
                    figure,
                    left + _LABEL_IN + number * (side + _GAP_IN),
                    top + _NAME_IN + line * (side + _GAP_IN),
                    side,
                )
                show(axes, window(source, target))
                _place(axes, *way.at(t), colour, scale=1.0 if abreast == 1 else 0.7)
                if line == 0:
                    axes.set_title(f"t = {t:g}", fontsize=5.5, pad=2.0)
                if number == 0:
                    axes.set_ylabel(label, fontsize=5.5 if abreast == 1 else 4.5, labelpad=2.0)
    head(
        figure,
        0.04,
        r"upper rows: $(1-t)\,y+t\,\hat{x}(y)$ with $\hat{x}=\nabla f^*$; "
        r"lower rows: $(1-t)\,x+t\,T(x)$ with $T=\nabla f$"
        "\n"
        "dots: samples; lines: a grid on the rectangle that they fill; "
        f"$f$: {potentials_in_words(cells)}",
    )
    return figure


def frames(cells: Sequence[Trained]) -> list[Image.Image]:
    """Draw the first cell's way from target to source and back, in `FRAMES` pictures."""
    cell = cells[0]
    source, target = cell.source(SAMPLES), cell.target(SAMPLES)
    way = course(target, cell.inverse)
    side = 2.0
    figure = Figure(figsize=(side, side), dpi=FRAME_PX / side)
    canvas = FigureCanvasAgg(figure)
    axes = panel(figure, 0.15, 0.2, side - 0.3)
    show(axes, window(source, target))
    lines, dots = _place(axes, *way.at(0.0), style.GREEN, scale=1.6)
    figure.text(0.075, 0.985, words(cell.cell.pair), va="top")
    clock = figure.text(0.925, 0.985, "", va="top", ha="right")
    figure.text(0.075, 0.008, "target to source", va="bottom", fontsize=4.5)
    if cell.reduced:
        reduced = f"reduced budget: preset {cell.reduced}"
        figure.text(0.925, 0.008, reduced, ha="right", va="bottom", fontsize=4, color=style.GREY)
    pictures = []
    for number in range(FRAMES):
        t = (1 - math.cos(2 * math.pi * number / FRAMES)) / 2
        samples, segments = way.at(t)
        lines.set_segments(list(segments))
        dots.set_data(*samples.T)
        clock.set_text(f"t = {t:.2f}")
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        pictures.append(picture.quantize(32, dither=Image.Dither.NONE))
    return pictures


def _place(
    axes: Axes, samples: Points, lines: Lines, colour: str, scale: float
) -> tuple[LineCollection, Line2D]:
    mesh = LineCollection(list(lines), colors=style.GREY, linewidths=0.2 * scale)
    mesh.set_zorder(1)
    axes.add_collection(mesh, autolim=False)
    (dots,) = axes.plot(
        *samples.T, "o", color=colour, markersize=1.1 * scale, markeredgewidth=0.0, zorder=2
    )
    return mesh, dots

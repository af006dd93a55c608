"""Displacement interpolation between two images, as they flow into one another (McCann 1997).

Forward, samples x of the source are shown at (1 - t) x + t T(x); inverse, samples y of the target
at t y + (1 - t) x_hat(y). For the optimal map both rows show the same geodesic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image as Pillow

from w2dual.evaluation.trained import Points, Trained
from w2dual.measures.pairs.images import Image, ImagePair
from w2dual.records import InputError

SIZE_IN = (7.0, 2.1)
SAMPLES = 200_000
BLOCK = 20_000
"""Samples moved at once."""
BINS_ACROSS = 64
"""On the side of the images: two of their pixels each for the project's own."""
BINS = 68
"""On the side of what is shown, so that points moved a little beyond the images are seen."""
TIMES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
FRAMES = 24
FRAME_MS = 90
FRAME_PIXELS = 240
GREYS = 16
"""Shades of a frame; few make a small file."""
DARKEST = 1.15
"""The density shown as black, in units of the images' largest."""

Density = Float[np.ndarray, "rows columns"]


class Couples(NamedTuple):
    """Points on the side of the source, and where each is on the side of the target."""

    source: Points
    target: Points

    def at(self, time: float) -> Points:
        """Place each on its way at a time in [0, 1]."""
        return (1.0 - time) * self.source + time * self.target


def forward(cell: Trained) -> Couples:
    """Couple samples x of the source with T(x)."""
    x = cell.source(SAMPLES)
    return Couples(x, _in_blocks(cell.forward, x))


def inverse(cell: Trained) -> Couples:
    """Couple samples y of the target with x_hat(y)."""
    y = cell.target(SAMPLES)
    return Couples(_in_blocks(cell.inverse, y), y)


def masses(image: Image) -> Float[np.ndarray, " pixels"]:
    """Return the probability of each pixel of an image, from its tables of aliases."""
    keep = np.asarray(image.keep, np.float64)
    mass = keep.copy()
    np.add.at(mass, np.asarray(image.alias), 1.0 - keep)
    return mass / len(mass)


def histogram(
    points: Points, side: float, weights: Float[np.ndarray, " points"] | None = None
) -> Density:
    """Share points among the bins of a square, each among the four nearest by distance.

    So points on a lattice, as the pixels of an image are, leave no pattern.

    Args:
        points: what is not finite or not in the square is left out.
        side: of the square, whose middle is the origin.
        weights: of the points; None for equal ones, 1 in all.

    Returns:
        Mass of each bin, the top row first.
    """
    if weights is None:
        weights = np.full(len(points), 1.0 / len(points))
    finite = np.isfinite(points).all(axis=1)
    place = (points[finite] / side + 0.5) * BINS - 0.5
    place, weights = np.clip(place, -2, BINS + 1), weights[finite]
    corner = np.floor(place).astype(int)
    part = place - corner
    found = np.zeros(BINS * BINS)
    for right in (0, 1):
        for up in (0, 1):
            column, row = corner[:, 0] + right, corner[:, 1] + up
            inside = (column >= 0) & (column < BINS) & (row >= 0) & (row < BINS)
            share = np.abs(1 - right - part[:, 0]) * np.abs(1 - up - part[:, 1]) * weights
            found += np.bincount((row * BINS + column)[inside], share[inside], BINS * BINS)
    return found.reshape(BINS, BINS)[::-1]


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw the images of the first cell, and between them both interpolations.

    Raises:
        InputError: its measures are no images.
    """
    cell = cells[0]
    pair, side = _images(cell)
    truths = [histogram(np.asarray(end.places), side, masses(end)) for end in pair]
    top = _top(truths)
    figure = Figure(figsize=SIZE_IN, dpi=300)
    margins = {"left": 0.005, "right": 0.995, "bottom": 0.06, "top": 0.9}
    grid = figure.add_gridspec(2, len(TIMES) + 2, wspace=0.06, hspace=0.08, **margins)
    ends = (("source", truths[0], 0), ("target", truths[1], len(TIMES) + 1))
    for title, density, column in ends:
        axes = figure.add_subplot(grid[:, column])
        _show(axes, density, top)
        axes.set_title(title)
    for row, (name, couples) in enumerate((("forward", forward), ("inverse", inverse))):
        moving = couples(cell)
        for column, time in enumerate(TIMES):
            axes = figure.add_subplot(grid[row, column + 1])
            _show(axes, histogram(moving.at(time), side), top)
            if row == 0:
                axes.set_title(f"t = {time:g}")
            if column == 0:
                axes.set_ylabel(name, labelpad=2)
    return figure


def frames(cells: Sequence[Trained]) -> list[Pillow.Image]:
    """Draw the forward interpolation of the first cell there and back, slower at the ends.

    Raises:
        InputError: its measures are no images.
    """
    cell = cells[0]
    pair, side = _images(cell)
    top = _top([histogram(np.asarray(end.places), side, masses(end)) for end in pair])
    moving = forward(cell)
    half = [
        _frame(histogram(moving.at(0.5 - 0.5 * np.cos(np.pi * step / (FRAMES // 2))), side), top)
        for step in range(FRAMES // 2 + 1)
    ]
    return half + half[-2:0:-1]


def _images(cell: Trained) -> tuple[tuple[Image, Image], float]:
    """Return source and target, and the side of the square to show."""
    if not isinstance(cell.pair, ImagePair):
        raise InputError(f"{cell.cell.name}: {cell.cell.pair} is not a pair of images")
    return (cell.pair.source, cell.pair.target), cell.pair.scale * BINS / BINS_ACROSS


def _in_blocks(function: Callable[[Points], Points], points: Points) -> Points:
    starts = range(0, len(points), BLOCK)
    return np.concatenate([function(points[begin : begin + BLOCK]) for begin in starts])


def _top(truths: Sequence[Density]) -> float:
    return DARKEST * max(float(density.max()) for density in truths)


def _show(axes: Axes, density: Density, top: float) -> None:
    axes.imshow(density, cmap="Greys", vmin=0.0, vmax=top, interpolation="bilinear")
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _frame(density: Density, top: float) -> Pillow.Image:
    grey = 255.0 * (1.0 - np.clip(density / top, 0.0, 1.0))
    size = (FRAME_PIXELS, FRAME_PIXELS)
    frame = Pillow.fromarray(grey.astype(np.uint8)).resize(size, Pillow.Resampling.BILINEAR)
    return frame.point([255 * (level * GREYS // 256) // (GREYS - 1) for level in range(256)])

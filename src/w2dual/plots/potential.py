"""The potential f over the source and its conjugate f* over the target, with their gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from w2dual.evaluation.trained import Points, Trained, Values
from w2dual.plots import style
from w2dual.plots.transport import head, paired_panels, potentials_in_words, show, window

SAMPLES = 256
SIDE = 61
"""Points along a side of the grid on which the functions are evaluated."""
AREAS = 14
"""Between level lines, equal in size."""
ARROWS_EVERY = 6
"""Points of the grid between two arrows."""


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw level lines of f and f*, and arrows of grad f = T and grad f* = x_hat."""
    figure, panels = paired_panels(cells)
    for cell, (left, right) in zip(cells, panels, strict=True):
        source, target = cell.source(SAMPLES), cell.target(SAMPLES)
        grid = mesh(window(source))
        _landscape(left, source, grid, cell.value(grid), cell.forward(grid), style.BLUE, "$f$")
        grid = mesh(window(target))
        result = cell.conjugate(grid)
        value, gradient = -np.asarray(result.value), np.asarray(result.x)
        _landscape(right, target, grid, value, gradient, style.GREEN, "$f^*$")
    head(
        figure,
        0.04,
        r"left: $f$ over the source, arrows: $\nabla f=T$; "
        r"right: $f^*$ over the target, arrows: $\nabla f^*=\hat{x}$"
        "\n"
        "lighter is higher, with equal areas between level lines; dots: samples\n"
        "arrows: near samples, each panel to its own scale; "
        f"$f$: {potentials_in_words(cells)}",
    )
    return figure


def mesh(corners: Points) -> Points:
    """Return the points of a regular grid on the square between two corners, row by row."""
    x, y = np.linspace(corners[0], corners[1], SIDE).T
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _landscape(
    axes: Axes,
    samples: Points,
    grid: Points,
    value: Values,
    gradient: Points,
    colour: str,
    name: str,
) -> None:
    x, y = grid.T.reshape(2, SIDE, SIDE)
    # Even steps would leave none for where f* is flat, as between the targets of one kink of f.
    levels = np.unique(np.quantile(value, np.linspace(0, 1, AREAS + 1)))
    height = value.reshape(SIDE, SIDE)
    axes.contourf(x, y, height, levels, colors=_tints(colour, len(levels) - 1))
    axes.contour(x, y, height, levels[1:-1], colors=colour, linewidths=0.4, linestyles="solid")
    axes.plot(*samples.T, ".", color=style.GREY, markersize=1.6, markeredgewidth=0, alpha=0.7)
    _arrows(axes, samples, grid, gradient)
    axes.text(
        0.04,
        0.96,
        name,
        transform=axes.transAxes,
        va="top",
        fontsize=7.0,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
    )
    show(axes, np.stack([grid[0], grid[-1]]))


def _arrows(axes: Axes, samples: Points, grid: Points, gradient: Points) -> None:
    """Draw the gradient at some points of the grid, those that have a sample near.

    Elsewhere it was never trained, and may be so long that no other arrow is seen.
    """
    some = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    some = some[ARROWS_EVERY // 2 :: ARROWS_EVERY, ARROWS_EVERY // 2 :: ARROWS_EVERY].ravel()
    apart = ARROWS_EVERY * (grid[1, 0] - grid[0, 0])
    distances = np.linalg.norm(grid[some, None] - samples[None], axis=-1)
    some = some[distances.min(axis=1) < apart]
    longest = np.linalg.norm(gradient[some], axis=1).max()
    axes.quiver(
        *grid[some].T,
        *gradient[some].T,
        angles="xy",
        scale_units="xy",
        scale=longest / apart,  # the longest reaches the next
        color=style.BLACK,
        width=0.006,
        headwidth=3.5,
        headlength=4.0,
        headaxislength=3.5,
        minlength=0.5,
    )


def _tints(colour: str, count: int) -> list[tuple[float, ...]]:
    """Return evenly spaced tints of a colour up to almost white."""
    rgb = np.asarray(to_rgb(colour))
    return [tuple(1 - weight * (1 - rgb)) for weight in np.linspace(0.5, 0.03, count)]

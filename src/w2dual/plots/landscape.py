"""Conjugation seen from above: J_f(.; y) = f - <., y>, and how the solver gets down to x_hat(y).

From the amortized start x_tilde(y), which is what training learns, and from y itself, where a
solver without amortization would start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2dual.config.names import words
from w2dual.conjugate import Status
from w2dual.evaluation.trained import Points, Trained, Values
from w2dual.plots import style
from w2dual.records import InputError
from w2dual.studies.trace import Trace, traces

PAGE_WIDTH_IN = 7.0
ROW_HEIGHT_IN = 2.45
SAMPLES = 1024
QUANTILES = (0.25, 0.75, 0.98)
"""Of the distance between x_tilde(y) and x_hat(y), over samples y: one panel for each."""
GRID = 160
LEVELS = 14
MARGIN = 0.25
"""Around what is shown, as a fraction of its extent."""
SMALLEST_VIEW = 0.05
"""Extent below which the contours would show the rounding of f in float32."""
CLOSE, CLOSE_MARGIN = 0.36, 0.02
"""Side of the inset that shows the warm path, and its distance to the border of the panel."""
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))

Iterates = Float[np.ndarray, "iterates 2"]


def path(cell: Trained, y: Float[np.ndarray, " n"], start: Float[np.ndarray, " n"]) -> Iterates:
    """Return the solver's iterates for one y, the start first.

    Raises:
        InputError: the cell has no conjugate solver.
    """
    return paths(cell, y[None], start[None])[0]


def paths(cell: Trained, y: Points, starts: Points) -> list[Iterates]:
    """Return the solver's iterates for each y, the start first: one more than iterations.

    Trial points of a line search are left out.

    Raises:
        InputError: the cell has no conjugate solver.
    """
    return [trace.x for trace in _traces(cell, y, starts)]


def _traces(cell: Trained, y: Points, starts: Points) -> list[Trace]:
    """Follow the solver for each y."""
    solver = cell.problem.solver
    if solver is None:
        raise InputError(f"{cell.cell.name} has no conjugate solver whose path could be drawn")
    return list(traces(solver, cell.problem.oracle(cell.params), y, starts))


def heights(cell: Trained, y: Float[np.ndarray, " n"], x: Points) -> Values:
    """J_f(x; y) = f(x) - <x, y> at points x."""
    return cell.value(x) - x @ y


def examples(cell: Trained) -> Points:
    """Choose one y for each of `QUANTILES`, from samples of the target."""
    y = cell.target(SAMPLES)
    optimum = np.asarray(cell.conjugate(y, drawn=False).x)
    off = np.linalg.norm(cell.amortized(y) - optimum, axis=1)
    order = np.argsort(off)[: np.isfinite(off).sum()]
    return y[order[[int(quantile * (len(order) - 1)) for quantile in QUANTILES]]]


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw J_f(.; y) and the paths down from x_tilde(y) and from y: a row a cell, three y each.

    Raises:
        InputError: a cell has no conjugate solver.
    """
    figure = Figure(figsize=(PAGE_WIDTH_IN, ROW_HEIGHT_IN * len(cells) + 0.3), layout="constrained")
    grid = figure.subplots(len(cells), len(QUANTILES), squeeze=False)
    for cell, row in zip(cells, grid, strict=True):
        _row(cell, list(row))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _row(cell: Trained, row: list[Axes]) -> None:
    y = examples(cell)
    both = _traces(cell, np.concatenate([y, y]), np.concatenate([cell.amortized(y), y]))
    for axes, target, warm, cold in zip(row, y, both[: len(y)], both[len(y) :], strict=True):
        _panel(cell, axes, target, warm.x, cold.x)
        title = f"iterations: {len(warm.x) - 1} warm, {len(cold.x) - 1} cold"
        lost = [
            name
            for name, trace in (("warm", warm), ("cold", cold))
            if trace.status != Status.CONVERGED
        ]
        axes.set_title(title + (f"\nnot converged: {', '.join(lost)}" if lost else ""))
    row[0].set_ylabel(words(cell.cell.pair), fontsize="large")


def _panel(
    cell: Trained, axes: Axes, y: Float[np.ndarray, " n"], warm: Iterates, cold: Iterates
) -> None:
    """Draw all iterates, and close to the optimum the warm ones, in the emptiest corner."""
    shown = np.concatenate([warm, cold])
    low, high = _view(axes, shown)
    places = (shown - low) / (high - low)
    corner = max(CORNERS, key=lambda c: np.linalg.norm(places - c, axis=1).min())
    _contours(cell, axes, y)
    _paths(axes, warm, cold)
    start = [CLOSE_MARGIN if c == 0.0 else 1.0 - CLOSE_MARGIN - CLOSE for c in corner]
    close = axes.inset_axes((start[0], start[1], CLOSE, CLOSE))
    _view(close, warm)
    _contours(cell, close, y)
    _paths(close, warm, cold)
    close.set_xticks([])
    close.set_yticks([])
    close.spines[:].set_visible(True)
    axes.indicate_inset_zoom(close, edgecolor=style.BLACK, linewidth=0.5, alpha=1.0)


def _view(axes: Axes, points: Points) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:
    """Show a square around points, bare of a grid; return its corners."""
    low, high = points.min(axis=0), points.max(axis=0)
    half = (0.5 + MARGIN) * max(float((high - low).max()), SMALLEST_VIEW)
    low, high = (low + high) / 2 - half, (low + high) / 2 + half
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.grid(visible=False)
    return low, high


def _contours(cell: Trained, axes: Axes, y: Float[np.ndarray, " n"]) -> None:
    """Draw the level sets of J_f(.; y) in view, closer together further down."""
    across, up = np.linspace(*axes.get_xlim(), GRID), np.linspace(*axes.get_ylim(), GRID)
    x = np.stack(np.meshgrid(across, up), axis=-1).astype(np.float32)
    height = heights(cell, y, x.reshape(-1, 2)).reshape(GRID, GRID)
    bottom, top = float(height.min()), float(height.max())
    levels = bottom + (top - bottom) * np.linspace(0.0, 1.0, LEVELS) ** 2
    axes.contourf(across, up, height, levels, cmap="Greys_r", alpha=0.25)
    axes.contour(across, up, height, levels, colors=style.GREY, linewidths=0.3, linestyles="solid")


def _paths(axes: Axes, warm: Iterates, cold: Iterates) -> None:
    line: dict[str, Any] = {"markersize": 2.5, "linewidth": 0.9}
    axes.plot(*cold.T, "s--", color=style.VERMILLION, label="from y (cold)", **line)
    axes.plot(*warm.T, "o-", color=style.BLUE, label=r"from $\tilde{x}(y)$ (warm)", **line)
    axes.plot(*cold[0], "s", color=style.VERMILLION, markersize=5, label="y")
    axes.plot(*warm[0], "o", color=style.BLUE, markersize=5, label=r"$\tilde{x}(y)$")
    axes.plot(*warm[-1], "*", color=style.BLACK, markersize=6, label=r"$\hat{x}(y)$", zorder=5)

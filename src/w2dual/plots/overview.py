"""The method on one page's width, of a trained potential: conjugate, start, solver, transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter

from w2dual.evaluation.trained import Points, Trained, Values
from w2dual.plots import style

SIZE_IN = (7.0, 2.1)
# Left, bottom, width and height as fractions; below on the right there is room for the mark of a
# reduced budget.
PANELS = {
    "conjugate": (0.015, 0.14, 0.215, 0.74),
    "amortized start": (0.255, 0.24, 0.21, 0.64),
    "fine-tuning": (0.535, 0.2, 0.215, 0.68),
    "transport": (0.775, 0.16, 0.215, 0.72),
}
BAR = (0.275, 0.19, 0.17, 0.025)
SAMPLES = 1024
SHOWN = 400
"""Points of each kind in the picture of the transport."""
ARROWS = 70
RAY_QUANTILE = 0.75
"""Of |x_hat(y)| over samples y: the one whose supporting line is drawn."""
RAY = (-0.7, 1.9)
"""Ends of the ray, in units of |x_hat(y)|."""
SMALLEST_NORM = 1e-6
"""A gradient norm below, such as 0, is shown here."""


class Conjugation(NamedTuple):
    """Samples of the target, where the solver starts on each and where it ends.

    Attributes:
        y: the samples.
        start: x_tilde(y).
        optimum: x_hat(y).
        value: J_f(x_hat(y); y) = -f*(y).
        norm_start: max-norm of grad f - y at the start.
        norm_optimum: and at the optimum.
    """

    y: Points
    start: Points
    optimum: Points
    value: Values
    norm_start: Values
    norm_optimum: Values


class Slice(NamedTuple):
    """f and its supporting line with slope y, on the line through the origin and x_hat(y).

    Attributes:
        place: along it, x_hat(y) at `touch` and the origin at 0.
        potential: f there.
        line: <x, y> - f*(y) there.
        touch: |x_hat(y)|.
        intercept: -f*(y), of the supporting line at the origin.
    """

    place: Float[np.ndarray, " places"]
    potential: Float[np.ndarray, " places"]
    line: Float[np.ndarray, " places"]
    touch: float
    intercept: float


def conjugation(cell: Trained, samples: int) -> Conjugation:
    """Conjugate at samples of the target."""
    y = cell.target(samples)
    start, solved = cell.amortized(y), cell.conjugate(y)
    norm = np.max(np.abs(cell.forward(start) - y), axis=1)
    found = (np.asarray(item) for item in (solved.x, solved.value, solved.gradient_norm))
    optimum, value, norm_optimum = found
    return Conjugation(y, start, optimum, value, norm, norm_optimum)


def support(cell: Trained, found: Conjugation) -> Slice:
    """Cut f along the ray through the x_hat(y) that is the `RAY_QUANTILE` of all in length."""
    length = np.linalg.norm(found.optimum, axis=1)
    finite = np.flatnonzero(np.isfinite(length))
    ranked = finite[np.argsort(length[finite])]
    chosen = ranked[int(RAY_QUANTILE * (len(ranked) - 1))]
    y, touch = found.y[chosen], float(length[chosen])
    place = np.linspace(*RAY, 201) * touch
    x = (place[:, None] * found.optimum[chosen] / touch).astype(np.float32)
    intercept = float(found.value[chosen])
    return Slice(place, cell.value(x), x @ y + intercept, touch, intercept)


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw the four panels of the first cell."""
    cell = cells[0]
    found = conjugation(cell, SAMPLES)
    figure = Figure(figsize=SIZE_IN)
    panels = [figure.add_axes(place) for place in PANELS.values()]
    for axes, letter, title in zip(panels, "abcd", PANELS, strict=True):
        axes.set_title(f"$\\bf{{{letter}}}$  {title}", loc="left")
    _conjugate(panels[0], support(cell, found))
    panels[1].set_title(r"  $y\to\tilde{x}(y)$", loc="right")
    _start(panels[1], figure.add_axes(BAR), found)
    _tuning(panels[2], found, cell.cell.settings["solver"].get("gradient_tolerance"))
    _transport(panels[3], cell)
    return figure


def _conjugate(axes: Axes, cut: Slice) -> None:
    axes.plot(cut.place, cut.potential, color=style.BLUE)
    axes.plot(cut.place, cut.line, color=style.VERMILLION, linewidth=0.9)
    height = float(np.interp(cut.touch, cut.place, cut.line))
    axes.plot(cut.touch, height, "o", color=style.BLACK, markersize=3.5, zorder=5)
    axes.plot(0.0, cut.intercept, "D", color=style.VERMILLION, markersize=3, zorder=5)
    low = min(cut.line.min(), cut.potential.min())
    axes.vlines(cut.touch, low, height, color=style.GREY, linestyle=":", linewidth=0.7)
    axes.annotate(
        r"$-f^*(y)$",
        (0.0, cut.intercept),
        xytext=(4, -2),
        textcoords="offset points",
        va="top",
        color=style.VERMILLION,
    )
    axes.annotate(
        r"$f(x)$",
        (cut.place[0], cut.potential[0]),
        xytext=(2, 2),
        textcoords="offset points",
        color=style.BLUE,
    )
    axes.text(
        0.99,
        0.03,
        r"$\langle x,y\rangle-f^*(y)$",
        transform=axes.transAxes,
        ha="right",
        color=style.VERMILLION,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
    axes.margins(x=0.05, y=0.1)
    axes.set_xticks([0.0, cut.touch], ["0", r"$\hat{x}(y)$"])
    axes.set_yticks([])


def _start(axes: Axes, beside: Axes, found: Conjugation) -> None:
    off = np.linalg.norm(found.start - found.optimum, axis=1)
    y, step = found.y[:ARROWS], (found.start - found.y)[:ARROWS]
    axes.plot(*y.T, ".", color=style.GREY, markersize=2)
    arrows = axes.quiver(
        *y.T,
        *step.T,
        off[:ARROWS],
        angles="xy",
        scale_units="xy",
        scale=1.0,
        width=0.008,
        cmap="copper_r",
    )
    bar = axes.figure.colorbar(arrows, cax=beside, orientation="horizontal")
    bar.set_label(r"$|\tilde{x}(y)-\hat{x}(y)|$", labelpad=1)
    beside.grid(visible=False)
    bar.outline.set_linewidth(0.3)  # pyright: ignore[reportCallIssue]
    bar.locator = MaxNLocator(4)
    _frame(axes, np.concatenate([y, y + step]))


def _tuning(axes: Axes, found: Conjugation, tolerance: float | None) -> None:
    norms = [
        np.maximum(norm[np.isfinite(norm)], SMALLEST_NORM)
        for norm in (found.norm_start, found.norm_optimum)
    ]
    low, high = (np.log10(edge(np.concatenate(norms))) for edge in (np.min, np.max))
    bins = np.logspace(low - 0.05, high + 0.05, 45).tolist()
    for norm, colour, label in zip(
        norms,
        (style.VERMILLION, style.BLUE),
        (r"at $\tilde{x}(y)$", r"at $\hat{x}(y)$"),
        strict=True,
    ):
        weights = np.full(len(norm), 1.0 / len(norm))
        axes.hist(norm, bins, weights=weights, color=colour, alpha=0.6, label=label)
    if tolerance is not None:
        axes.axvline(tolerance, color=style.BLACK, linestyle="--", linewidth=0.7, label="tolerance")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylabel("share of samples y", labelpad=1)
    axes.set_xlabel(r"$\|\nabla f-y\|_\infty$", labelpad=1)
    axes.set_ylim(top=1.45 * axes.get_ylim()[1])  # so that the legend hides no bar
    axes.legend(loc="upper left")


def _transport(axes: Axes, cell: Trained) -> None:
    source, target = cell.source(SHOWN), cell.target(SHOWN)
    moved = cell.forward(source)
    dots = {"markersize": 2.0, "markeredgewidth": 0.0, "alpha": 0.8, "linestyle": "none"}
    axes.plot(*source.T, "^", color=style.BLUE, label="source", **dots)
    axes.plot(*target.T, "o", color="#aaaaaa", label="target", **dots)
    axes.plot(*moved.T, "o", color=style.VERMILLION, label="moved", **dots)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, markerscale=2, columnspacing=0.8
    )
    _frame(axes, np.concatenate([source, target]))


def _frame(axes: Axes, points: Points) -> None:
    """Bare axes of equal scale around points; what lies far from them is out of view."""
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.55 * float((high - low).max())
    middle = (low + high) / 2
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_aspect("equal")

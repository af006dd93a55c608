"""The studies of one potential's cells, dimensions or pairs of images side by side.

A column for each: the objective on the way down, normalised; how many iterations points
take and which gradient norm they end at, cold and warm; how good the start is during training. A
single dimension has its panels in a square.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from w2dual.config.names import made_here, method_words, potential_words, words
from w2dual.plots import style
from w2dual.plots.curves import by_seed, read_history
from w2dual.records import InputError
from w2dual.studies.conjugation_record import STARTS, Study, read

log = logging.getLogger(__name__)

PAGE_WIDTH_IN = 7.0
PANEL_HEIGHT_IN = 1.75
MOST_ITERATIONS = 50
"""Of the upper panels, as in the paper."""
PANELS = 4
LINES: dict[tuple[str, str], tuple[str, Any, str]] = {
    ("lbfgs", "cold"): (style.BLUE, "-", "L-BFGS from $y$ (cold)"),
    ("lbfgs", "warm"): (style.VERMILLION, "-", r"L-BFGS from $\tilde{x}(y)$ (warm)"),
    ("adam", "cold"): (style.GREEN, "-", "Adam from $y$"),
    ("adam", "warm"): (style.BLACK, ":", r"Adam from $\tilde{x}(y)$"),
}
COLUMNS = ("seed", "step", "amortization_gap_mean", "start_gradient_norm_mean")
SMALLEST = 1e-6
"""Below it a norm or a gap of float32 says nothing."""


def draw(studies: Sequence[Study], histories: Sequence[pd.DataFrame]) -> Figure:
    """Draw the studies of one potential.

    Args:
        studies: one for each dimension, in order.
        histories: of the training of each.
    """
    count = len(studies)
    rows, columns = (PANELS, count) if count > 1 else (2, 2)
    figure = Figure(figsize=(PAGE_WIDTH_IN, PANEL_HEIGHT_IN * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    stacks = grid.T if count > 1 else [grid.ravel()]
    for stack, study, history in zip(stacks, studies, histories, strict=True):
        cell = study.metadata["cell"]
        if study.diverged:
            for axes in stack:
                axes.set_axis_off()
                axes.text(0.5, 0.5, "all seeds diverged", ha="center", va="center")
        else:
            _descent(stack[0], study)
            _iterations(stack[1], study)
            _norms(stack[2], study)
            _training(stack[3], study, history)
        if count > 1:
            stack[0].set_title(_measures(cell))
    first = studies[0].metadata["cell"]
    title = f"{potential_words(first['potential'])}, "
    title += method_words(first["amortization"], first["solver"])
    title += "" if count > 1 else f", {_measures(first)}"
    handles = [
        Line2D([], [], color=color, linestyle=line, label=label)
        for color, line, label in LINES.values()
    ]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles),
        title=title,
        title_fontsize="large",
    )
    figure.supxlabel(_origin(studies), x=0.995, ha="right", fontsize=5, color=style.GREY)
    return figure


def _measures(cell: Mapping[str, Any]) -> str:
    """Name a cell's pair: that of the benchmark in high dimensions by its dimension."""
    hd = cell["pair"] == f"hd{cell['dimension']}"
    return f"$n = {cell['dimension']}$" if hd else words(cell["pair"])


def _origin(studies: Sequence[Study]) -> str:
    """Say on what and with which preset it was made."""
    first = studies[0].metadata
    text = f"{first['settings']['samples']:,} points; {first['provenance']['device']}"
    sources = made_here(study.metadata.get("measures_source") for study in studies)
    text = f"{sources}; {text}" if sources else text
    if first["preset"]["reduced"]:
        text = f"reduced budget: preset {first['preset']['name']}; {text}"
    return text


def _descent(axes: Axes, study: Study) -> None:
    """J_f against iterations, a line for each point and method."""
    for key, rows in study.normalised().items():
        color, line, _ = LINES[key]
        for row in rows:
            axes.plot(row, color=color, linestyle=line, linewidth=0.7, alpha=0.5)
        # Lines that end at once are points.
        ends = np.sum(np.isfinite(rows), axis=1) - 1
        last = rows[np.arange(len(rows)), np.maximum(ends, 0)]
        axes.plot(ends, last, ".", color=color, markersize=2.5)
    longest = max(rows.shape[1] for rows in study.values.values()) - 1
    axes.set_xlim(-0.5, min(MOST_ITERATIONS, max(longest, 1)) + 0.5)
    axes.set_ylim(-0.03, 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("solver iteration")
    axes.set_ylabel("normalised $J_f(x; y)$")


def _iterations(axes: Axes, study: Study) -> None:
    """Points that have ended by an iteration, in percent."""
    for start in STARTS:
        sample = study.samples[start]
        _share(axes, sample.iterations.astype(float), start)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel("iterations of L-BFGS until it ends")
    axes.set_ylabel("points, %")
    axes.set_xlim(left=0)


def _norms(axes: Axes, study: Study) -> None:
    """Points whose final gradient norm is below a number, in percent."""
    tolerance = study.metadata["settings"]["lbfgs"]["gradient_tolerance"]
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    for start in STARTS:
        _share(axes, np.maximum(study.samples[start].gradient_norm, SMALLEST), start)
    low, high = axes.get_xlim()  # at least a decade, so that it has labels
    axes.set_xlim(min(low, 0.08 * tolerance), max(high, 1.5 * tolerance))
    axes.axvline(tolerance, color=style.GREY, linewidth=0.7, linestyle="--")
    axes.annotate(
        "tolerance",
        (tolerance, 0.02),
        xycoords=("data", "axes fraction"),
        rotation=90,
        xytext=(-1.5, 0),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=5,
        color=style.GREY,
    )
    axes.set_xlabel(r"final $\max|\nabla J_f|$")
    axes.set_ylabel("points, %")


def _share(axes: Axes, values: Float[np.ndarray, " points"], start: str) -> None:
    color, line, _ = LINES["lbfgs", start]
    ordered = np.sort(values[np.isfinite(values)])
    share = 100 * np.arange(1, len(ordered) + 1) / len(values)
    axes.step(ordered, share, where="post", color=color, linestyle=line)
    axes.set_ylim(-3, 103)


def _training(axes: Axes, study: Study, history: pd.DataFrame) -> None:
    """The amortization gap and the gradient norm at the start, while the cell was trained."""
    axes.set_yscale("log")
    for column, color, marker, label in (
        ("start_gradient_norm_mean", style.VERMILLION, "o", r"$\max|\nabla J_f(\tilde{x})|$"),
        ("amortization_gap_mean", style.BLACK, "s", r"$J_f(\tilde{x}) - J_f(\hat{x})$"),
    ):
        values = by_seed(history, column)
        for number, seed in enumerate(values.columns):
            axes.plot(
                values.index,
                values[seed].where(values[seed] > 0),
                color=color,
                marker=marker,
                markersize=1.5,
                linewidth=0.8,
                label=label if not number else None,
            )
    axes.axhline(
        study.metadata["settings"]["lbfgs"]["gradient_tolerance"],
        color=style.GREY,
        linewidth=0.7,
        linestyle="--",
    )
    style.step_axis(axes)
    axes.set_ylabel(r"at the start $\tilde{x}(y)$, mean")
    axes.legend(loc="best")


def write(studies: Sequence[Path], histories: Sequence[Path], pdf: Path, png: Path) -> None:
    """Draw studies, and write the figure.

    Args:
        studies: .safetensors of each, by dimension.
        histories: history.csv of each.
        pdf: figure to write.
        png: the same to write.

    Raises:
        InputError: a file cannot be used.
    """
    if len(studies) != len(histories):
        raise InputError("expected as many --studies and --histories")
    found: list[Any] = [read(path) for path in studies]
    training = [read_history(path, COLUMNS) for path in histories]
    with style.style():
        style.save(draw(found, training), pdf, png)
    log.info("%s, %s: written", pdf, png)

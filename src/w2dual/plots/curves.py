"""Training curves of one cell: its errors both ways and the dual objective against the step.

The error is L2-UVP where the optimal map is known, else the squared W2 distance between moved
samples and samples of the measure aimed at.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from w2dual.config.names import cell_method_words, made_here, potential_words, words
from w2dual.plots import style
from w2dual.records import InputError, read_json
from w2dual.results import aggregate, celeba64, lagrangian, measured
from w2dual.results.frames import read_csv
from w2dual.results.measured.base import Curves, Measured
from w2dual.results.measured.hd import MEASURED as HD
from w2dual.results.published import published_cells

log = logging.getLogger(__name__)

OBJECTIVE = "dual_objective"
"""Column of the history that a method without conjugates does not have."""
PUBLISHED_LIMIT = 100.0  # percent; the paper prints no value above it
# Beyond this ratio of largest to typical |objective|, a linear axis shows the blow-up only.
BLOW_UP = 30.0


def errors_of(record: Any, path: Path) -> tuple[Measured, Curves]:
    """Return what the cell of a metrics record is measured by, and which errors are drawn.

    Raises:
        InputError: the record names no headline, or one that is not drawn; the message names
            `path`.
    """
    headline = record.get("headline") if isinstance(record, Mapping) else None
    column = headline.get("column") if isinstance(headline, Mapping) else None
    known = measured.headlines()
    by = measured.of(known[column]) if column in known else None
    if by is None or by.curves is None:
        raise InputError(
            f"{path}: headline.column is {column!r}, expected one of {', '.join(known)}"
        )
    return by, by.curves


def read_history(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read the history of a cell's training, which must have `columns`.

    Raises:
        InputError: the file is missing, unreadable, lacks a column or has no row.
    """
    frame = read_csv(path, columns)
    if frame.empty:
        raise InputError(f"{path}: has no rows; the history needs at least step 0")
    return frame


def by_seed(history: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one quantity as a table, step by seed; a field that is absent or infinite is NaN."""
    table = history.pivot_table(index="step", columns="seed", values=column, dropna=False)
    return table.astype(float).replace([np.inf, -np.inf], np.nan).sort_index()


def common_mean(values: pd.DataFrame) -> pd.Series:
    """Average over seeds, at the steps only where every seed has a value.

    Where a seed has diverged, the mean of the others would look like a result.
    """
    return values.mean(axis="columns").where(values.notna().all(axis="columns")).dropna()


def draw(
    record: Mapping[str, Any],
    errors: Curves,
    history: pd.DataFrame,
    published: Mapping[str, Any] | None,
) -> Figure:
    """Draw the training curves of a cell.

    Args:
        record: the cell's metrics record.
        errors: which are drawn.
        history: a row for each seed and evaluation.
        published: the paper's `mean` and `diverged` of this cell, or None where it has none.
    """
    heading = title(record["cell"])
    more = 0.12 * heading.count("\n")
    height = 2.0 + more
    figure = Figure(figsize=(style.COLUMN_WIDTH_IN, height))
    # Fixed margins, so that the panels of a page of figures line up.
    margins = {"left": 0.125, "right": 0.985, "wspace": 0.44}
    margins |= {"bottom": 0.52 / height, "top": 1 - (0.34 + more) / height}
    left, right = figure.subplots(1, 2, gridspec_kw=margins)
    diverged = {s["seed"] for s in record["seeds"] if s["status"] == "diverged"}
    for column, colour, label in (
        (errors.inverse, style.VERMILLION, errors.labels[1]),
        (errors.forward, style.BLUE, errors.labels[0]),
    ):
        values = by_seed(history, column)
        _lines(left, values.where(values > 0), colour, label, diverged)
    _published_line(left, published)
    if errors.floors is not None:
        _final(left, record, errors, errors.floors)
    _log_axis(left)
    left.set_ylabel(errors.label)
    if OBJECTIVE in history:
        _lines(right, by_seed(history, OBJECTIVE), style.GREEN, "", diverged)
        _objective_axis(right, by_seed(history, OBJECTIVE))
    else:
        right.set_yticks([])
        words = "this method has none"
        right.text(0.5, 0.5, words, transform=right.transAxes, ha="center", color=style.GREY)
    right.set_ylabel(r"dual objective")
    for axes in (left, right):
        style.step_axis(axes)
        last = max(float(s["steps"]) for s in record["seeds"])
        axes.set_xlim(-0.02 * last, 1.04 * max(last, float(history["step"].max()), 1.0))
    handles, labels = left.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] != errors.labels[0])
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - (0.12 + more) / height),
        ncols=len(order),
        columnspacing=1.5,
    )
    figure.suptitle(heading, y=1 - 0.03 / height)
    figure.supxlabel(footnote(record, errors), y=0.02 / height, fontsize=5.0, color=style.GREY)
    return figure


def title(cell: Mapping[str, Any]) -> str:
    """Name a cell in words, as in "Cycle + L-BFGS; MLP potential, n = 2".

    On the plane the pair comes first, and the method stands in a line of its own.
    """
    method = cell_method_words(cell)
    potential = potential_words(cell["potential"])
    if cell["pair"] == f"hd{cell['dimension']}":
        return f"{method}; {potential}, n = {cell['dimension']}"
    own = cell.get("name", "").startswith(lagrangian.PREFIX)
    pair = words(lagrangian.setting_of(cell["name"]) if own else cell["pair"])
    return f"{pair[:1].upper()}{pair[1:]}; {potential}\n{method}"


def footnote(record: Mapping[str, Any], errors: Curves) -> str:
    """Say what lines are, which seeds diverged, and what keeps the numbers from being the paper's.

    One line each, so that no figure of the usual width cuts them off.
    """
    seeds = record["seeds"]
    diverged = [s for s in seeds if s["status"] == "diverged"]
    many = len(seeds) > 1
    lines = [f"thin: each of {len(seeds)} seeds; thick: mean while all run" if many else "one seed"]
    if diverged:
        lines[0] += f"; ×: diverged ({len(diverged)} of {len(seeds)})"
    marks = []
    if errors.floors is not None:
        samples = record["cell"]["settings"]["evaluation"]
        marks.append(
            f"curves: {samples['history_samples']:,} samples; dots and floors: "
            f"{samples['samples']:,}"
        )
    if record["preset"]["reduced"]:
        marks.append(f"reduced budget: preset {record['preset']['name']}")
    marks += filter(None, [made_here([record["measures"]["source"]])])
    if marks:
        lines.append("; ".join(marks).replace("$", r"\$"))
    return "\n".join(lines)


def _lines(axes: Axes, values: pd.DataFrame, colour: str, label: str, diverged: set[int]) -> None:
    for seed in values.columns:
        line = values[seed].dropna()
        axes.plot(line.index, line.to_numpy(), color=colour, linewidth=0.5, alpha=0.45)
        if seed in diverged and not line.empty:
            last = line.index[-1], float(line.iloc[-1])
            axes.plot(*last, "x", color=style.BLACK, markersize=4, markeredgewidth=0.9, zorder=5)
    mean = common_mean(values)
    marker = "." if len(mean) < 3 else ""
    axes.plot(mean.index, mean.to_numpy(), color=colour, marker=marker, label=label)


def _published_line(axes: Axes, published: Mapping[str, Any] | None) -> None:
    if published is None:
        return
    beyond = bool(published["diverged"])
    value = PUBLISHED_LIMIT if beyond else float(published["mean"])
    label = f"forward in the paper: {'>' if beyond else ''}{value:g}"
    axes.axhline(value, color=style.BLACK, linestyle="--", linewidth=0.7, label=label)


def _final(axes: Axes, record: Mapping[str, Any], errors: Curves, floors: tuple[str, str]) -> None:
    """Draw the final evaluation: floors as dashed lines and, where all seeds ran, errors as dots.

    Its samples are more than the curves', and the fewer they are, the higher are error and floor.
    """
    seeds = record["seeds"]
    last = max(float(seed["steps"]) for seed in seeds)
    label = "floor: two fresh sample sets"
    for column, floor, colour in (
        (errors.forward, floors[0], style.BLUE),
        (errors.inverse, floors[1], style.VERMILLION),
    ):
        known = [seed[floor] for seed in seeds if seed[floor] is not None]
        if known:
            value = float(np.mean(known))
            axes.axhline(value, color=colour, linestyle="--", linewidth=0.7, label=label)
            label = "_"
        reached = [seed[column] for seed in seeds]
        if all(value is not None and value > 0 for value in reached):
            axes.plot(last, np.mean(reached), "o", color=colour, markersize=2.5, clip_on=False)


def _log_axis(axes: Axes) -> None:
    """Plain numbers at powers of ten, and at 2 and 5 between where few powers are in view."""
    axes.set_yscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(plain)
    low, high = axes.get_ylim()
    if math.log10(high / low) < 2:
        axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
        axes.yaxis.set_minor_formatter(plain)
    else:
        axes.yaxis.set_minor_formatter(NullFormatter())


def _objective_axis(axes: Axes, values: pd.DataFrame) -> None:
    sizes = np.abs(values.to_numpy(dtype=float))
    sizes = sizes[np.isfinite(sizes)]
    typical = float(np.median(sizes)) if sizes.size else 1.0
    if sizes.size and typical > 0 and sizes.max() > BLOW_UP * typical:
        axes.set_yscale("symlog", linthresh=10.0 ** math.ceil(math.log10(typical)))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))


def published_value(folder: Path, cell: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the paper's mean of a cell, and whether it printed >100; None where it lacks the cell.

    Raises:
        InputError: the folder of published values is missing or a file in it is unreadable.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of published values")
    frame = published_cells(folder, cell["potential"])
    found = frame[
        (frame["amortization"] == cell["amortization"])
        & (frame["solver"] == cell["solver"])
        & (frame["dimension"] == cell["dimension"])
    ]
    if cell.get("pair", "").startswith(celeba64.PREFIX):
        found = celeba64.published_cell(folder, cell)
    if found.empty:
        return None
    return {"mean": float(found["mean"].iloc[0]), "diverged": bool(found["diverged"].iloc[0])}


def write(metrics: Path, history: Path, published: Path, pdf: Path, png: Path) -> None:
    """Draw the training curves of a cell, and write the figure.

    Args:
        metrics: metrics.json of the cell.
        history: history.csv of the cell.
        published: folder of the published values.
        pdf: figure to write.
        png: the same to write.

    Raises:
        InputError: a file cannot be used.
    """
    record = read_json(metrics)
    by, errors = errors_of(record, metrics)
    aggregate.rows_of_cell(record, metrics, by)
    rows = read_history(history, errors.columns)
    value = published_value(published, record["cell"]) if by is HD else None
    with style.style():
        style.save(draw(record, errors, rows, value), pdf, png)
    log.info("%s, %s: written", pdf, png)

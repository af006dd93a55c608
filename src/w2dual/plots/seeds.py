"""L2-UVP of the HD cells seed by seed: how far the seeds of a cell lie apart.

A panel for each dimension, a line for each method, the potentials below one another in it. A seed
that diverged, or whose value is beyond the table's limit, stands at the right edge, hollow.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from w2dual.config.names import method_words, potential_words
from w2dual.plots import style
from w2dual.plots.cells import Cells
from w2dual.results.summary import METRIC, seeds_in_words

WIDTH_IN = 6.9
LINE_IN = 0.2
MOST_ACROSS = 4
COLOURS = (style.BLACK, style.VERMILLION, style.BLUE, style.GREEN)
"""Of potentials, by their place in the config; then again from the first."""
EDGE = 0.965
"""Where marks at the right edge stand, as a fraction of the axes."""


def over_seeds(cells: Cells) -> Figure:
    """Draw the L2-UVP of each seed, a panel for each dimension, and the median of each cell."""
    dimensions, methods = cells.settings.dimensions, cells.settings.methods
    across = min(len(dimensions), MOST_ACROSS)
    down = math.ceil(len(dimensions) / across)
    height = (LINE_IN * len(methods) + 0.5) * down + 0.45
    figure = Figure(figsize=(WIDTH_IN if across > 1 else 4.6, height), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    panels = list(grid.flat)
    runs = _runs(cells)
    for number, (n, axes) in enumerate(zip(dimensions, panels, strict=False)):
        _panel(axes, cells, runs[runs["dimension"] == n])
        axes.set_title(f"n = {n}")
        axes.set_xlabel("L²-UVP (%)" if number + across >= len(dimensions) else "")
        axes.set_ylabel("")
        axes.tick_params(axis="y", length=0)
    for axes in panels[len(dimensions) :]:
        axes.remove()
    _legend(figure, cells, bool(runs["failed"].any()))
    note = f"a mark for each of {seeds_in_words(cells.settings)}; {cells.origin}"
    figure.supxlabel(note, fontsize=5, color=style.GREY)
    return figure


def _runs(cells: Cells) -> pd.DataFrame:
    """Return a row for each seed: its method in words, its value, and whether it failed."""
    shown = cells.runs[cells.runs["potential"].isin(cells.potentials)]
    value = shown[METRIC].astype(float)
    fine = (shown["status"] == "finished") & (value > 0) & (value <= cells.settings.diverged_above)
    pairs = zip(shown["amortization"], shown["solver"], strict=True)
    return shown.assign(
        method=[method_words(*pair) for pair in pairs], value=value.where(fine), failed=~fine
    )


def _panel(axes: Axes, cells: Cells, runs: pd.DataFrame) -> None:
    import seaborn as sns  # takes a second, and the other figures do without

    methods = [method_words(*method) for method in cells.settings.methods]
    common: dict[str, Any] = {"x": "value", "y": "method", "order": methods}
    common |= {"hue": "potential", "hue_order": list(cells.potentials), "palette": _palette(cells)}
    common |= {"legend": False, "ax": axes}
    fine = runs[~runs["failed"]]
    axes.set_xscale("log")
    for potential in cells.potentials:
        mine = fine[fine["potential"] == potential]
        # No jitter: it is random, and seeds are few.
        sns.stripplot(
            mine, dodge=True, jitter=False, marker=cells.marker(potential), size=3, alpha=0.55,
            linewidth=0, **common,
        )  # fmt: skip
    if not fine.empty:
        # Taken before it is drawn: on a logarithmic axis seaborn takes it of logarithms.
        median = fine.groupby(["method", "potential"])["value"].median().reset_index()
        common["dodge"] = 0.4 if len(cells.potentials) > 1 else False
        sns.pointplot(
            median, errorbar=None, linestyle="none", marker="|", markersize=6,
            markeredgewidth=1.0, **common,
        )  # fmt: skip
    values = fine["value"]
    low, high = (values.min(), values.max()) if len(values) else (1.0, 10.0)
    decades = max(math.log10(high / low), 0.5)
    axes.set_xlim(low / 10 ** (0.08 * decades), high * 10 ** (0.25 * decades))
    axes.set_ylim(len(methods) - 0.5, -0.5)
    style.plain_log(axes, "x")
    _failed(axes, cells, runs[runs["failed"]], methods)


def _failed(axes: Axes, cells: Cells, failed: pd.DataFrame, methods: list[str]) -> None:
    """Mark seeds that failed at the right edge, and say how many they are."""
    apart = 0.8 / len(cells.potentials)
    palette = _palette(cells)
    for (method, potential), group in failed.groupby(["method", "potential"], sort=False):
        place = cells.potentials.index(str(potential))
        y = methods.index(str(method)) + (place + 0.5) * apart - 0.4
        axes.plot(
            [EDGE],
            [y],
            transform=axes.get_yaxis_transform(),
            marker=cells.marker(str(potential)),
            color=palette[str(potential)],
            markerfacecolor="none",
            markersize=3,
            markeredgewidth=0.8,
            linestyle="none",
        )
        axes.annotate(
            f"{len(group)}",
            (EDGE, y),
            xycoords=axes.get_yaxis_transform(),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=5,
            color=palette[str(potential)],
        )


def _palette(cells: Cells) -> dict[str, str]:
    return {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(cells.potentials)}


def _legend(figure: Figure, cells: Cells, failed: bool) -> None:
    handles = [
        Line2D(
            [], [], color=colour, marker=cells.marker(name), markersize=3, linestyle="none",
            label=f"a seed, {potential_words(name)}",
        )
        for name, colour in _palette(cells).items()
    ]  # fmt: skip
    handles.append(
        Line2D(
            [],
            [],
            color=style.GREY,
            marker="|",
            linestyle="none",
            label="median of the filled marks",
        )
    )
    if failed:
        limit = f"{cells.settings.diverged_above:g}"
        handles.append(
            Line2D(
                [], [], color=style.GREY, marker="o", markersize=3, markerfacecolor="none",
                linestyle="none", label=f"right edge: seeds above {limit} % or diverged",
            )
        )  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))

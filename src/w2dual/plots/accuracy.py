"""L2-UVP of the HD cells against training time, against dimension, or seed by seed.

A colour for each method and a marker for each potential, the same in both figures. A cell whose
mean is beyond the table's limit, or of which a seed diverged, stands at the upper edge, hollow.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from w2dual.config.names import method_words, own_method_words, potential_words
from w2dual.plots import style
from w2dual.plots.cells import Cells, gather, native_cells
from w2dual.plots.seeds import over_seeds
from w2dual.results import aggregate
from w2dual.results.summary import TableSettings

log = logging.getLogger(__name__)

WIDTH_IN = 6.9
ROW_IN = 1.75
MOST_ACROSS = 4
EDGE = 0.955
"""Height of marks at the upper edge, as a fraction of the axes."""
STEP, APART = 0.055, 0.05
"""How far marks that would overlap are set below one another, and when they would."""


def against_cost(cells: Cells) -> Figure:
    """Draw L2-UVP against the seconds of training of one seed, a panel for each dimension."""
    dimensions = cells.settings.dimensions
    across = min(len(dimensions), MOST_ACROSS)
    down = math.ceil(len(dimensions) / across)
    figure, panels = _panels(cells, down, across, ROW_IN if len(dimensions) > 1 else 2.6)
    for n, axes in zip(dimensions, panels, strict=False):
        mine = cells.frame[cells.frame["dimension"] == n]
        fine = mine[~mine["above_limit"]]
        for row in fine.to_dict("records"):
            _mark(axes, cells, row, row["seconds"])
        for row, height in _stacked(mine[mine["above_limit"]], mine["seconds"]):
            _mark(axes, cells, row, row["seconds"], height)
        shown = [mine["mean"], cells.baselines[cells.baselines.index == n]]
        shown.append(_name_native(axes, cells, n))
        if n in cells.baselines.index:
            axes.axhline(cells.baselines[n], color=style.GREY, linestyle=":", linewidth=0.8)
        axes.set_title(f"n = {n}")
        axes.set_xscale("log")
        _finish(axes, pd.concat(shown))
        style.plain_log(axes, "x")
    for axes in panels[len(dimensions) :]:
        axes.remove()
    for number, axes in enumerate(panels[: len(dimensions)]):
        if number % across == 0:
            axes.set_ylabel("L²-UVP (%)")
        if number + across >= len(dimensions):
            axes.set_xlabel("training of one seed (s)")
    _legend(figure, cells, name_native=True)
    return figure


def against_dimension(cells: Cells) -> Figure:
    """Draw L2-UVP against the dimension, a panel for each potential; the paper's values dashed."""
    across = min(len(cells.potentials), 2)
    down = math.ceil(len(cells.potentials) / across)
    figure, panels = _panels(cells, down, across, 2.9)
    dimensions = cells.settings.dimensions
    for potential, axes in zip(cells.potentials, panels, strict=False):
        mine = cells.frame[cells.frame["potential"] == potential]
        for place, method in enumerate(cells.settings.methods):
            line = mine[(mine["amortization"] == method[0]) & (mine["solver"] == method[1])]
            # Side by side, or marks of one dimension hide one another.
            shift = 2.0 ** (0.5 * ((place + 0.5) / len(cells.settings.methods) - 0.5))
            colour = cells.colour(method)
            fine = line["mean"].where(~line["above_limit"])  # a gap where a cell failed
            axes.plot(line["dimension"] * shift, fine, color=colour, linewidth=0.9)
            for row in line.to_dict("records"):
                _mark(axes, cells, row, row["dimension"] * shift)
            known = line["published_mean"].astype(float)
            axes.plot(
                line["dimension"] * shift,
                known.where(line["published_diverged"].eq(False)),  # None: no value
                color=colour,
                linestyle=(0, (3, 2)),
                linewidth=0.8,
                marker="_",
                markersize=5,
            )
        quoted = cells.baselines[cells.baselines.index.isin(dimensions)]
        axes.plot(
            quoted.index, quoted, color=style.GREY, linestyle=":", linewidth=0.8, marker="x",
            markersize=3,
        )  # fmt: skip
        axes.set_title(potential_words(potential))
        axes.set_xscale("log", base=2)
        axes.set_xticks(dimensions, [str(n) for n in dimensions])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(min(dimensions) / 1.5, max(dimensions) * 1.5)
        axes.set_xlabel("dimension n")
        shown = [mine["mean"], mine["published_mean"].astype(float), quoted]
        _finish(axes, pd.concat(shown))
    for axes in panels[len(cells.potentials) :]:
        axes.remove()
    for axes in panels[::across]:
        axes.set_ylabel("L²-UVP (%)")
    paper = Line2D([], [], color=style.BLACK, linestyle=(0, (3, 2)), marker="_", linewidth=0.8)
    _legend(figure, cells, (paper, "the paper's value"))
    return figure


FIGURES: dict[str, Callable[[Cells], Figure]] = {
    "accuracy_vs_cost": against_cost,
    "accuracy_vs_dimension": against_dimension,
    "accuracy_over_seeds": over_seeds,
}
"""By name."""


def _panels(cells: Cells, down: int, across: int, row_in: float) -> tuple[Figure, list[Axes]]:
    """Make a figure with room for the legend above and the footnote below."""
    entries = len(cells.settings.methods) + len(cells.potentials) + 3
    legend_in = 0.12 * math.ceil(entries / (4 if across > 1 else 3)) + 0.04
    height = down * row_in + legend_in + 0.25
    width = WIDTH_IN if across > 1 else 4.6
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(
        down,
        across,
        squeeze=False,
        gridspec_kw={
            "left": 0.5 / width,
            "right": 1 - 0.1 / width,
            "bottom": 0.5 / height,
            "top": 1 - (legend_in + 0.22) / height,
            "wspace": 0.25,
            "hspace": 0.5,
        },
    )
    figure.text(
        0.5, 0.04 / height, cells.footnote, ha="center", va="bottom", fontsize=5, color=style.GREY
    )
    return figure, list(axes.flat)


def _stacked(failed: pd.DataFrame, seconds: pd.Series) -> list[tuple[dict[Any, Any], float]]:
    """Return failed cells with their heights: below one another where they would overlap."""
    width = max(math.log10(seconds.max() / seconds.min()), 0.1) if len(seconds) else 0.1
    found: list[tuple[dict[Any, Any], float]] = []
    placed: list[tuple[float, float]] = []
    for row in failed.sort_values("seconds").to_dict("records"):
        x, height = math.log10(row["seconds"]) / width, EDGE
        while any(abs(x - other) < APART and height == taken for other, taken in placed):
            height = round(height - STEP, 3)
        placed.append((x, height))
        found.append((row, height))
    return found


def _mark(axes: Axes, cells: Cells, row: dict[Any, Any], x: float, height: float = EDGE) -> None:
    """Draw one cell; beyond the limit or diverged at the upper edge, hollow."""
    colour = cells.colour((row["amortization"], row["solver"]))
    shape: dict[str, Any] = {"marker": cells.marker(row["potential"]), "markersize": 3.6}
    if row["above_limit"]:
        axes.plot(
            [x],
            [height],
            transform=axes.get_xaxis_transform(),
            color=colour,
            markerfacecolor="none",
            markeredgewidth=0.9,
            linestyle="none",
            zorder=4,
            **shape,
        )
        return
    spread = row["std"] if row["std"] > 0 else None
    if spread is not None:  # downward no further than the logarithmic axis goes
        low = min(spread, 0.9 * row["mean"])
        axes.errorbar(
            [x], [row["mean"]], [[low], [spread]], color=colour, elinewidth=0.6, linestyle="none"
        )
    axes.plot([x], [row["mean"]], color=colour, markeredgewidth=0, linestyle="none", **shape)


def _name_native(axes: Axes, cells: Cells, n: int) -> pd.Series:
    """Draw the benchmark's own methods of a dimension by their names; return their means."""
    mine = cells.native[cells.native["dimension"] == n]
    limit = cells.settings.diverged_above
    for row in mine.to_dict("records"):
        fine = row["mean"] <= limit
        axes.text(
            row["seconds"],
            row["mean"] if fine else EDGE,
            own_method_words(row["method"], row["solver"]),
            transform=axes.transData if fine else axes.get_xaxis_transform(),
            color=style.GREY,
            fontsize=4.5,
            fontstyle="normal" if fine else "italic",
            ha="center",
            va="center" if fine else "top",
        )
        axes.plot([row["seconds"]], [row["mean"] if fine else limit], alpha=0.0)  # for the limits
    return mine["mean"].astype(float)


def _finish(axes: Axes, shown: pd.Series) -> None:
    """Scale the vertical axis to what is shown, with room at the top for cells beyond the limit."""
    axes.set_yscale("log")
    values = shown[(shown > 0) & (shown <= 100)]
    low, high = (values.min(), values.max()) if len(values) else (1.0, 10.0)
    decades = max(math.log10(high / low), 0.5)
    axes.set_ylim(low / 10 ** (0.12 * decades), high * 10 ** (0.32 * decades))
    axes.margins(x=0.12)
    style.plain_log(axes, "y")


def _legend(
    figure: Figure,
    cells: Cells,
    line: tuple[Line2D, str] | None = None,
    name_native: bool = False,
) -> None:
    """Name methods by colour, potentials by marker, and what the other marks are."""
    handles: list[tuple[Line2D, str]] = [
        (Line2D([], [], color=cells.colour(method), linewidth=2), method_words(*method))
        for method in cells.settings.methods
    ]
    handles += [
        (_dot(cells.marker(name), filled=True), potential_words(name)) for name in cells.potentials
    ]
    at_edge = f"top edge: above {cells.settings.diverged_above:g} % or diverged"
    cells_above = bool(cells.frame["above_limit"].any())
    if cells_above:
        handles.append((_dot("o", filled=False), at_edge))
    if line is not None:
        handles.append(line)
    native = cells.native[cells.native["dimension"].isin(cells.settings.dimensions)]
    if name_native and len(native):
        fine = (native["mean"] <= cells.settings.diverged_above).all()
        text = "the benchmark's own methods, by name"
        text += "" if fine or cells_above else f"\n({at_edge})"
        named = Line2D([], [], color=style.GREY, marker="$W2$", markersize=9, linestyle="none")
        handles.append((named, text))
    if cells.baselines.index.isin(cells.settings.dimensions).any():
        dotted = Line2D([], [], color=style.GREY, linestyle=":", linewidth=0.8)
        handles.append((dotted, "best quoted baseline"))
    figure.legend(
        [handle for handle, _ in handles],
        [label for _, label in handles],
        loc="upper center",
        ncols=4 if figure.get_figwidth() > 5 else 3,
        columnspacing=1.5,
        borderaxespad=0.3,
    )


def _dot(marker: str, *, filled: bool) -> Line2D:
    face = style.GREY if filled else "none"
    return Line2D(
        [], [], color=style.GREY, marker=marker, markersize=3.6, markerfacecolor=face,
        linestyle="none",
    )  # fmt: skip


def write(
    name: str,
    metrics: Sequence[Path],
    potentials: Sequence[str],
    published: Path,
    settings: TableSettings,
    pdf: Path,
    png: Path,
    native: Path | None = None,
) -> None:
    """Draw one figure, and write it.

    Args:
        name: of the figure, a key of `FIGURES`.
        metrics: tidy metrics of the HD cells.
        potentials: their names, in order.
        published: folder of the published values.
        settings: what the config says.
        pdf: figure to write.
        png: the same to write.
        native: tidy metrics of the benchmark's own methods, for the figure of costs.

    Raises:
        InputError: the metrics cannot be used.
    """
    frame = pd.concat([aggregate.read(path) for path in metrics], ignore_index=True)
    cells = gather(frame, potentials, published, settings)
    if native is not None:
        cells = replace(cells, native=native_cells(aggregate.read(native)))
    with style.style():
        style.save(FIGURES[name](cells), pdf, png)
    log.info("%s, %s: written", pdf, png)

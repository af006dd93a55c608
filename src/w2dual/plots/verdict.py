"""The verdict as a picture: a coloured field with its word for each published cell."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from w2dual.config.names import method_words, potential_words
from w2dual.plots import style
from w2dual.results.verdict import (
    BETTER,
    DIVERGED,
    INCONCLUSIVE,
    MISSING,
    REPRODUCED,
    WORDS,
    WORSE,
    read,
)

log = logging.getLogger(__name__)

# Okabe and Ito's colours as fields, with ink that reads on them; the word stands in each field, so
# that no one depends on colour, and a printer without it loses nothing.
FIELDS = {
    REPRODUCED: (style.BLUE, "white", None),
    DIVERGED: ("#56B4E9", "black", None),
    BETTER: (style.GREEN, "white", None),
    WORSE: (style.VERMILLION, "white", None),
    INCONCLUSIVE: ("#d9d9d9", "black", None),
    MISSING: ("white", style.GREY, "////"),
}
SHORT = {DIVERGED: "diverged\nas published"}
WIDTH_IN = 7.0
ROW_IN = 0.27


def draw(judged: pd.DataFrame) -> Figure:
    """Draw the verdict of all published cells, potential by potential.

    Args:
        judged: as `verdict.judge` returns it.
    """
    potentials = list(dict.fromkeys(judged["potential"]))
    dimensions = sorted(set(judged["dimension"]))
    methods = {
        name: list(dict.fromkeys(zip(part["amortization"], part["solver"], strict=True)))
        for name, part in judged.groupby("potential", sort=False)
    }
    rows = [len(methods[name]) for name in potentials]
    height = ROW_IN * sum(rows) + 0.42 * len(potentials) + 0.5
    figure = Figure(figsize=(WIDTH_IN, height))
    panels = figure.subplots(
        len(potentials),
        1,
        squeeze=False,
        gridspec_kw={
            "left": 0.19,
            "right": 0.995,
            "top": 1 - 0.3 / height,
            "bottom": 0.32 / height,
            "hspace": 0.42 / ROW_IN / (sum(rows) / len(rows)),
            "height_ratios": rows,
        },
    )[:, 0]
    for axes, name in zip(panels, potentials, strict=True):
        _panel(axes, judged[judged["potential"] == name], methods[name], dimensions)
        axes.set_title(potential_words(name), loc="left", pad=12)
    present = [word for word in WORDS if (judged["verdict"] == word).any()]
    figure.legend(
        handles=[_patch(word) for word in present],
        loc="lower center",
        bbox_to_anchor=(0.5, 0.05 / height),
        ncols=len(present),
        columnspacing=1.4,
    )
    if bool(judged["reduced"].any()):
        mark = f"reduced budget: preset {judged['preset'].iloc[0]}"
        style.foot(figure, mark)
    return figure


def _patch(word: str) -> Patch:
    colour, _, hatch = FIELDS[word]
    number = {"facecolor": colour, "hatch": hatch, "edgecolor": "#999999", "linewidth": 0.4}
    return Patch(label=word, **number)


def _panel(
    axes: Axes, part: pd.DataFrame, methods: Sequence[tuple[Any, Any]], dimensions: Sequence[int]
) -> None:
    found = {
        ((row["amortization"], row["solver"]), row["dimension"]): row["verdict"]
        for row in part.to_dict("records")
    }
    for line, method in enumerate(methods):
        for column, dimension in enumerate(dimensions):
            word = found.get((method, dimension))
            if word is None:
                continue
            colour, ink, hatch = FIELDS[word]
            axes.add_patch(
                Rectangle(
                    (column, line),
                    1,
                    1,
                    facecolor=colour,
                    edgecolor="#bbbbbb" if hatch else "white",
                    hatch=hatch,
                    linewidth=0.8,
                )
            )
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6} if hatch else None
            axes.text(
                column + 0.5,
                line + 0.5,
                SHORT.get(str(word), str(word)),
                ha="center",
                va="center",
                color=ink,
                fontsize=5.6,
                linespacing=0.95,
                bbox=box,
            )
    axes.set_xlim(0, len(dimensions))
    axes.set_ylim(len(methods), 0)
    axes.set_xticks([n + 0.5 for n in range(len(dimensions))], [f"n = {n}" for n in dimensions])
    axes.set_yticks([n + 0.5 for n in range(len(methods))], [method_words(*m) for m in methods])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def write(verdict: Path, pdf: Path, png: Path) -> None:
    """Draw the verdict, and write the figure.

    Raises:
        InputError: its .csv cannot be used.
    """
    judged = read(verdict)
    with style.style():
        style.save(draw(judged), pdf, png)
    log.info("%s, %s: written", pdf, png)

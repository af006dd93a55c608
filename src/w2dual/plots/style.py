"""The one look of all figures: colours, sizes, and files that do not change from run to run."""

from __future__ import annotations

import logging
import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from w2dual import environment
from w2dual.records import atomic_path

COLUMN_WIDTH_IN = 3.4
PNG_DPI = 200

# Okabe and Ito's colours, told apart with every common colour-vision deficiency.
BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
BLACK = "#000000"
GREY = "#666666"

_RC: dict[Any, Any] = {
    "backend": "agg",
    "interactive": False,
    "timezone": "UTC",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so all machines draw the same
    "font.size": 6.5,
    "axes.titlesize": 7.0,
    "axes.labelsize": 6.5,
    "xtick.labelsize": 6.0,
    "ytick.labelsize": 6.0,
    "legend.fontsize": 5.5,
    "figure.titlesize": 7.5,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.3,
    "grid.color": "#dddddd",
    "lines.linewidth": 1.2,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "ytick.minor.size": 1.2,
    "ytick.minor.width": 0.4,
    "legend.frameon": True,
    "legend.framealpha": 0.8,
    "legend.edgecolor": "none",
    "legend.handlelength": 1.8,
    "legend.borderpad": 0.2,
    "legend.labelspacing": 0.25,
    "pdf.fonttype": 42,
    "text.usetex": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in this style and from matplotlib's own defaults, whatever the user's settings say."""
    for chatty in ("fontTools", "matplotlib.mathtext"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        for name, value in _RC.items():
            matplotlib.rcParams[name] = value
        yield


FOOT_PT, LINE_IN = 5.0, 0.09
"""Size of what is said at a figure's foot, and the height of a line of it."""
_LETTERS_PER_IN = 24


def foot(figure: Figure, text: str) -> None:
    """Say something in small type at the foot of a figure: below it, what is more than a line."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(text, int(_LETTERS_PER_IN * width), break_long_words=False)
    low = 0.002 - (len(lines) - 1) * LINE_IN / height
    figure.text(
        *(0.995, low, "\n".join(lines)),
        ha="right",
        va="bottom",
        fontsize=FOOT_PT,
        linespacing=1.2,
        color=GREY,
    )


def save(figure: Figure, pdf: Path, png: Path) -> None:
    """Write a figure as vector PDF and as PNG; the same figure gives the same bytes."""
    # matplotlib reads the variable even where no date is asked for.
    undated = environment.without("SOURCE_DATE_EPOCH")
    width, height = figure.get_size_inches()
    low = min([0.0, *(text.get_position()[1] for text in figure.texts)])
    page = Bbox([[0.0, low * height], [width, height]]) if low < 0 else None
    with undated, atomic_path(pdf) as vector, atomic_path(png) as raster:
        figure.savefig(
            vector,
            format="pdf",
            bbox_inches=page,
            metadata={"CreationDate": None, "Creator": None, "Producer": None},
        )
        figure.savefig(
            raster, format="png", dpi=PNG_DPI, bbox_inches=page, metadata={"Software": None}
        )


def step_axis(axes: Axes) -> None:
    """Label an axis of training steps: few round numbers, thousands as k."""
    axes.set_xlabel("training step")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: thousands(step)))


def thousands(step: float) -> str:
    """Return a step count in few characters: 500, 1.5k, 250k."""
    return f"{step:g}" if abs(step) < 1000 else f"{step / 1000:g}k"


def plain_log(axes: Axes, which: str) -> None:
    """Plain numbers at powers of ten, and at 2 and 5 between where few powers are in view."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(plain)
    decades = math.log10(high / low)
    if decades < 1.6:
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0) if decades > 0.6 else (1.5, 2, 3, 5, 7)))
        axis.set_minor_formatter(plain)
    else:
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x" if which == "x" else "y", which="minor", labelsize=5.0)

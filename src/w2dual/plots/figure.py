"""One figure of trained cells, by the module of `w2dual.plots` of its name.

A figure is a module with `draw(cells: Sequence[Trained]) -> matplotlib.figure.Figure`; one that
moves has `frames(cells) -> list[PIL.Image.Image]` and `FRAME_MS` too. One that shows some of the
cells that it is given, by their metrics, has `choose(files)`, so that no others are read. One of
cells of other methods than `dual` has `METHODS`, a tuple of their classes.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from w2dual.config.names import made_here, words
from w2dual.evaluation import trained
from w2dual.plots import style
from w2dual.records import InputError, atomic_path, read_json
from w2dual.training.methods.dual import DualProblem

log = logging.getLogger(__name__)

NAMED = 3
"""Cells with points that did not converge that a figure names; there is room for no more."""


def module_of(name: str) -> ModuleType:
    """Find the module that draws a figure.

    Raises:
        InputError: there is none.
    """
    full = f"w2dual.plots.{name}"
    if not name.isidentifier():
        raise InputError(f"figure {name!r}: expected the name of a module of w2dual.plots")
    try:
        module = importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name != full:
            raise
        raise InputError(f"figure {name!r}: there is no module {full}; add it") from error
    if not callable(getattr(module, "draw", None)):
        raise InputError(f"{full} lacks `draw(cells)`, which returns a matplotlib figure")
    return module


def mark(records: Sequence[Mapping[str, Any]]) -> str:
    """Word the budget of cells of a reduced preset, by their metrics; empty for a full one."""
    presets = {record["preset"]["name"] for record in records if record["preset"]["reduced"]}
    return f"reduced budget: preset {', '.join(sorted(presets))}" if presets else ""


def not_drawn(records: Sequence[Mapping[str, Any]]) -> str:
    """Name the cells that are not drawn, since every seed of theirs has diverged; empty for none.

    A few are named, of more there is the number, and the log has each.
    """
    names = [record["cell"]["name"] for record in records]
    if not names:
        return ""
    which = ", ".join(names) if len(names) <= NAMED else f"{len(names)} cells"
    return f"not drawn, since every seed diverged: {which}"


def _nothing(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a figure that says that there is nothing to draw."""
    figure = Figure(figsize=(style.COLUMN_WIDTH_IN, 0.6))
    names = "\n".join(record["cell"]["name"] for record in records[:NAMED])
    said = f"Nothing to draw: every seed of each cell diverged.\n{names}"
    figure.text(0.5, 0.55, said, ha="center", va="center", fontsize=6)
    return figure


def _pixels(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def not_converged(cells: Sequence[trained.Trained]) -> str:
    """Word how many of the points that a figure takes for x_hat(y) are none; empty for none.

    A few cells are named, by their pair; of more there is the sum, and the log has each.
    """
    tallies = [(words(cell.cell.pair), cell.conjugated) for cell in cells]
    lost = [(name, tally) for name, tally in tallies if tally and tally.not_converged]
    if not lost:
        return ""
    points = sum(tally.points for _, tally in tallies if tally)
    count = sum(tally.not_converged for _, tally in lost)
    parts = [
        f"{name} {tally.not_converged}" if tally.solver else f"{name} {tally.points}, a guess"
        for name, tally in lost
    ]
    where = ", ".join(parts) if len(lost) <= NAMED else f"of {len(lost)} cells"
    return f"$\\hat{{x}}(y)$ not converged: {count} of {points} points ({where})"


def _log_conjugates(cells: Sequence[trained.Trained]) -> None:
    """Say for each cell how its conjugates fared; loudly where some did not converge."""
    for cell in cells:
        tally = cell.conjugated
        if tally is not None:
            level = logging.WARNING if tally.not_converged else logging.INFO
            log.log(level, "%s: %s", cell.cell.name, tally)


def write(
    module: ModuleType,
    files: Sequence[tuple[Path, Path, Path]],
    pdf: Path | None,
    png: Path | None,
    gif: Path | None,
) -> None:
    """Draw one figure of trained cells, and write it.

    Args:
        module: as `module_of` returns it.
        files: of each cell its parameters, its metrics and its prepared pair.
        pdf: figure to write, or None.
        png: the same to write; None where `pdf` is.
        gif: the figure in motion, to write.

    Raises:
        InputError: a file cannot be used, or the figure does not move.
    """
    kinds = getattr(module, "METHODS", (DualProblem,))
    chosen = getattr(module, "choose", list)(files)
    records = [read_json(metrics) for _, metrics, _ in chosen]
    gone = [record for record in records if trained.is_lost(record)]
    cells = [
        trained.load(*paths, kinds=kinds)
        for paths, record in zip(chosen, records, strict=True)
        if record not in gone
    ]
    for record in gone:
        log.warning("%s: not drawn, since every seed diverged", record["cell"]["name"])
    with style.style():
        if pdf is not None and png is not None:
            figure = _nothing(gone) if gone and not cells else module.draw(cells)
            parts = [not_converged(cells), not_drawn(gone) if cells else "", mark(records)]
            parts.append(made_here(record["measures"]["source"] for record in records))
            if said := "; ".join(filter(None, parts)):
                style.foot(figure, said)
            style.save(figure, pdf, png)
            log.info("%s, %s: written", pdf, png)
        if gif is not None:
            if not callable(getattr(module, "frames", None)):
                name = module.__name__.rpartition(".")[2]
                raise InputError(f"figure {name!r} does not move: {module.__name__} lacks `frames`")
            still = [_pixels(_nothing(gone))] if gone and not cells else []
            first, *others = still or module.frames(cells)
            with atomic_path(gif) as partial:
                first.save(
                    partial,
                    format="GIF",
                    save_all=True,
                    append_images=others,
                    duration=module.FRAME_MS,
                    loop=0,
                )
            log.info("%s: written", gif)
    _log_conjugates(cells)

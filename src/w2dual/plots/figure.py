"""One figure of trained cells, by the module of `w2dual.plots` of its name.

A figure is a module with `draw(cells: Sequence[Trained]) -> matplotlib.figure.Figure`; one that
moves has `frames(cells) -> list[PIL.Image.Image]` and `FRAME_MS` too. One that shows some of the
cells that it is given, by their metrics, has `choose(files)`, so that no others are read. One of
cells of other methods than `dual` has `METHODS`, a tuple of their classes.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from w2dual.config.names import words
from w2dual.evaluation import trained
from w2dual.plots import style
from w2dual.records import InputError, atomic_path
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


def mark(cells: Sequence[trained.Trained]) -> str:
    """Word the budget of a reduced preset; empty for a full one."""
    presets = sorted({cell.reduced for cell in cells if cell.reduced})
    return f"reduced budget: preset {', '.join(presets)}" if presets else ""


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
    choose = getattr(module, "choose", list)
    kinds = getattr(module, "METHODS", (DualProblem,))
    cells = [trained.load(*paths, kinds=kinds) for paths in choose(files)]
    with style.style():
        if pdf is not None and png is not None:
            figure = module.draw(cells)
            if foot := "; ".join(filter(None, [not_converged(cells), mark(cells)])):
                figure.text(
                    0.995, 0.002, foot, ha="right", va="bottom", fontsize=5, color=style.GREY
                )
            style.save(figure, pdf, png)
            log.info("%s, %s: written", pdf, png)
        if gif is not None:
            if not callable(getattr(module, "frames", None)):
                name = module.__name__.rpartition(".")[2]
                raise InputError(f"figure {name!r} does not move: {module.__name__} lacks `frames`")
            first, *others = module.frames(cells)
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

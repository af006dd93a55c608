"""What maps do to images: x, T*(x), T(x) and T^-1(T*(x)), by the best and the worst method.

A block for each pair. The best method is that of the lowest mean forward L2-UVP over its seeds, the
worst that of the highest among those that still have a seed. A diverged seed counts as infinite, as
in tables; of several such methods the one with more of them is worse, then the one with the higher
mean of the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2dual.config.names import cell_method_words, words
from w2dual.evaluation.trained import Points, Trained
from w2dual.measures import SolvedPair
from w2dual.records import InputError, read_json
from w2dual.results.summary import Entry

PAGE_WIDTH_IN = 7.0
IMAGES = 8
"""Images a row."""
COLOURS = 3
_LABEL_IN, _HEAD_IN, _GAP_IN, _FOOT_IN = 1.15, 0.2, 0.06, 0.16

Strip = Float[np.ndarray, "height width colours"]


def choose(files: Sequence[tuple[Path, Path, Path]]) -> list[tuple[Path, Path, Path]]:
    """Return of each pair's cells the best and the worst, by their metrics; one of one cell.

    Of a pair of which no seed finished it is all cells, none of which is drawn.

    Args:
        files: of each cell its parameters, its metrics and its prepared pair.

    Raises:
        InputError: a record cannot be read.
    """
    by_pair: dict[str, list[tuple[_Error | None, tuple[Path, Path, Path]]]] = {}
    for paths in files:
        record = read_json(paths[1])
        by_pair.setdefault(record["cell"]["pair"], []).append((_error(record), paths))
    chosen = []
    for cells in by_pair.values():
        found = sorted((error, paths) for error, paths in cells if error is not None)
        ends = [found[0], found[-1]] if found else cells
        chosen += dict.fromkeys(paths for _, paths in ends)
    return chosen


class _Error(NamedTuple):
    """How good a cell is, in the order of its numbers.

    Attributes:
        mean: over all seeds, in percent; infinite where one has diverged.
        diverged_share: of the seeds.
        finished_mean: over those that have not, in percent.
    """

    mean: float
    diverged_share: float
    finished_mean: float


def _entries(record: Mapping[str, Any]) -> tuple[Entry, Entry]:
    """Return the forward error of a cell over all its seeds, and over those that have one."""
    column, seeds = record["headline"]["column"], record["seeds"]
    values = [math.nan if seed[column] is None else float(seed[column]) for seed in seeds]
    statuses = [str(seed["status"]) for seed in seeds]
    pairs = zip(values, statuses, strict=True)
    found = [value for value, status in pairs if status == "finished" and math.isfinite(value)]
    return Entry.of(values, statuses), Entry.of(found, ["finished"] * len(found))


def _error(record: Mapping[str, Any]) -> _Error | None:
    """Return how good a cell is; None where no seed finished with an error."""
    entry, finished = _entries(record)
    if not finished.seeds:
        return None
    return _Error(entry.mean, entry.diverged_seeds / entry.seeds, finished.mean)


def error_words(record: Mapping[str, Any]) -> str:
    """Word the forward error of a cell from its metrics, or how many of its seeds diverged."""
    entry, _ = _entries(record)
    if entry.diverged_seeds:
        return f"{entry.diverged_seeds} of {entry.seeds} seeds diverged"
    return f"{entry.mean:.3g} % forward"


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw the cells that `choose` chose, pair by pair."""
    blocks: dict[str, list[Trained]] = {}
    for cell in cells:
        blocks.setdefault(cell.cell.pair, []).append(cell)
    rows = [2 + 2 * len(block) for block in blocks.values()]
    row_in = (PAGE_WIDTH_IN - _LABEL_IN) / IMAGES
    height = sum(rows) * row_in + len(blocks) * (_HEAD_IN + _GAP_IN) + _FOOT_IN
    figure = Figure(figsize=(PAGE_WIDTH_IN, height))
    top = height
    for (pair, block), count in zip(blocks.items(), rows, strict=True):
        top -= _HEAD_IN
        figure.text(0.005, (top + 0.05) / height, _title(pair, block[0]), fontsize=7)
        for number, (label, images) in enumerate(_strips(block)):
            bottom = top - (number + 1) * row_in
            box = (_LABEL_IN / PAGE_WIDTH_IN, bottom / height)
            axes = figure.add_axes((*box, 1 - box[0], row_in / height))
            _show(axes, strip(images))
            figure.text(0.005, (bottom + row_in / 2) / height, label, fontsize=5.5, va="center")
        top -= count * row_in + _GAP_IN
    return figure


def _title(pair: str, cell: Trained) -> str:
    if cell.record["measures"]["source"] != "generated":
        return words(pair)
    side = math.isqrt(cell.cell.dimension // COLOURS)
    return f"{words(pair)}: STAND-IN measures generated here, {side} x {side} pixels"


def _strips(block: Sequence[Trained]) -> list[tuple[str, Points]]:
    """Return the rows of a pair, each with its label."""
    pair = block[0].pair
    if not isinstance(pair, SolvedPair):
        raise InputError(f"figure celeba64_samples: {block[0].cell.name} has no optimal map")
    x = block[0].source(IMAGES)
    y = np.asarray(pair.ground_truth(jnp.asarray(x)))
    rows = [("$x$", x), ("$T^*(x)$", y)]
    for cell, kind in zip(block, ("best", "worst"), strict=False):
        method = cell_method_words(cell.cell.to_json())
        about = f"{kind}: {method}\n{error_words(cell.record)}"
        rows.append((f"$T(x)$\n{about}", cell.forward(x)))
        rows.append((f"$T^{{-1}}(T^*(x))$\n{kind}: {method}", cell.inverse(y)))
    return rows


def strip(images: Points) -> Strip:
    """Lay images side by side, as colours in [0, 1]; numbers beyond [-1, 1] are cut off."""
    side = math.isqrt(images.shape[1] // COLOURS)
    pixels = images.reshape(-1, COLOURS, side, side).transpose(2, 0, 3, 1)
    return np.clip((pixels.reshape(side, -1, COLOURS) + 1) / 2, 0, 1)


def _show(axes: Axes, pixels: Strip) -> None:
    axes.imshow(pixels, interpolation="nearest", aspect="auto")
    axes.set_axis_off()

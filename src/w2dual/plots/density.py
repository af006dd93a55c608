"""Densities by change of variables: what a smooth convex potential says of the source's law.

T = grad f moves the source to the target, whose density beta is known. So the model's density of
the source is p(x) = beta(T(x)) det Hess f(x), which is beta(y) / det Hess f*(y) at y = T(x): one
block of a convex potential flow (Huang et al. 2021), trained by optimal transport. Where f is
smooth and strongly convex, p integrates to 1.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from w2dual.backend import jit
from w2dual.config.names import words
from w2dual.evaluation.trained import Points, Trained, Values
from w2dual.measures.pairs.synthetic import SyntheticPair
from w2dual.measures.synthetic.laws import Law
from w2dual.plots import style
from w2dual.records import InputError

log = logging.getLogger(__name__)

PAGE_WIDTH_IN = 7.0
ROW_HEIGHT_IN = 1.75
BOTTOM_IN = 0.1
"""Left free for the mark of a reduced budget."""
CELLS_PER_ROW = 2
GRID = 400
"""Points along each side of the grid."""
BOX_SAMPLES = 8192
MARGIN = 0.1
"""Of the grid beyond the samples on each side, as a fraction of their extent."""
KL_SAMPLES = 16384
CHUNK = 16384
"""Points whose Hessians are in memory at once."""
CONJUGATED = 0.1
"""Largest gradient norm at which x_hat(y) counts as a sample of the model."""
VIEW_QUANTILE = 0.002
"""Of the samples, left out of the view on each side."""
SHOWN_SAMPLES = 3000
COLOURS = "magma_r"


class OnGrid(NamedTuple):
    """The model's density at the centres of a grid's squares.

    Attributes:
        points: the centres, x_2 by x_1, both ascending.
        density: there.
        extent: of the grid, as matplotlib's `imshow` takes it.
        integral: of the density over the grid.
    """

    points: Float[np.ndarray, "rows columns 2"]
    density: Float[np.ndarray, "rows columns"]
    extent: tuple[float, float, float, float]
    integral: float


def log_density(cell: Trained, x: Points) -> Values:
    """Log of the model's density of the source, log beta(T(x)) + log det Hess f(x), at points.

    Raises:
        InputError: the target has no density in closed form, or f is not twice differentiable.
    """
    _, target = _laws(cell)
    log_beta = jit(target.log_density, once=True)
    found = []
    for begin in range(0, len(x), CHUNK):
        block = x[begin : begin + CHUNK]
        lacking = min(CHUNK, len(x)) - len(block)  # one shape, so that it compiles once
        padded = np.pad(block, ((0, lacking), (0, 0)), mode="edge")
        beta = log_beta(cell.forward(padded))
        if beta is None:
            raise InputError(
                f"{cell.cell.name}: the target of {cell.cell.pair} has no density in closed form, "
                "so the model gives none of the source; a Gaussian or rings do"
            )
        found.append((np.asarray(beta) + cell.log_det_hessian(padded))[: len(block)])
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def on_grid(cell: Trained, size: int = GRID) -> OnGrid:
    """Evaluate the model's density on a grid that covers essentially all of its mass.

    The grid spans samples of the source and samples of the model, x_hat(y) for samples y of the
    target, with a margin.

    Raises:
        InputError: as `log_density`.
    """
    _laws(cell)
    solved = cell.conjugate(cell.target(BOX_SAMPLES), drawn=False)
    kept = np.asarray(solved.gradient_norm) < CONJUGATED
    model = np.asarray(solved.x)[kept]
    if not kept.all():
        log.warning(
            "%s: the grid leaves out %d of %d samples of the model: at them max|grad f(x) - y| is "
            "above %g",
            *(cell.cell.name, np.sum(~kept), len(kept), CONJUGATED),
        )
    samples = np.concatenate([cell.source(BOX_SAMPLES), model]).astype(np.float64)
    low, high = samples.min(axis=0), samples.max(axis=0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    step = (high - low) / size
    columns, rows = (low[i] + step[i] * (np.arange(size) + 0.5) for i in (0, 1))
    points = np.stack(np.meshgrid(columns, rows), axis=-1)
    logs = log_density(cell, points.reshape(-1, 2).astype(np.float32))
    density = np.exp(logs.astype(np.float64)).reshape(size, size)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    return OnGrid(points, density, extent, float(density.sum() * step.prod()))


def grid_integral(cell: Trained, size: int = GRID) -> float:
    """Integrate the model's density by the midpoint rule; 1 up to what the grid misses.

    Raises:
        InputError: as `log_density`.
    """
    return on_grid(cell, size).integral


def kl_divergence(cell: Trained, samples: int = KL_SAMPLES) -> float | None:
    """Estimate KL(source || model), in nats, over fresh samples x of the source.

    It is the mean of log p_true(x) - log p(x).

    Returns:
        None where the source has no density in closed form.

    Raises:
        InputError: as `log_density`.
    """
    source, _ = _laws(cell)
    x = cell.source(samples)
    true = jit(source.log_density, once=True)(x)
    if true is None:
        return None
    return float(np.mean(np.asarray(true, np.float64) - log_density(cell, x)))


def facts(cells: Sequence[Trained]) -> list[dict[str, Any]]:
    """Return what the figure says in numbers: pair, seed, integral, and kl in nats or None.

    Raises:
        InputError: as `log_density`.
    """
    return [_facts(cell, grid_integral(cell)) for cell in cells]


def draw(cells: Sequence[Trained]) -> Figure:
    """Draw the true density next to the learned one, for each cell, on one scale of colours.

    Raises:
        InputError: as `log_density`.
    """
    across = min(len(cells), CELLS_PER_ROW)
    down = -(-len(cells) // across)
    width = style.COLUMN_WIDTH_IN if across == 1 else PAGE_WIDTH_IN
    height = ROW_HEIGHT_IN * down + BOTTOM_IN
    bottom = BOTTOM_IN / height
    layout = ConstrainedLayoutEngine(rect=(0.0, bottom, 1.0, 1.0 - bottom))
    figure = Figure(figsize=(width, height), layout=layout)
    for place, part in enumerate(np.ravel(figure.subfigures(down, across, squeeze=False))):
        if place < len(cells):
            left, right = part.subplots(1, 2, sharex=True, sharey=True)
            _pair(cells[place], left, right)
    return figure


def _laws(cell: Trained) -> tuple[Law, Law]:
    """Return source and target, where a density of the model makes sense."""
    activation = cell.cell.settings["potential"]["activation"]
    if activation.startswith(("relu", "leaky_relu")):
        raise InputError(
            f"{cell.cell.name}: its potential is not twice differentiable (activation "
            f"{activation}), so it has no density; softplus is"
        )
    pair = cell.pair
    if not isinstance(pair, SyntheticPair):
        raise InputError(f"{cell.cell.name}: {cell.cell.pair} is not a pair of laws with densities")
    return pair.source, pair.target


def _facts(cell: Trained, integral: float) -> dict[str, Any]:
    return {
        "pair": cell.cell.pair,
        "seed": cell.seed,
        "integral": integral,
        "kl": kl_divergence(cell),
    }


def _pair(cell: Trained, left: Axes, right: Axes) -> None:
    grid = on_grid(cell)
    source, _ = _laws(cell)
    samples = cell.source(SHOWN_SAMPLES)
    flat = grid.points.reshape(-1, 2).astype(np.float32)
    logs = jit(source.log_density, once=True)(flat)
    true = None if logs is None else np.exp(np.asarray(logs)).reshape(grid.density.shape)
    top = float((grid.density if true is None else true).max())
    name = words(cell.cell.pair)
    shown = [(right, grid.density, f"{name}: learned")]
    if true is None:
        left.plot(*samples.T, ".", color=style.BLUE, markersize=1, markeredgewidth=0)
        left.set_title(f"{name}: samples")
    else:
        shown.append((left, true, f"{name}: true density"))
    low, high = np.quantile(samples, (VIEW_QUANTILE, 1 - VIEW_QUANTILE), axis=0)
    margin = MARGIN * (high - low)
    for axes, density, title in shown:
        image = axes.imshow(
            density,
            extent=grid.extent,
            origin="lower",
            vmin=0.0,
            vmax=top,
            cmap=COLOURS,
            interpolation="none",
        )
        axes.set_title(title)
        if axes is right:
            bar = axes.figure.colorbar(image, ax=[left, right], pad=0.02, aspect=25, shrink=0.8)
            bar.outline.set_linewidth(0.3)  # pyright: ignore[reportCallIssue]
    for axes in (left, right):
        axes.grid(visible=False)
        axes.set_aspect("equal")
        axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
        axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
    numbers = _facts(cell, grid.integral)
    kl = "" if numbers["kl"] is None else f", KL {numbers['kl']:.3f} nats"
    right.set_xlabel(f"integral {numbers['integral']:.3f}{kl}")

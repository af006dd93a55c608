"""The best of several paths between two points, each from a bent start and under annealing.

A Newton method alone finds a minimum near its start. Here starts bend to either side, as far as is
asked for, and the obstacle's edge sharpens from stage to stage. What is found is an upper bound of
c(x, y), and the reference that predicted paths are compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.paths import polyline
from w2dual.paths.action import Interior, Lagrangian, Numbers, Path, Points, joined, line


class Best(NamedTuple):
    """The best paths found, and what they cost."""

    path: Path
    cost: Numbers


def search(
    lagrangian_at: Callable[[Float[Array, ""]], Lagrangian],
    x: Points,
    y: Points,
    temperatures: Sequence[Any],
    bends: Sequence[float],
    steps: int,
    start: Interior | None = None,
) -> Best:
    """Return the best path found between points of two or more coordinates.

    Args:
        lagrangian_at: what a path costs where the obstacle has a temperature.
        x: first points, (n, *batch).
        y: last points, (n, *batch).
        temperatures: of the stages, one after another; the last decides what is best.
        bends: of the starts: how far their middle is from the straight line, at right angles to it
            in the plane of the first two coordinates.
        steps: of Newton's method in each stage.
        start: interior points that are bent; None for the straight line.
    """
    stages = jnp.stack([jnp.asarray(temperature, x.dtype) for temperature in temperatures])
    last = lagrangian_at(stages[-1])
    unbent = line(x, y, last.rule) if start is None else start
    way = y - x
    length = jnp.sqrt(jnp.sum(way[:2] ** 2, axis=0))
    normal = jnp.zeros_like(way).at[0].set(-way[1]).at[1].set(way[0])
    normal = normal / jnp.maximum(length, 1e-6)[None]
    t = jnp.arange(1, last.rule.segments, dtype=x.dtype) / last.rule.segments
    arch = jnp.sin(jnp.pi * t).reshape((-1,) + (1,) * x.ndim)

    def from_bend(bend: Float[Array, ""]) -> tuple[Path, Numbers]:
        def stage(interior: Array, temperature: Array) -> tuple[Array, None]:
            now = lagrangian_at(temperature)
            return polyline.minimise(now, x, y, interior, steps).interior, None

        found, _ = jax.lax.scan(stage, unbent + bend * arch * normal[None], stages)
        path = joined(x, found, y)
        return path, last.cost(path)

    # One after another: all starts at once would take as many times the memory.
    paths, costs = jax.lax.map(from_bend, jnp.asarray(bends, x.dtype))
    best = jnp.argmin(costs, axis=0)
    path = jnp.take_along_axis(paths, best[None, None, None], axis=0)[0]
    return Best(path, jnp.min(costs, axis=0))

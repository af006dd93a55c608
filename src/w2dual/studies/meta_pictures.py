"""What figures of predicted and converged plans draw: digits that morph, and who supplies whom."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from w2dual.backend import jit
from w2dual.entropic import newton, semi_dual, sinkhorn
from w2dual.entropic.counts import Goal
from w2dual.entropic.geometry import Geometry
from w2dual.entropic.newton import Newton
from w2dual.entropic.sinkhorn import Relaxation
from w2dual.measures.pairs.grid_images import GridImages
from w2dual.measures.pairs.sphere import SupplyAndDemand

FRAMES = 8
PAIRS = 4
CONVERGED = 1.0e-6
"""Error of the marginals of what is drawn as the solution."""
MOST_ITERATIONS = 2000
PREDICTION = "prediction"
"""End of the names of arrays that show what a network predicts."""


def arrays(
    shown: int, pair: Any, kernel: Geometry, a: Array, b: Array, u: Array, predicted: bool
) -> dict[str, np.ndarray]:
    """Return the arrays that figures draw; none for a pair of another kind.

    Args:
        shown: instances to choose from, the first.
        pair: the prepared pair.
        kernel: its geometry, in float64.
        a: weights of the sources.
        b: weights of the targets.
        u: potentials over epsilon that the solver starts from.
        predicted: whether they are a network's, and are drawn as the prediction.
    """
    found = _both(shown, pair, kernel, a, b, u)
    return {key: item for key, item in found.items() if predicted or not key.endswith(PREDICTION)}


def _both(
    shown: int, pair: Any, kernel: Geometry, a: Array, b: Array, u: Array
) -> dict[str, np.ndarray]:
    """Return what is drawn of the solution and of what it starts from."""
    count = min(shown, PAIRS)
    first = (a[:count], b[:count])
    start = u[:count]
    if isinstance(pair, GridImages):
        goal = Goal.of([CONVERGED], [1], MOST_ITERATIONS)
        relaxed = Relaxation(1.5, 3)

        def one(instance: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            a, b, u = instance
            solved = sinkhorn.solve(kernel, a, b, u, goal, relaxed).u
            found = [
                _frames(semi_dual.plan(kernel, semi_dual.masked(item, a), b), pair.side)
                for item in (solved, u)
            ]
            return found[0], found[1]

        solution, prediction = jit(lambda *all_: jax.lax.map(one, all_))(*first, start)
        return {
            "frames/solution": np.asarray(solution),
            f"frames/{PREDICTION}": np.asarray(prediction),
        }
    if isinstance(pair, SupplyAndDemand):
        goal = Goal.of([CONVERGED], [1], 200)

        def supplier(a: Array, b: Array, u: Array) -> tuple[Array, Array]:
            solved = newton.solve(kernel, a, b, u, goal, Newton()).u
            both = (semi_dual.masked(item, a) for item in (solved, u))
            near = [jnp.argmax(item[:, None] - kernel.scaled_cost(), axis=0) for item in both]
            return near[0], near[1]

        solution, prediction = jit(supplier)(a[0], b[0], start[0])
        return {
            "sphere/supply": np.asarray(pair.supply, np.float64),
            "sphere/demand": np.asarray(pair.demand, np.float64),
            "sphere/amounts": np.asarray(a[0]),
            "sphere/solution": np.asarray(solution),
            f"sphere/{PREDICTION}": np.asarray(prediction),
        }
    return {}


def _frames(plan: Float[Array, "n n"], side: int) -> Float[Array, "frames side side"]:
    """Return the measures on the way from source to target: mass in straight lines, on the grid.

    What is between pixels is shared by the four around it.
    """
    place = jnp.arange(side**2)
    row, column = place // side, place % side

    def at(t: Array) -> Array:
        y, x = (
            ((1 - t) * line[:, None] + t * line[None]).ravel().astype(plan.dtype)
            for line in (row, column)
        )
        low_y, low_x = jnp.floor(y), jnp.floor(x)
        image = jnp.zeros((side + 1, side + 1), plan.dtype)
        for down in (0, 1):
            for right in (0, 1):
                share = jnp.abs(1 - down - (y - low_y)) * jnp.abs(1 - right - (x - low_x))
                where = (low_y.astype(int) + down, low_x.astype(int) + right)
                image = image.at[where].add(plan.ravel() * share)
        return image[:side, :side]

    return jax.lax.map(at, jnp.linspace(0.0, 1.0, FRAMES, dtype=plan.dtype))

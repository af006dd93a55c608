"""How many evaluations each way of sharing lanes costs, computed from real solves.

    python -m benchmarks.gpu_check stages FOLDER hd128-mlp     prints a line of JSON

A turn of the solver's loop costs one evaluation for each lane, of points that have finished too.
From the number of evaluations that each point needs follows what every way would do: a lane for
each point, stages of fewer and fewer lanes (`conjugate.base.default_stages`), or a queue.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from benchmarks.gpu_equality import trial_of
from w2dual.conjugate import base

SEEDS, POINTS = 10, 1024
"""Of a batch of the paper's. Where networks of fewer seeds were trained, each stands for several,
with points of its own."""


class Work(NamedTuple):
    """What a way costs: turns of the loop, and evaluations of all lanes in them."""

    turns: int
    evaluations: int


def in_stages(needed: Int[np.ndarray, "seeds points"], sizes: Sequence[int]) -> Work:
    """Count stages of these numbers of lanes of each seed; one size is a lane for each point.

    Args:
        needed: evaluations of each point.
        sizes: as of `conjugate.base.default_stages`.
    """
    turns = int(needed.max())
    running = [int((needed > turn).sum(axis=1).max()) for turn in range(turns)]
    lanes = [min(size for size in sizes if size >= count) for count in running]
    return Work(turns, len(needed) * sum(lanes))


def in_queue(needed: Int[np.ndarray, "seeds points"], lanes: int) -> Work:
    """Count a queue with this number of lanes of each seed, which go round together."""
    turns = 0
    for seed in needed:
        free_at = [0] * lanes
        for evaluations in seed:
            heapq.heappush(free_at, heapq.heappop(free_at) + int(evaluations))
        turns = max(turns, *free_at)
    return Work(turns, turns * lanes * len(needed))


def way_of(sizes: Sequence[int]) -> str:
    """Name stages of these numbers of lanes."""
    return f"stages of {', '.join(f'{size:,}' for size in sizes)}"


def ways(needed: Int[np.ndarray, "seeds points"]) -> dict[str, Any]:
    """Compare ways for the points of one batch, of each seed as many."""
    points = needed.shape[1]

    def ladder(factor: int, least: int) -> list[int]:
        sizes = [points]
        while sizes[-1] // factor >= least:
            sizes.append(sizes[-1] // factor)
        return sizes

    counted = {"a lane for each point": in_stages(needed, [points])}
    for factor, least in ((2, 64), (4, 256), (4, 64), (4, 16), (8, 16)):
        sizes = ladder(factor, least)
        counted[way_of(sizes)] = in_stages(needed, sizes)
    for lanes in (512, 256, 128, 64):
        counted[f"a queue with {lanes} lanes"] = in_queue(needed, lanes)
    return {
        "seeds": len(needed),
        "points": points,
        "needed": int(needed.sum()),
        "needed_mean": float(needed.mean()),
        "needed_most": int(needed.max()),
        "histogram": np.bincount(needed.ravel()).tolist(),
        "ways": {name: work._asdict() for name, work in counted.items()},
    }


def stages(
    folder: Path, case: str, solvers: list[str], params: Path | None = None
) -> dict[str, Any]:
    """Solve a batch on trained networks and compare ways; arguments as of `gpu_equality`."""
    trial = trial_of(folder, case, SEEDS * POINTS, solvers, params)
    found: dict[str, Any] = {"case": case, "networks": trial.networks}
    for name, solver in trial.solvers.items():

        def solve(params: Any, y: Any, start: Any, solver: Any = solver) -> Any:
            return base.drive(solver, trial.problem.oracle(params), y, start).evaluations

        needed = np.asarray(jax.jit(solve)(trial.params, trial.y, trial.start))
        found[name] = ways(needed.reshape(SEEDS, POINTS))
    return found

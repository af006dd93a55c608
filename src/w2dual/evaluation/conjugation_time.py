"""How long the conjugation of a batch takes on trained parameters, measured after warm-up.

Of a whole batch of each seed, from its amortized start, as a training step does it. Points come
from a stream of their own, so that nothing here moves a number of the training.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from w2dual import rng
from w2dual.backend import jit
from w2dual.measures import Pair
from w2dual.training.loop import streams
from w2dual.training.methods import Conjugating, Method

REPETITIONS = 7
"""Batches that are timed, each a fresh one; one more before them warms up."""
FIELDS = ("conjugation_ms", "conjugation_ms_low", "conjugation_ms_high")
"""Median, fastest and slowest, as they stand under `timing` in metrics.json."""


def measure(
    method: Method[Any],
    params: Any,
    pair: Pair,
    seeds: Sequence[int],
    batch_size: int,
    repetitions: int = REPETITIONS,
) -> dict[str, float | None]:
    """Time the conjugation of one batch of every seed, all seeds at once, in milliseconds.

    On one device, which is one core on a CPU, even where training shares a batch among several.

    # DIFFERS: the published code times one batch at each logging, drawn from the training's own
    stream, and keeps the last of them.

    Args:
        method: networks and conjugate solver.
        params: parameters, with a leading axis of seeds.
        pair: the measures; points are drawn from the target.
        seeds: the seeds, in the order of that axis.
        batch_size: points of each seed.
        repetitions: batches to time.

    Returns:
        `FIELDS`; each None without a conjugate solver, where there is nothing to time.
    """
    if not isinstance(method, Conjugating) or method.solver is None:
        return dict.fromkeys(FIELDS)
    keys = streams(seeds, "conjugation timing")

    def draw(pair: Any, step: int) -> Any:
        return jax.vmap(lambda key: pair.sample_target(rng.at(key, step), batch_size))(keys)

    draw, conjugate = jit(draw), jit(method.conjugate)
    milliseconds = []
    for step in range(repetitions + 1):
        y = jax.block_until_ready(draw(pair, step))
        began = time.perf_counter()
        jax.block_until_ready(conjugate(params, y))
        milliseconds.append(1000 * (time.perf_counter() - began))
    timed = milliseconds[1:]
    found = float(np.median(timed)), min(timed), max(timed)
    return dict(zip(FIELDS, found, strict=True))

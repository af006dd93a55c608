"""A trained cell's errors again, from its stored parameters, on samples that it has never seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from w2dual import measures, rng
from w2dual.dual import make_problem
from w2dual.metrics import evaluator
from w2dual.records import InputError
from w2dual.train_job import load_params

REPEATS = 16
"""Sample sets, whose spread gives the standard error."""
FEWEST = 64  # points in each
ROUNDING = 1e-4
"""Relative; what float32 sums may differ by between devices, beside the samples' error."""
QUANTITIES = ("l2_uvp_forward_percent", "l2_uvp_inverse_percent")


@dataclass(frozen=True)
class Comparison:
    """A stored number beside a fresh one.

    Attributes:
        quantity: its name in the metrics.
        stored, fresh: both estimates.
        half_width: of the confidence interval of their difference.
    """

    quantity: str
    stored: float
    fresh: float
    half_width: float

    @property
    def agrees(self) -> bool:
        """Whether the difference lies within the interval."""
        return abs(self.fresh - self.stored) <= self.half_width


def compare(stored: float, samples: int, fresh: np.ndarray, size: int, confidence: float) -> float:
    """Give the half width of the interval of (mean of `fresh`) - `stored`.

    Both are means of independent squared errors: `stored` of `samples` of them, each entry of
    `fresh` of `size`. So their variances are s^2 size / samples and s^2 / m, where s is the std of
    the m entries; Student's t with m - 1 degrees of freedom.
    """
    spread = float(fresh.std(ddof=1))
    error = spread * math.sqrt(size / samples + 1 / len(fresh))
    quantile = float(stats.t.ppf(0.5 + confidence / 2, len(fresh) - 1))
    return quantile * error + ROUNDING * abs(stored)


def evaluate(
    params: Path, pair: Path, record: dict[str, Any], confidence: float, seed: int
) -> list[Comparison]:
    """Evaluate the stored seed of a cell of the benchmark.

    Args:
        params: parameters of one seed.
        pair: prepared pair of measures.
        record: the cell's metrics.
        confidence: of each interval.
        seed: of the fresh samples, on a stream of their own.

    Raises:
        InputError: a file cannot be used, or the seed has no numbers.
    """
    networks, cell, seeds = load_params(params)
    measured = next((entry for entry in record["seeds"] if entry["seed"] == seeds[0]), None)
    if measured is None or measured["status"] != "finished":
        raise InputError(f"{params}: seed {seeds[0]} has no numbers in the metrics")
    samples = int(cell.settings["evaluation"]["samples"])
    size = max(FEWEST, samples // REPEATS)
    run = evaluator(make_problem(cell.settings, cell.dimension), size)
    prepared = measures.load_pair(pair)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[:1]), networks)
    stream = rng.stream(seed, "verify")
    found = [run(one, rng.at(stream, repeat)[None], prepared, size) for repeat in range(REPEATS)]
    comparisons = []
    for quantity in QUANTITIES:
        fresh = np.array([float(getattr(values, quantity)[0]) for values in found])
        stored = measured[quantity]
        if stored is None or not np.isfinite(fresh).all():
            continue
        width = compare(float(stored), samples, fresh, size, confidence)
        comparisons.append(Comparison(quantity, float(stored), float(fresh.mean()), width))
    if not comparisons:
        raise InputError(f"{params}: evaluates to no finite number, the metrics say otherwise")
    return comparisons

"""A trained cell's errors again, from its stored parameters.

On the very samples of the metrics the forward error, which no solver has a part in, must come out
but for rounding: any change of the potential's parameters or of the number shows. On samples that
the cell has never seen both errors must come out but for the samples' own error: an estimate that
owes something to its samples shows, and an amortization model that was spoilt, where the inverse
error depends on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import stdtrit

from w2dual import measures, rng
from w2dual.evaluation import cell as cell_evaluation
from w2dual.evaluation.l2_uvp import BLOCK
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.files import load_params
from w2dual.training.loop import streams

REPEATS = 24
"""Sets of fresh samples, whose spread gives the standard error."""
ROUNDING = 1e-4
"""Relative; what float32 sums may differ by between devices, in addition to the samples' error."""
ROUNDING_SAME = 1e-3
"""The same, where only rounding is left: of every operation, not only of sums."""
QUANTITIES = ("l2_uvp_forward_percent", "l2_uvp_inverse_percent")


@dataclass(frozen=True)
class Comparison:
    """A stored number next to a fresh one.

    Attributes:
        quantity: its name in the metrics.
        stored, fresh: both estimates.
        half_width: what they may differ by.
        same_samples: whether that is rounding alone, or a confidence interval's.
    """

    quantity: str
    stored: float
    fresh: float
    half_width: float
    same_samples: bool

    @property
    def agrees(self) -> bool:
        """Whether the difference lies within the interval; false where it is not a number."""
        values = (self.stored, self.fresh, self.half_width)
        return all(map(math.isfinite, values)) and abs(self.fresh - self.stored) <= self.half_width

    def __str__(self) -> str:
        """Say it in a line of the report."""
        samples = "the same samples" if self.same_samples else "fresh samples"
        allowed = "rounding allows" if self.same_samples else "interval of the difference"
        return (
            f"{self.quantity}: {self.stored:.4g} stored, {self.fresh:.4g} on {samples}, "
            f"{allowed} +-{self.half_width:.2g}"
        )


def compare(stored: float, samples: int, fresh: np.ndarray, size: int, confidence: float) -> float:
    """Return the half width of the interval of (mean of `fresh`) - `stored`.

    Both are means of independent squared errors: `stored` of `samples` of them, each entry of
    `fresh` of `size`. So their variances are s^2 size / samples and s^2 / m, where s is the std of
    the m entries; Student's t with m - 1 degrees of freedom.
    """
    spread = float(fresh.std(ddof=1))
    error = spread * math.sqrt(size / samples + 1 / len(fresh))
    quantile = float(stdtrit(len(fresh) - 1, 0.5 + confidence / 2))
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

    Returns:
        The forward error on the samples of the metrics, then the errors on fresh ones; those
        that are numbers in the metrics. One that is none any more agrees with nothing.

    Raises:
        InputError: a file cannot be used, or the seed has no numbers.
    """
    networks, cell, seeds = load_params(params)
    measured = next((entry for entry in record["seeds"] if entry["seed"] == seeds[0]), None)
    if measured is None or measured["status"] != "finished":
        raise InputError(f"{params}: seed {seeds[0]} has no numbers in the metrics")
    samples = cell.evaluation.samples
    prepared = measures.load_solved(pair)
    # The program that made the metrics; a set of fresh samples fills one of its blocks.
    method = methods.make(cell.settings, cell.dimension)
    run = cell_evaluation.make(method, prepared, cell).evaluate
    size = min(BLOCK, samples)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[:1]), networks)
    again = run(one, streams([seeds[0]], "final evaluation"), samples)
    stream = rng.stream(seed, "verify")
    found = [run(one, rng.at(stream, repeat)[None], size) for repeat in range(REPEATS)]
    comparisons = []
    forward = QUANTITIES[0]
    if measured[forward] is not None:
        stored, fresh = float(measured[forward]), float(getattr(again, forward)[0])
        width = ROUNDING_SAME * abs(stored)
        comparisons.append(Comparison(forward, stored, fresh, width, same_samples=True))
    for quantity in QUANTITIES:
        fresh = np.array([float(getattr(values, quantity)[0]) for values in found])
        stored = measured[quantity]
        if stored is None:
            continue
        width = compare(float(stored), samples, fresh, size, confidence)
        mean = float(fresh.mean())
        comparisons.append(Comparison(quantity, float(stored), mean, width, same_samples=False))
    if not comparisons:
        raise InputError(f"{params}: seed {seeds[0]} has no error in the metrics")
    return comparisons

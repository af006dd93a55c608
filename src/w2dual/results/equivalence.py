"""Tests on summaries of two samples: different, equivalent within a margin, and many at once.

Welch's statistics, which let both samples have variances of their own. A summary is (mean, std,
number), with std of ddof 1; every argument may be an array, and all are broadcast.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit  # `scipy.stats` has the same, and takes a second

Values = Float[np.ndarray, "..."]


class Difference(NamedTuple):
    """A difference of means: its estimate, standard error and Welch-Satterthwaite's freedom."""

    estimate: Values
    error: Values
    freedom: Values


def sample_std(std: ArrayLike, number: ArrayLike) -> Values:
    """Return the std of ddof 1 for one of ddof 0, as papers print it: std sqrt(m / (m - 1))."""
    number = np.asarray(number, dtype=float)
    return np.asarray(std, dtype=float) * np.sqrt(number / (number - 1))


def difference(
    mean: ArrayLike,
    std: ArrayLike,
    number: ArrayLike,
    other_mean: ArrayLike,
    other_std: ArrayLike,
    other_number: ArrayLike,
) -> Difference:
    """Return mean - other_mean with its standard error sqrt(s^2/m + s'^2/m') and freedom.

    Raises:
        ValueError: a sample has fewer than two values.
    """
    return contrast([1.0, -1.0], [mean, other_mean], [std, other_std], [number, other_number])


def contrast(
    weights: ArrayLike,
    means: list[ArrayLike],
    stds: list[ArrayLike],
    numbers: list[ArrayLike],
) -> Difference:
    """Return the contrast sum_i w_i mean_i of independent samples, as `difference` does for two.

    The freedom is Satterthwaite's: (sum v_i)^2 / sum v_i^2 / (m_i - 1), v_i = w_i^2 s_i^2 / m_i.

    Raises:
        ValueError: a sample has fewer than two values.
    """
    counts = [np.asarray(number, dtype=float) for number in numbers]
    if any(np.any(count < 2) for count in counts):
        raise ValueError("a sample has fewer than two values, which gives no variance")
    signs = np.asarray(weights, dtype=float)
    parts = [
        weight**2 * np.square(np.asarray(std, dtype=float)) / count
        for weight, std, count in zip(signs, stds, counts, strict=True)
    ]
    estimate = sum(
        weight * np.asarray(mean, dtype=float) for weight, mean in zip(signs, means, strict=True)
    )
    total = np.asarray(sum(parts))
    spread = np.asarray(sum(v**2 / (count - 1) for v, count in zip(parts, counts, strict=True)))
    most = np.asarray(sum(count - 1 for count in counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.where(spread > 0, total**2 / spread, most)
    return Difference(np.asarray(estimate), np.sqrt(total), freedom)


def _upper_tail(distance: ArrayLike, found: Difference) -> Values:
    """Return P(t >= distance / error); without any spread the distance alone decides."""
    distance = np.asarray(distance, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        tail = stdtr(found.freedom, -distance / found.error)
    certain = np.where(distance > 0, 0.0, np.where(distance < 0, 1.0, 0.5))
    return np.where(found.error > 0, tail, certain)


def p_greater(found: Difference) -> Values:
    """Return the one-sided p-value of "the difference is above 0"."""
    return _upper_tail(found.estimate, found)


def p_different(found: Difference) -> Values:
    """Return the two-sided p-value of "the difference is not 0" (Welch's test)."""
    return np.minimum(1.0, 2 * _upper_tail(np.abs(found.estimate), found))


def p_equivalent(found: Difference, margin: ArrayLike) -> Values:
    """Return the p-value of "the difference lies within +-margin": two one-sided Welch tests.

    The larger of both one-sided p-values (Schuirmann 1987); it is at most alpha exactly where the
    confidence interval of level 1 - 2 alpha lies within the margin.
    """
    margin = np.asarray(margin, dtype=float)
    return np.maximum(
        _upper_tail(margin + found.estimate, found), _upper_tail(margin - found.estimate, found)
    )


def interval(found: Difference, alpha: float) -> tuple[Values, Values]:
    """Return the confidence interval of level 1 - 2 alpha, which belongs to `p_equivalent`."""
    half = stdtrit(found.freedom, 1 - alpha) * found.error
    return found.estimate - half, found.estimate + half


def holm(p: ArrayLike) -> Values:
    """Adjust the p-values of a family, the last axis, so that p <= alpha keeps its error at alpha.

    Holm's step-down: the k-th smallest of m becomes the largest (m - j + 1) p_(j) over j <= k. A
    NaN is not a test: it stays, and does not count.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, axis=-1)  # NaNs last
    ordered = np.take_along_axis(p, order, axis=-1)
    tests = np.sum(~np.isnan(p), axis=-1, keepdims=True)
    left = tests - np.arange(p.shape[-1])
    stepped = np.minimum(1.0, np.maximum.accumulate(left * ordered, axis=-1))
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, stepped, axis=-1)
    return np.where(np.isnan(p), np.nan, adjusted)

"""What the published table and figure of colour transport show, checked pair by pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # `scipy.stats` has the same, and takes a second

from w2dual.results.claims import FAILS, HOLDS
from w2dual.results.meta_color import (
    GAUSSIAN,
    META_W2GN,
    SEED_COLUMNS,
    W2GN,
    ColorSettings,
    Scale,
    Study,
    framed,
    published,
    seeds_of,
)
from w2dual.results.summary import one_of_seeds
from w2dual.results.verdict import INCONCLUSIVE

CLAIM_COLUMNS = (
    *("claim", "check", "method", "difference", "low", "high", "pairs", "verdict", "reason"),
    *("worth", "worth_low", "worth_high"),
    *("published", "published_verdict", "published_worth"),
    *SEED_COLUMNS,
    *("measures_source", "preset", "reduced"),
)
EARLY, TABLE, LATE = 251, 751, 1751
"""Updates: of Meta OT + W2GN and of W2GN that the published figure has at the same value, the first
and the last; and of the table's "1k", that of "2k" being the last."""
RESAMPLES = 2000


def claims(studies: Sequence[Study], folder: Path, settings: ColorSettings) -> pd.DataFrame:
    """Check what the published table and figure show, on each cell, pair by pair.

    A claim is a difference of normalised values, its mean over pairs with a confidence interval of
    Student's t. It holds where the interval is above 0 and fails where it is below, each at 1 -
    alpha; else it is inconclusive, as at a reduced budget, where its numbers are shown all the
    same. It fails for a network whose seeds all diverged.

    What a claim says a value is worth is also given in updates of W2GN, with a bootstrap interval.
    """
    scale, known = Scale(studies), published(folder)
    rows: list[dict[str, Any]] = []
    for study in studies:
        for claim, check, difference, theirs, of_value in _differences(study, scale, known):
            ours, of_published = of_value or (None, math.nan)
            if study.diverged:
                measured, (low, high) = (math.nan,) * 3, (-math.inf, -math.inf)
                found, reason = FAILS, one_of_seeds(*seeds_of(study.facts))
            else:
                measured = _worth_interval(*ours, settings.alpha) if ours else (math.nan,) * 3
                low, high = interval(difference, settings.alpha)
                found = HOLDS if low > 0 else FAILS if high < 0 else INCONCLUSIVE
                reason = "" if found != INCONCLUSIVE else "the interval holds 0"
            if settings.reduced:
                else_ = f"{found}, {reason}" if study.diverged else found
                reason = f"reduced budget: preset {settings.preset}; else: {else_}"
                found = INCONCLUSIVE
            rows.append(
                {"claim": claim, "check": check, "method": study.method}
                | {"difference": float(difference.mean()), "low": low, "high": high}
                | {"pairs": len(difference), "verdict": found, "reason": reason}
                | dict(zip(("worth", "worth_low", "worth_high"), measured, strict=True))
                | {"published_worth": of_published, "published": theirs}
                | study.seeds
                | {"measures_source": study.facts["measures_source"]}
                | {"published_verdict": "" if math.isnan(theirs) else _sign(theirs)}
                | {"preset": settings.preset, "reduced": settings.reduced}
            )
    return framed(rows, CLAIM_COLUMNS)


def _sign(difference: float) -> str:
    return HOLDS if difference > 0 else FAILS if difference < 0 else INCONCLUSIVE


Values = tuple[np.ndarray, np.ndarray, Sequence[int]]
"""A value of each pair, the values of W2GN [pairs, logs], and after how many updates those are."""
Difference = tuple[str, str, np.ndarray, float, tuple[Values, float] | None]
"""A claim, what is compared, differences of pairs, the published difference; and, where the claim
is about what a value is worth, our values and the published worth."""


def _differences(study: Study, scale: Scale, known: pd.DataFrame) -> list[Difference]:
    figure = known[known["source"] == "figure"].set_index(["row", "updates"])["mean"]
    meta, w2gn = (scale.normalised(study.bounds(row)) for row in (META_W2GN, W2GN))
    gaussian = scale.normalised(study.bounds(GAUSSIAN))[:, 0]
    ours = study.updates
    last = ours[-1]
    early, middle, late = (
        min(range(len(ours)), key=lambda i: abs(ours[i] - wanted))
        for wanted in (round(at / 2000 * last) for at in (EARLY, TABLE, LATE))
    )
    theirs = figure[W2GN].sort_index()

    def worth_of(place: int, updates: int) -> tuple[Values, float]:
        published_worth = worth(figure[META_W2GN, updates], theirs.to_numpy(), [*theirs.index])
        return (meta[:, place], w2gn, ours), published_worth

    return [
        (
            "predictions beat the Gaussian map",
            "the prediction less the Gaussian map, which costs nothing; the published table lacks "
            "the latter",
            meta[:, 0] - gaussian,
            math.nan,
            None,
        ),
        (
            "a prediction is worth an eighth of W2GN's updates",
            f"the prediction less W2GN after {ours[early]} updates (published: 251)",
            meta[:, 0] - w2gn[:, early],
            float(figure[META_W2GN, 0] - figure[W2GN, EARLY]),
            worth_of(0, 0),
        ),
        (
            "an eighth of the updates from a prediction is worth seven eighths without",
            f"Meta OT + W2GN after {ours[early]} updates less W2GN after {ours[late]} (published: "
            "251 and 1,751)",
            meta[:, early] - w2gn[:, late],
            float(figure[META_W2GN, EARLY] - figure[W2GN, LATE]),
            worth_of(early, EARLY),
        ),
        (
            "Meta OT + W2GN is above W2GN on the way",
            f"both after {ours[middle]} updates (published: 751, the table's 1k)",
            meta[:, middle] - w2gn[:, middle],
            float(figure[META_W2GN, TABLE] - figure[W2GN, TABLE]),
            None,
        ),
        (
            "Meta OT + W2GN ends above W2GN",
            f"both after {last} updates (published: 1,751)",
            meta[:, -1] - w2gn[:, -1],
            float(figure[META_W2GN, LATE] - figure[W2GN, LATE]),
            None,
        ),
    ]


def worth(value: float, curve: np.ndarray, updates: Sequence[int]) -> float:
    """Return after how many updates a curve first is at a value, between logs on a straight line.

    Args:
        value: that is looked for.
        curve: a value at each log.
        updates: at each log, ascending.

    Returns:
        Infinity where it never is.
    """
    reached = np.maximum.accumulate(curve)
    if value > reached[-1]:
        return math.inf
    place = int(np.argmax(reached >= value))
    if place == 0:
        return float(updates[0])
    below, above = reached[place - 1], reached[place]
    share = (value - below) / (above - below)
    return float(updates[place - 1] + share * (updates[place] - updates[place - 1]))


def _worth_interval(
    values: np.ndarray, curves: np.ndarray, updates: Sequence[int], alpha: float
) -> tuple[float, float, float]:
    """Return what the mean of values is worth on the mean of curves, and its bootstrap interval.

    Pairs are drawn again, the value and the curve of each together.
    """
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    found = np.array([worth(values[d].mean(), curves[d].mean(axis=0), updates) for d in draws])
    # An order statistic: between infinities there is no mean.
    low, high = np.quantile(found, [alpha / 2, 1 - alpha / 2], method="inverted_cdf")
    return worth(values.mean(), curves.mean(axis=0), updates), float(low), float(high)


def interval(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """Return the confidence interval of a mean; of one value, the whole line."""
    if len(values) < 2:
        return -math.inf, math.inf
    error = values.std(ddof=1) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, 1 - alpha / 2) * error)
    return float(values.mean()) - half, float(values.mean()) + half

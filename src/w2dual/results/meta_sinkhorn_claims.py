"""What starts are said to be worth, checked on the same pairs of measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from w2dual.results.claims import FAILS, HOLDS, INCONCLUSIVE, MISSING, MIXED
from w2dual.results.meta_sinkhorn import (
    GAUSSIAN,
    META,
    PLAIN,
    ZEROS,
    Study,
    TableSettings,
    check,
    chosen,
    diverged,
    interval,
)

CONSTANT = 0.25
"""Savings at two tolerances are the same where they differ by no more than this fraction."""


def claims(
    studies: Sequence[Study], settings: TableSettings, published: pd.DataFrame
) -> pd.DataFrame:
    """Return the two claims, each with counts of comparisons and a word.

    A comparison is of the same pairs of measures: it is decided where the bootstrap interval of the
    mean difference does not hold 0, or, for savings, where it lies within the margin or outside.
    A network of which a seed diverged needs infinitely many iterations, which contradicts that it
    is the best start; whether its savings are constant is not decided.

    Raises:
        InputError: a study lacks a task, a start or counts of it.
    """
    check(studies, settings)
    # The paper's claim is of its own network; ours of the best row that there is besides it.
    order: list[int] = []
    constant: list[int] = []
    for study in studies:
        for tolerance in settings.tolerances:
            order += _order(study, settings, tolerance)
        constant += _constant(study, settings)
    theirs = _published_order(published)
    rows = [
        {
            "claim": "a prediction is the best start",
            "sentence": "Meta OT needs less than the Gaussian start, and that less than zeros",
            "source": "Meta OT, table 1 and appendix; talk",
            "check": "plain Sinkhorn, each task and tolerance: prediction against Gaussian, "
            "Gaussian against zeros, iterations of the same pairs",
            **_word(order, settings),
            **_counts(theirs, "published_"),
            "published_verdict": _word(theirs, None)["verdict"],
        },
        {
            "claim": "a warm start saves a constant number of iterations",
            "sentence": "what a start saves does not grow as the tolerance falls",
            "source": "ours: no start changes the rate of the tail",
            "check": f"plain Sinkhorn, each task and prediction: saved at the smallest tolerance "
            f"against the second largest, within {CONSTANT:.0%}",
            **_word(constant, settings),
            **_counts([], "published_"),
            "published_verdict": MISSING,
        },
    ]
    marks = {"preset": settings.preset["name"], "reduced": settings.preset["reduced"]}
    marks["data_source"] = ", ".join(dict.fromkeys(study.data_source for study in studies))
    marks["diverged"] = "; ".join(
        f"{task} {method} {lost}/{seeds}"
        for task, method, lost, seeds in diverged(studies, settings)
    )
    return pd.DataFrame([row | marks for row in rows])


def _order(study: Study, settings: TableSettings, tolerance: float) -> list[int]:
    """Return 1, -1 or 0 for each comparison: as claimed, the other way, or not decided."""
    if not study.ran(PLAIN):
        return []

    def of(start: str) -> Float[np.ndarray, " pairs"]:
        return chosen(study, PLAIN, start, 1, tolerance).mean(axis=1)

    pairs = [(start, GAUSSIAN) for start in settings.methods] + [(GAUSSIAN, ZEROS)]
    found = []
    for better, worse in pairs:
        if study.seeds_of(better)[1]:
            found.append(-1)
        else:
            low, high = interval(of(worse) - of(better))
            found.append(1 if low > 0 else -1 if high < 0 else 0)
    return found


def _constant(study: Study, settings: TableSettings) -> list[int]:
    """Return the same for the savings of each prediction, at two tolerances."""
    ordered = sorted(settings.tolerances, reverse=True)
    if len(ordered) < 3 or not study.ran(PLAIN):
        return []
    found = []
    for start in settings.methods:
        if study.seeds_of(start)[1]:
            found.append(0)
            continue
        saved = []
        for tolerance in (ordered[1], ordered[-1]):
            zeros, own = (chosen(study, PLAIN, s, 1, tolerance) for s in (ZEROS, start))
            saved.append(zeros.mean(axis=1) - own.mean(axis=1))
        margin = CONSTANT * abs(float(np.mean(saved[0])))
        low, high = interval(saved[1] - saved[0])
        inside = -margin <= low and high <= margin
        outside = low > margin or high < -margin
        found.append(1 if inside else -1 if outside else 0)
    return found


def _published_order(published: pd.DataFrame) -> list[int]:
    """Return the order of the printed means; one that is not strict is not decided."""
    found = []
    for _, group in published.groupby(["task", "tolerance"], sort=False):
        mean = group.set_index("start")["mean_s"].astype(float)
        for better, worse in ((META, GAUSSIAN), (GAUSSIAN, ZEROS)):
            found.append(int(np.sign(mean[worse] - mean[better])))
    return found


def _counts(found: Sequence[int], prefix: str = "") -> dict[str, int]:
    names = {"supported": 1, "contradicted": -1, "undecided": 0}
    return {f"{prefix}{name}": list(found).count(value) for name, value in names.items()}


def _word(found: Sequence[int], settings: TableSettings | None) -> dict[str, Any]:
    counts = _counts(found)
    if not found:
        word = MISSING
    elif settings is not None and settings.preset["reduced"]:
        word = INCONCLUSIVE
    elif not counts["contradicted"] and 2 * counts["supported"] >= len(found):
        word = HOLDS
    else:
        word = FAILS if counts["contradicted"] > counts["supported"] else MIXED
    return {**counts, "verdict": word}

"""What the talk's table of Lagrangian costs says, each as a check that counts settings.

A check is of one of our methods, and of every setting that the preset has. The words are those of
`results.claims`; at a reduced budget they are `inconclusive`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.results import equivalence
from w2dual.results.claims import Comparison, Result, compare, count, word
from w2dual.results.lagrangian import published
from w2dual.results.verdict import INCONCLUSIVE, MISSING

TRIALS = 3
"""Of each published value [talk]."""
WALLS = ("box", "slit")
"""Settings whose obstacle is a wall."""
TOLERANCE = 0.01
"""Of the cost, relative: how far above the best known counts as optimal."""
YES, NO, OPEN = Comparison(0.0, 1.0), Comparison(1.0, 0.0), Comparison(1.0, 1.0)
COLUMNS = (
    *("claim", "method", "sentence", "source", "check", "verdict", "reason"),
    *("supported", "contradicted", "undecided", "preset", "reduced"),
)
Rows = dict[tuple[str, str], Any]
"""Of one method: by setting and quantity, a row of the tidy table."""


def not_worse_than_nlsb(rows: Rows, known: pd.DataFrame) -> list[Comparison]:
    """For each setting and published row of NLSB: its published error against ours."""
    found = []
    row: Any
    for row in known[known["method"].str.startswith("nlsb")].itertuples(index=False):
        own = rows.get((row.setting, "published"))
        if own is not None:
            theirs = Result(row.mean, float(equivalence.sample_std(row.std, TRIALS)), TRIALS)
            found.append(compare(theirs, _result(own)))
    return found


def at_the_floor(rows: Rows, known: pd.DataFrame) -> list[Comparison]:
    """For each setting: the published measure is at most a perfect map's plus both spreads."""
    del known
    return [
        YES if row["mean"] <= row["floor"] + row["std"] + row["floor_std"] else NO
        for (_, quantity), row in rows.items()
        if quantity == "published"
    ]


def outside_walls(rows: Rows, known: pd.DataFrame) -> list[Comparison]:
    """For box and slit: no path of any seed enters the obstacle."""
    del known
    found = [rows.get((setting, "inside")) for setting in WALLS]
    return [YES if row["mean"] == 0.0 else NO for row in found if row is not None]


def at_the_least_cost(rows: Rows, known: pd.DataFrame) -> list[Comparison]:
    """For each setting: the mean cost is within 1 % of the shift's."""
    del known
    found = []
    for (_, quantity), row in rows.items():
        if quantity == "cost" and math.isfinite(row["floor"]):
            found.append(YES if abs(row["mean"] / row["floor"] - 1) <= TOLERANCE else NO)
    return found


@dataclass(frozen=True)
class Claim:
    """A sentence, where it is from, and the check of it."""

    name: str
    sentence: str
    source: str
    check: Callable[[Rows, pd.DataFrame], list[Comparison]]


CLAIMS = (
    Claim(
        "the error is below NLSB's",
        "Marginal 2-Wasserstein errors (scaled by 100x) of the push-forward measure on the "
        "synthetic settings from Koshizuka and Sato (2022).",
        "talk, table 1, whose first row is the best or as good in each column",
        not_worse_than_nlsb,
    ),
    Claim(
        "maps push the source onto the target",
        "NLOT: box 1.6, slit 1.3, hill 1.8, well 1.3.",
        "talk, table 1; a perfect map has 1.27 on samples like its own (computed here)",
        at_the_floor,
    ),
    Claim(
        "paths go around obstacles",
        "Potential term (e.g., obstacles).",
        "talk, slide before table 1, and the picture on it",
        outside_walls,
    ),
    Claim(
        "what is learned is the least action",
        "c(x, y) is the infimum of the action over paths from x to y.",
        "talk, definition of the cost",
        at_the_least_cost,
    ),
)


def judge(tidy: pd.DataFrame, folder: Path, alpha: float) -> pd.DataFrame:
    """Return a row for each claim and method of ours.

    Args:
        tidy: as `results.lagrangian.tidy` returns it.
        folder: of the published values.
        alpha: error of the comparisons of a claim, after Holm.
    """
    known = published(folder)
    ours = tidy[tidy["source"] == "ours"]
    found: list[dict[str, Any]] = []
    for claim in CLAIMS:
        for method, lines in ours.groupby("method", sort=False):
            rows = {(r["setting"], r["quantity"]): r for r in lines.to_dict("records")}
            numbers = count(claim.check(rows, known), alpha)
            verdict = word(*numbers)
            reduced = bool(lines["reduced"].iloc[0]) and verdict != MISSING
            reason = "reduced budget" if reduced else ""
            found.append(
                {"claim": claim.name, "method": method, "sentence": claim.sentence}
                | {"source": claim.source}
                | {"check": (claim.check.__doc__ or "").splitlines()[0]}
                | {"verdict": INCONCLUSIVE if reduced else verdict, "reason": reason}
                | dict(zip(("supported", "contradicted", "undecided"), numbers, strict=True))
                | {"preset": lines["preset"].iloc[0], "reduced": lines["reduced"].iloc[0]}
            )
    return pd.DataFrame(found, columns=list(COLUMNS))


def _result(row: Any) -> Result:
    seeds = int(row["seeds"])
    std = float(row["std"])
    if seeds > 1 and math.isfinite(std):
        std = float(equivalence.sample_std(std, seeds))
    return Result(float(row["mean"]), std, float(seeds))

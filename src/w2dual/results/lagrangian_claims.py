"""What the talk's table of Lagrangian costs says, each as a check that counts settings.

A check is of one of our methods, and of every setting that the preset has. A method whose map is
random is a baseline: nothing is claimed of it, and others are compared with it. The words are those
of `results.claims`; at a reduced budget they are `inconclusive`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from w2dual.results import equivalence
from w2dual.results.claims import Comparison, Result, compare, count, word
from w2dual.results.lagrangian import published, rows_of
from w2dual.results.verdict import INCONCLUSIVE, MISSING

TRIALS = 3
"""Of each published value [talk]."""
TOLERANCE = 0.01
"""Of the cost, relative: how far above the best known counts as optimal."""
YES, NO, OPEN = Comparison(0.0, 1.0), Comparison(1.0, 0.0), Comparison(1.0, 1.0)
COLUMNS = (
    *("claim", "method", "sentence", "source", "check", "verdict", "reason"),
    *("supported", "contradicted", "undecided", "preset", "reduced"),
)
Rows = dict[tuple[str, str], Any]
"""Of one method: by setting and quantity, a row of the tidy table."""


class Known(NamedTuple):
    """What a method is compared with: the published values, and our rows of random maps."""

    published: pd.DataFrame
    baselines: list[Rows]


def not_worse_than_nlsb(rows: Rows, known: Known) -> list[Comparison]:
    """For each setting and published row of NLSB: its published error against ours."""
    found = []
    row: Any
    table = known.published
    for row in table[table["method"].str.startswith("nlsb")].itertuples(index=False):
        own = rows.get((row.setting, "published"))
        if own is not None:
            theirs = Result(row.mean, float(equivalence.sample_std(row.std, TRIALS)), TRIALS)
            found.append(compare(theirs, _result(own)))
    return found


def not_worse_than_ours(rows: Rows, known: Known) -> list[Comparison]:
    """For each setting and row of a baseline trained here: its error against ours."""
    return [
        compare(_result(theirs), _result(rows[place]))
        for baseline in known.baselines
        for place, theirs in baseline.items()
        if place[1] == "published" and place in rows
    ]


def at_the_floor(rows: Rows, known: Known) -> list[Comparison]:
    """For each setting: the published measure is at most a perfect map's plus both spreads."""
    del known
    return [
        YES if row["mean"] <= row["floor"] + row["std"] + row["floor_std"] else NO
        for (_, quantity), row in rows.items()
        if quantity == "published"
    ]


def outside_walls(rows: Rows, known: Known) -> list[Comparison]:
    """For each setting whose obstacle is a wall: no path of any seed enters it."""
    del known
    found = [row["mean"] for (_, quantity), row in rows.items() if quantity == "inside"]
    return [YES if mean == 0.0 else NO for mean in found if not math.isnan(mean)]


def at_the_least_cost(rows: Rows, known: Known) -> list[Comparison]:
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
    check: Callable[[Rows, Known], list[Comparison]]


CLAIMS = (
    Claim(
        "the error is below NLSB's",
        "Marginal 2-Wasserstein errors (scaled by 100x) of the push-forward measure on the "
        "synthetic settings from Koshizuka and Sato (2022).",
        "talk, table 1, whose first row is the best or as good in each column",
        not_worse_than_nlsb,
    ),
    Claim(
        "the error is below that of NLSB trained here",
        "Marginal 2-Wasserstein errors (scaled by 100x) of the push-forward measure on the "
        "synthetic settings from Koshizuka and Sato (2022).",
        "talk, table 1, with the baseline's rows as they come out here",
        not_worse_than_ours,
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


def judge(
    tidy: pd.DataFrame, folder: Path, alpha: float, random: Sequence[str] = ()
) -> pd.DataFrame:
    """Return a row for each claim and method of ours; a claim without comparisons has none.

    Args:
        tidy: as `results.lagrangian.tidy` returns it.
        folder: of the published values.
        alpha: error of the comparisons of a claim, after Holm.
        random: the methods whose map is random.
    """
    ours = tidy[tidy["source"] == "ours"]
    drawn = {row for method in random for row in rows_of(method, random=True)}
    methods = {str(name): lines for name, lines in ours.groupby("method", sort=False)}
    by_place = {name: _by_place(lines) for name, lines in methods.items()}
    known = Known(published(folder), [by_place[name] for name in by_place if name in drawn])
    found: list[dict[str, Any]] = []
    for claim in CLAIMS:
        if claim.check is not_worse_than_ours and not known.baselines:
            continue
        for method, lines in methods.items():
            if method in drawn:
                continue
            rows = by_place[method]
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


def _by_place(lines: pd.DataFrame) -> Rows:
    return {(row["setting"], row["quantity"]): row for row in lines.to_dict("records")}


def _result(row: Any) -> Result:
    seeds = int(row["seeds"])
    std = float(row["std"])
    if seeds > 1 and math.isfinite(std):
        std = float(equivalence.sample_std(std, seeds))
    return Result(float(row["mean"]), std, float(seeds))

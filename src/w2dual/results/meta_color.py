"""Colour transport in numbers: values of the dual on held-out pairs of images, by updates.

The value of a potential is the bound on the exact cost W2^2 that its dual gives, its conjugates
converged (`studies.colour`). It is shown in two ways:

- normalised as published: (v - min) / (max - min) of each pair, over all values that are logged of
  its runs of W2GN, from the identity and from predictions; 0 is the worst of these, 1 the best;
- as the gap to exact transport, in percent of its cost: 100 for the identity, and about the floor
  for a map that is as good as another sample of the target.

The published values are over 18 of 19 pairs, and of the parameters of the log before: "1k" is after
751 updates, "2k" after 1,751. Both are computed from the published code and its figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # `scipy.stats` has the same, and takes a second

from w2dual.records import InputError, load_arrays
from w2dual.results.claims import FAILS, HOLDS
from w2dual.results.published import read_published
from w2dual.results.summary import Budget
from w2dual.results.verdict import INCONCLUSIVE

FORMAT = 2
"""Of a study."""
IDENTITY, GAUSSIAN, W2GN = "identity", "gaussian", "w2gn"
META, META_W2GN, META_LBFGS = "meta", "meta_w2gn", "meta_lbfgs"
SHARED = (IDENTITY, GAUSSIAN, W2GN)
"""Rows that no network has a part in."""
SEED_COLUMNS = ("seed", "seeds", "diverged_seeds")
"""Which seed of a network stands for it, of how many, and how many of them diverged."""
TIDY_COLUMNS = (
    *("row", "method", "updates", "normalised_mean", "normalised_std", "gap_percent_mean"),
    *("gap_percent_std", "floor_percent_mean", "seconds", "converged_percent", "pairs"),
    *SEED_COLUMNS,
    *("published_updates", "published_mean", "published_std", "published_seconds"),
    *("measures_source", "device", "preset", "reduced", "iterations"),
)
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


@dataclass(frozen=True, kw_only=True)
class ColorSettings(Budget):
    """What the config says about the table.

    Attributes:
        cells: whose studies there are, in order.
        steps: updates of a run.
        alpha: error of a claim.
    """

    cells: tuple[str, ...]
    steps: int
    alpha: float


@dataclass(frozen=True)
class Study:
    """What fine-tuning one cell's predictions gave; arrays as `studies.colour` writes them."""

    method: str
    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]

    @property
    def updates(self) -> list[int]:
        """Updates at each log."""
        return [int(number) for number in self.arrays["updates"]]

    @property
    def seeds(self) -> dict[str, int]:
        """The seed that stands for the cell, how many there are, and how many of them diverged."""
        return dict(zip(SEED_COLUMNS, seeds_of(self.facts), strict=True))

    def bounds(self, row: str) -> np.ndarray:
        """Return the values of a row, [pairs, logs]; of one that no run has a part in, one log."""
        if row == META:
            return self.arrays[f"{META_W2GN}.bounds"][:, :1]
        found = self.arrays[f"{row}.bounds"]
        return found[:, None] if found.ndim == 1 else found


def seeds_of(facts: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return which seed of a cell was fine-tuned, of how many, and how many of them diverged."""
    return facts["seed"], len(facts["seeds"]), len(facts["diverged"])


def read_study(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays of a study, and what was written of it.

    Raises:
        InputError: the file is missing, damaged, or not as the job writes it.
    """
    arrays, facts = load_arrays(path)
    known = {"cell", "seed", "seeds", "diverged"} <= facts.keys()
    if facts.get("format") != FORMAT or not known or "updates" not in arrays:
        raise InputError(
            f"{path}: is no study of colour transport of format {FORMAT}; `color-study` makes one"
        )
    return arrays, facts


def read(paths: Sequence[Path], settings: ColorSettings) -> list[Study]:
    """Read the studies of all cells, in order.

    Raises:
        InputError: one is missing, of another cell, of other images than the rest, or not as the
            job writes it.
    """
    found: dict[str, Study] = {}
    for path in paths:
        arrays, facts = read_study(path)
        found[facts["cell"]["name"]] = Study(facts["cell"]["amortization"], arrays, facts)
    if missing := [name for name in settings.cells if name not in found]:
        raise InputError(f"no study of {', '.join(missing)}")
    studies = [found[name] for name in settings.cells]
    first = studies[0]
    for study in studies[1:]:
        same = all(
            np.array_equal(study.arrays[key], first.arrays[key])
            for key in ("exact", "test_pairs", "updates")
        )
        if not same:
            raise InputError(
                f"the studies of {first.facts['cell']['name']} and {study.facts['cell']['name']} "
                "are of other pairs of images, or logged at other updates; make them again"
            )
    return studies


class Scale:
    """Turns values of the dual into what the table shows."""

    def __init__(self, studies: Sequence[Study]) -> None:
        """Take the range of all logged values of W2GN, from wherever it starts, pair by pair."""
        runs = [study.bounds(row) for study in studies for row in (W2GN, META_W2GN)]
        logged = np.concatenate(runs, axis=1)
        self.low, self.high = logged.min(axis=1), logged.max(axis=1)
        self.exact = studies[0].arrays["exact"]

    def normalised(self, bounds: np.ndarray) -> np.ndarray:
        """Return values as published, [pairs, logs]."""
        return (bounds - self.low[:, None]) / (self.high - self.low)[:, None]

    def gap_percent(self, bounds: np.ndarray) -> np.ndarray:
        """Return what values lack of the exact cost, in percent of it."""
        return 100.0 * (1.0 - bounds / self.exact[:, None])


def published(folder: Path) -> pd.DataFrame:
    """Return the published values; `source` says whether the table or the figure has them."""
    columns = ["row", "logged_step", "updates", "mean", "std", "seconds", "source"]
    frame = read_published(folder / "meta_ot_color.csv", columns)
    for column in ("mean", "std", "seconds"):
        frame[column] = pd.to_numeric(frame[column])
    return frame


def tidy(studies: Sequence[Study], folder: Path, settings: ColorSettings) -> pd.DataFrame:
    """Return a row for each (row of the table, updates).

    Published values stand beside rows of the same name, at the same number of logged steps.
    """
    scale, known = Scale(studies), published(folder)
    first = studies[0]
    floor = 100.0 * first.arrays["floor"] / scale.exact
    rows: list[dict[str, Any]] = []
    plan = [(first, row) for row in (IDENTITY, GAUSSIAN, W2GN)]
    plan += [(study, row) for study in studies for row in (META, META_W2GN, META_LBFGS)]
    for study, row in plan:
        bounds = study.bounds(row)
        normalised, gap = scale.normalised(bounds), scale.gap_percent(bounds)
        converged = study.arrays.get(f"{META_W2GN if row == META else row}.converged")
        for place in range(bounds.shape[1]):
            updates = study.updates[place] if bounds.shape[1] > 1 else 0
            rows.append(
                {"row": row, "method": "" if row in SHARED else study.method, "updates": updates}
                | {"normalised_mean": normalised[:, place].mean()}
                | {"normalised_std": normalised[:, place].std()}
                | {"gap_percent_mean": gap[:, place].mean()}
                | {"gap_percent_std": gap[:, place].std()}
                | {"floor_percent_mean": floor.mean(), "pairs": len(bounds)}
                | {"seconds": _seconds(study, row, place)}
                | {"converged_percent": _converged(converged, place)}
                | _beside(known, row, updates)
                | ({} if row in SHARED else study.seeds)
                | {"measures_source": study.facts["measures_source"]}
                | {"device": study.facts["device"], "iterations": settings.iterations}
                | {"preset": settings.preset, "reduced": settings.reduced}
            )
    table = pd.DataFrame(rows, columns=list(TIDY_COLUMNS))
    return table.astype(dict.fromkeys(SEED_COLUMNS, "Int64"))


def _seconds(study: Study, row: str, place: int) -> float:
    """Return a pair's share of the seconds: a prediction's own are a part of what follows it."""
    if row in (IDENTITY, GAUSSIAN):
        return math.nan
    predicted = 0.0 if row == W2GN else float(study.facts["prediction_s"])
    return predicted if row == META else predicted + float(study.arrays[f"{row}.seconds"][place])


def _converged(shares: np.ndarray | None, place: int) -> float:
    if shares is None:
        return math.nan
    return 100.0 * float((shares if shares.ndim == 1 else shares[:, place]).mean())


def _beside(known: pd.DataFrame, row: str, updates: int) -> dict[str, Any]:
    """Return the published value of a row logged at a step: the table's, else the figure's."""
    same = known[(known["row"] == row) & (known["logged_step"] == updates)]
    if same.empty:
        return {}
    best = same.sort_values("source", ascending=False).iloc[0]  # "table" before "figure"
    return {
        "published_updates": int(best["updates"]),
        "published_mean": float(best["mean"]),
        "published_std": float(best["std"]),
        "published_seconds": float(best["seconds"]),
    }


def claims(studies: Sequence[Study], folder: Path, settings: ColorSettings) -> pd.DataFrame:
    """Check what the published table and figure show, on each cell, pair by pair.

    A claim is a difference of normalised values, its mean over pairs with a confidence interval of
    Student's t. It holds where the interval is above 0 and fails where it is below, each at 1 -
    alpha; else it is inconclusive, as at a reduced budget, where its numbers are shown all the
    same.

    What a claim says a value is worth is also given in updates of W2GN, with a bootstrap interval.
    """
    scale, known = Scale(studies), published(folder)
    rows: list[dict[str, Any]] = []
    for study in studies:
        for claim, check, difference, theirs, of_value in _differences(study, scale, known):
            ours, of_published = of_value or (None, math.nan)
            measured = (math.nan,) * 3 if ours is None else _worth_interval(*ours, settings.alpha)
            low, high = interval(difference, settings.alpha)
            found = HOLDS if low > 0 else FAILS if high < 0 else INCONCLUSIVE
            reason = "" if found != INCONCLUSIVE else "the interval holds 0"
            if settings.reduced:
                reason = f"reduced budget: preset {settings.preset}; else: {found}"
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
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


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

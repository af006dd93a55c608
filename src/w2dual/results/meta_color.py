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

from w2dual.records import InputError, load_arrays
from w2dual.results.published import read_published
from w2dual.results.summary import Budget

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
    def diverged(self) -> bool:
        """Whether all seeds diverged, so that there is nothing of the network."""
        return self.facts["seed"] is None

    @property
    def seeds(self) -> dict[str, int | None]:
        """The seed that stands for the cell, how many there are, and how many of them diverged."""
        return dict(zip(SEED_COLUMNS, seeds_of(self.facts), strict=True))

    def bounds(self, row: str) -> np.ndarray:
        """Return the values of a row, [pairs, logs]; of one that no run has a part in, one log.

        Those of a network that diverged are infinitely low.
        """
        if self.diverged and row not in SHARED:
            logs = 1 if row == META else len(self.updates)
            return np.full((len(self.arrays["exact"]), logs), -math.inf)
        if row == META:
            return self.arrays[f"{META_W2GN}.bounds"][:, :1]
        found = self.arrays[f"{row}.bounds"]
        return found[:, None] if found.ndim == 1 else found


def seeds_of(facts: Mapping[str, Any]) -> tuple[int | None, int, int]:
    """Return which seed of a cell was fine-tuned, of how many, and how many of them diverged.

    It is None where all did.
    """
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
        runs = [
            study.bounds(row)
            for study in studies
            for row in ((W2GN,) if study.diverged else (W2GN, META_W2GN))
        ]
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
                | {"normalised_std": _std(normalised[:, place])}
                | {"gap_percent_mean": gap[:, place].mean()}
                | {"gap_percent_std": _std(gap[:, place])}
                | {"floor_percent_mean": floor.mean(), "pairs": len(bounds)}
                | {"seconds": _seconds(study, row, place)}
                | {"converged_percent": _converged(converged, place)}
                | _beside(known, row, updates)
                | ({} if row in SHARED else study.seeds)
                | {"measures_source": study.facts["measures_source"]}
                | {"device": study.facts["device"], "iterations": settings.iterations}
                | {"preset": settings.preset, "reduced": settings.reduced}
            )
    return framed(rows, TIDY_COLUMNS)


def framed(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Return rows as a table; numbers of seeds are whole, and missing where there is no network."""
    table = pd.DataFrame(rows, columns=list(columns))
    return table.astype(dict.fromkeys(SEED_COLUMNS, "Int64"))


def _std(values: np.ndarray) -> float:
    return float(values.std()) if np.isfinite(values).all() else math.nan


def _seconds(study: Study, row: str, place: int) -> float:
    """Return a pair's share of the seconds: a prediction's own are a part of what follows it."""
    if row in (IDENTITY, GAUSSIAN) or (study.diverged and row not in SHARED):
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

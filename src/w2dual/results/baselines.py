"""The benchmark's own methods next to their published values, and a word for each.

The published values are of one run, and of its best evaluation, chosen by the optimal map itself
(inferred: they are below the plateaus of the runs in the benchmark's notebooks, and a run that
diverged has a value too). So the best of a run is what is compared; the last is given beside it.
One run has no spread and is printed to 0.1, so that no test of equivalence can be made. The words,
by the first line that fits:

| ours                                             | published        | word                  |
|--------------------------------------------------|------------------|-----------------------|
| reduced preset, other measures, or too few seeds | any              | inconclusive          |
| a seed diverged, or the mean is above the limit  | no value         | diverged as published |
| neither                                          | no value         | better                |
| no evaluation of a seed was finite               | a number         | worse                 |
| the mean is within the margin, or half a unit    | a number         | reproduced            |
| the published run may be one of ours             | a number         | inconclusive          |
| higher, lower                                    | a number         | worse, better         |

The published run may be one of ours where it is in the interval in which one more of our seeds lies
with probability 1 - alpha (Student's t), half a printed unit added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # `scipy.stats` has the same, and takes a second

from w2dual.config.rows import NONE
from w2dual.records import InputError
from w2dual.results.published import read_published
from w2dual.results.summary import METRIC, Entry, check_cell
from w2dual.results.verdict import (
    BETTER,
    DIVERGED,
    INCONCLUSIVE,
    REPRODUCED,
    WORSE,
    VerdictSettings,
    excluded,
)

FILE = "hd_benchmark.csv"
INVERSE = "l2_uvp_inverse_percent"
HALF_UNIT = 0.05
"""Half of the last digit that the benchmark prints."""
AFTER, START = "after", "start"
"""Marks of the benchmark: diverged after having been near the optimum, or from the start."""
COLUMNS = (
    *("method", "solver", "name", "dimension"),
    *("best_mean", "best_std", "last_mean", "last_std"),
    *("inverse_best_mean", "inverse_best_std", "inverse_last_mean", "inverse_last_std"),
    *("seeds", "diverged_seeds", "published_mean", "published_diverged"),
    *("margin", "interval_low", "interval_high", "verdict", "reason"),
    *("measures_source", "preset", "reduced"),
)


def published_values(folder: Path) -> pd.DataFrame:
    """Return the benchmark's table: name, our name of the method, dimension, mean, mark."""
    return read_published(folder / FILE, ["name", "method", "dimension", "mean", "diverged"])


def tidy(frame: pd.DataFrame, published: Path, settings: VerdictSettings) -> pd.DataFrame:
    """Return a row for each row of the table and dimension of the preset; columns as `COLUMNS`.

    Args:
        frame: tidy metrics of the cells.
        published: folder of the published values.
        settings: what the config says.

    Raises:
        InputError: a cell lacks a seed, its best evaluation, has one twice, or comes from another
            preset.
    """
    known = {
        (row["method"], NONE, row["dimension"]): row  # none of them takes a conjugate solver
        for row in published_values(published).to_dict("records")
    }
    rows = []
    for method, solver in settings.methods:
        for n in settings.dimensions:
            cell = frame[
                (frame["amortization"] == method)
                & (frame["solver"] == solver)
                & (frame["dimension"] == n)
            ]
            place = {"method": method, "solver": solver, "dimension": n}
            what = f"{method}, {solver}, n = {n}"
            check_cell(cell, what, settings)
            rows.append(_row(cell, place, known.get((method, solver, n), {}), what, settings))
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    found["preset"], found["reduced"] = settings.preset, settings.reduced
    return found


def _row(
    cell: pd.DataFrame,
    place: Mapping[str, Any],
    known: Mapping[Any, Any],
    what: str,
    settings: VerdictSettings,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        **place,
        "name": known.get("name", ""),
        "published_mean": known.get("mean", math.nan),
        "published_diverged": known.get("diverged", ""),
        "measures_source": cell["measures_source"].iloc[0],
    }
    statuses = cell["status"].tolist()
    for metric, prefix in ((METRIC, ""), (INVERSE, "inverse_")):
        best = cell[f"best_{metric}"].astype(float)
        if best.isna().any():
            raise InputError(
                f"table: cell {what}: the metrics lack the best evaluation of a seed; train it "
                "again with this version"
            )
        entries = {
            "best": Entry.of(best.tolist(), ["finished"] * len(best)),
            "last": Entry.of(cell[metric].astype(float).tolist(), statuses),
        }
        for name, entry in entries.items():
            row |= {f"{prefix}{name}_mean": entry.mean, f"{prefix}{name}_std": entry.std}
    row |= {"seeds": len(cell), "diverged_seeds": statuses.count("diverged")}
    return row | _judged(row, settings)


def _judged(row: Mapping[str, Any], settings: VerdictSettings) -> dict[str, Any]:
    """Return margin, interval, word and reason of a row."""
    out = excluded({"ours_seeds": row["seeds"], **row}, settings)
    if out is not None:
        return dict(zip(("verdict", "reason"), out, strict=True))
    if not row["name"]:
        return {"verdict": INCONCLUSIVE, "reason": "the benchmark has no value"}
    published = row["published_mean"]
    if math.isnan(published):
        if row["diverged_seeds"] or not row["last_mean"] <= settings.diverged_above:
            return {"verdict": DIVERGED, "reason": "diverges here too"}
        return {"verdict": BETTER, "reason": "does not diverge, as it does in the benchmark"}
    mean, seeds = row["best_mean"], row["seeds"]
    if math.isinf(mean):
        return {"verdict": WORSE, "reason": "a seed had no finite evaluation"}
    margin = max(float(settings.margin(published)), HALF_UNIT)
    spread = row["best_std"] * math.sqrt(seeds / (seeds - 1)) * math.sqrt(1 + 1 / seeds)
    half = float(stdtrit(seeds - 1, 1 - settings.alpha / 2)) * spread + HALF_UNIT
    interval = {"margin": margin, "interval_low": mean - half, "interval_high": mean + half}
    word, reason = _word(mean - published, margin, half)
    return interval | {"verdict": word, "reason": reason}


def _word(difference: float, margin: float, half: float) -> tuple[str, str]:
    if np.abs(difference) <= margin:
        return REPRODUCED, "the best of a run is within the margin"
    if np.abs(difference) <= half:
        return INCONCLUSIVE, "seeds vary so much that the published run may be one of them"
    return (WORSE, "higher") if difference > 0 else (BETTER, "lower")

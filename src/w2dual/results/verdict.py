"""Whether the HD evaluation reproduced: one word for each cell with a published value.

Ours is the mean over seeds of the forward L2-UVP. A seed that diverged counts at its last
evaluation, since that is what the paper's tables hold: their aggregation takes the last row of each
run's log, whatever ended it; the reason says so. Ours is *diverged* where that mean exceeds
`tables.diverged_above`, which the paper prints as `>100`. The words, by the first line that fits:

| ours                                 | published | word                    |
|--------------------------------------|-----------|-------------------------|
| no such cell in the preset           | any       | missing                 |
| reduced preset                       | any       | inconclusive            |
| measures that are not the published  | any       | inconclusive            |
| fewer seeds than `min_seeds`         | any       | inconclusive            |
| diverged                             | `>100`    | diverged as published   |
| diverged                             | a number  | worse                   |
| a number                             | `>100`    | better                  |
| equivalent (two one-sided tests)     | a number  | reproduced              |
| different, and higher                | a number  | worse                   |
| different, and lower                 | a number  | better                  |
| neither can be said                  | a number  | inconclusive            |

Equivalent: two one-sided Welch tests show the difference to lie within the margin. Different:
Welch's test shows it not to be 0. Both kinds of p-value are adjusted by Holm over the cells of a
table that are tested, each kind as a family of its own; so a table has a wrong "reproduced" with
probability at most alpha, and a "better" or "worse" of equal means likewise. An equivalent cell is
reproduced even where its difference is not 0, since the margin says what does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2dual.records import InputError
from w2dual.results import aggregate, equivalence
from w2dual.results.frames import read_csv
from w2dual.results.published import published_cells
from w2dual.results.summary import Entry, TableSettings, check_cell

PAPER_SEEDS = 10
"""Amos 2023, section 5: "10 trials"."""
PAPER_POTENTIALS = ("icnn", "mlp")
HALF_UNIT = 0.005
"""Half of the last digit that the paper prints."""

REPRODUCED, BETTER, WORSE = "reproduced", "better", "worse"
INCONCLUSIVE, DIVERGED, MISSING = "inconclusive", "diverged as published", "missing"
WORDS = (REPRODUCED, DIVERGED, BETTER, WORSE, INCONCLUSIVE, MISSING)
COLUMNS = (
    *("potential", "amortization", "solver", "dimension"),
    *("ours_mean", "ours_std", "ours_seeds", "ours_diverged_seeds", "ours_diverged"),
    *("published_mean", "published_std", "published_seeds", "published_diverged"),
    *("difference", "interval_low", "interval_high", "margin"),
    *("p_equivalent", "p_different", "p_equivalent_holm", "p_different_holm"),
    *("verdict", "reason", "measures_source", "preset", "reduced"),
)


@dataclass(frozen=True, kw_only=True)
class VerdictSettings(TableSettings):
    """What the config says about the verdict.

    Attributes:
        alpha: of a family of tests, the cells of a table.
        margin_fraction: of the published mean; a difference within does not matter.
        margin_floor: percent of L2-UVP; the margin is not below it.
        min_seeds: fewer of our seeds give no verdict.
    """

    alpha: float
    margin_fraction: float
    margin_floor: float
    min_seeds: int

    @classmethod
    def _flat(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        found = super()._flat(record)
        judged = found.pop("verdict", {})
        return {**found, **(judged if isinstance(judged, Mapping) else {"verdict": judged})}

    def margin(self, published_mean: Any) -> Any:
        """Return the margin of a published mean, in percent of L2-UVP."""
        return np.maximum(self.margin_fraction * published_mean, self.margin_floor)


def published_hd(folder: Path) -> pd.DataFrame:
    """Return every published HD cell, in the order of the paper's tables."""
    parts = [published_cells(folder, name).assign(potential=name) for name in PAPER_POTENTIALS]
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        raise InputError(f"{folder}: holds no published values of HD cells")
    return found


def cell_rows(frame: pd.DataFrame, published: Path, settings: VerdictSettings) -> pd.DataFrame:
    """Return a row for each published cell, with ours next to it where the preset has it.

    Args:
        frame: tidy metrics of all HD cells.
        published: folder of the values transcribed from the paper.
        settings: what the config says.

    Raises:
        InputError: a cell lacks a seed, has one twice, or comes from another preset.
    """
    keys = ["potential", "amortization", "solver", "dimension"]
    ours: dict[Any, pd.DataFrame] = {key: cell for key, cell in frame.groupby(keys)}
    rows = []
    for known in published_hd(published).itertuples(index=False):
        cell = ours.get((known.potential, known.amortization, known.solver, known.dimension))
        row = {
            "potential": known.potential,
            "amortization": known.amortization,
            "solver": known.solver,
            "dimension": known.dimension,
            "published_mean": known.mean,
            "published_std": known.std,
            "published_seeds": PAPER_SEEDS,
            "published_diverged": bool(known.diverged),
        }
        if cell is not None:
            what = f"{known.potential}, {known.amortization}, {known.solver}, n={known.dimension}"
            check_cell(cell, what, settings)
            entry = Entry.as_published(cell)
            row |= {
                "ours_mean": entry.mean,
                "ours_std": entry.std,
                "ours_seeds": entry.seeds,
                "ours_diverged_seeds": entry.diverged_seeds,
                "ours_diverged": not entry.mean <= settings.diverged_above,
                "measures_source": cell["measures_source"].iloc[0],
            }
        rows.append(row)
    tidy = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("ours_seeds", "ours_diverged_seeds"):
        tidy[column] = tidy[column].astype("Int64")
    tidy["ours_diverged"] = tidy["ours_diverged"].astype("boolean")
    tidy["preset"], tidy["reduced"] = settings.preset, settings.reduced
    return tidy


def judge(rows: pd.DataFrame, settings: VerdictSettings) -> pd.DataFrame:
    """Fill in differences, p-values, words and reasons; see the module's table.

    Args:
        rows: as `cell_rows` returns them.
        settings: what the config says.
    """
    judged = rows.copy()
    numbers = [column for column in COLUMNS if column.startswith(("ours_m", "ours_std", "publ"))]
    numeric = judged[numbers].astype(float)
    seeds = judged["ours_seeds"].astype(float).fillna(0)
    both = (
        np.isfinite(numeric["ours_mean"])
        & np.isfinite(numeric["published_mean"])
        & ~judged["ours_diverged"].fillna(True).astype(bool)
        & (seeds >= 2)
    )
    ours, paper, counts = numeric[both], judged[both], seeds[both]
    found = equivalence.difference(
        ours["ours_mean"],
        equivalence.sample_std(ours["ours_std"], counts),
        counts,
        ours["published_mean"],
        # A std printed as 0.00 is some value below half a unit, and is taken as that.
        equivalence.sample_std(np.maximum(ours["published_std"], HALF_UNIT), PAPER_SEEDS),
        float(PAPER_SEEDS),
    )
    margin = settings.margin(ours["published_mean"].to_numpy())
    low, high = equivalence.interval(found, settings.alpha)
    for column, values in {
        "difference": found.estimate,
        "interval_low": low,
        "interval_high": high,
        "margin": margin,
        "p_equivalent": equivalence.p_equivalent(found, margin),
        "p_different": equivalence.p_different(found),
    }.items():
        judged[column] = pd.Series(np.asarray(values, dtype=float), paper.index).reindex(
            judged.index
        )
    left_out = [excluded(row, settings) for row in judged.to_dict("records")]
    eligible = np.array([reason is None for reason in left_out])
    for column in ("p_equivalent", "p_different"):
        tested = judged[column].where(eligible)
        judged[f"{column}_holm"] = tested.groupby(judged["potential"]).transform(
            lambda family: equivalence.holm(family.to_numpy())
        )
    answers = [
        reason if reason is not None else _word(row, settings)
        for row, reason in zip(judged.to_dict("records"), left_out, strict=True)
    ]
    judged["verdict"] = [word for word, _ in answers]
    judged["reason"] = [reason for _, reason in answers]
    return judged


def excluded(row: Mapping[Any, Any], settings: VerdictSettings) -> tuple[str, str] | None:
    """Return word and reason of a cell that no test can judge; None for the others."""
    if pd.isna(row["ours_seeds"]):
        return MISSING, f"not a cell of the preset {settings.preset}"
    if settings.reduced:
        return INCONCLUSIVE, f"reduced budget: preset {settings.preset}"
    if row["measures_source"] == "generated":
        return INCONCLUSIVE, "measures generated here, not the published ones"
    if row["ours_seeds"] < settings.min_seeds:
        return INCONCLUSIVE, f"too few seeds: {row['ours_seeds']}, needed {settings.min_seeds}"
    return None


def _word(row: Mapping[Any, Any], settings: VerdictSettings) -> tuple[str, str]:
    word, reason = _comparison(row, settings)
    if row["ours_diverged_seeds"]:
        reason += (
            f"; {row['ours_diverged_seeds']} of {row['ours_seeds']} seeds diverged and count at "
            "their last evaluation, as in the paper"
        )
    return word, reason


def _comparison(row: Mapping[Any, Any], settings: VerdictSettings) -> tuple[str, str]:
    if row["ours_diverged"]:
        return (DIVERGED if row["published_diverged"] else WORSE), "mean above limit"
    if row["published_diverged"]:
        return BETTER, "the mean is below the limit, which it exceeds in the paper"
    if row["p_equivalent_holm"] <= settings.alpha:
        return REPRODUCED, "equivalent within the margin"
    if row["p_different_holm"] <= settings.alpha:
        return (WORSE, "higher") if row["difference"] > 0 else (BETTER, "lower")
    return INCONCLUSIVE, "neither equivalent nor different: seeds vary too much for the margin"


def counts(judged: pd.DataFrame) -> dict[str, int]:
    """Count the cells of each word, in the order of `WORDS`."""
    found = judged["verdict"].value_counts()
    return {word: int(found.get(word, 0)) for word in WORDS}


def read(path: Path, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """Read the .csv of a verdict.

    Raises:
        InputError: the file is missing, unreadable or lacks a column; the message names it.
    """
    return read_csv(path, columns)


def of_files(metrics: Sequence[Path], published: Path, settings: VerdictSettings) -> pd.DataFrame:
    """Judge the cells of tidy metrics files."""
    frame = pd.concat([aggregate.read(path) for path in metrics], ignore_index=True)
    return judge(cell_rows(frame, published, settings), settings)

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

import argparse
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2dual import aggregate, equivalence
from w2dual.latex import booktabs, escape, fitted, footnotes
from w2dual.names import words
from w2dual.published import published_cells
from w2dual.records import InputError, atomic_path, json_argument
from w2dual.tables import Entry, TableSettings, budget_notes, check_cell

log = logging.getLogger(__name__)

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
        min_seeds: fewer of ours give no verdict.
    """

    alpha: float
    margin_fraction: float
    margin_floor: float
    min_seeds: int

    @classmethod
    def _fields(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        verdict = record["verdict"]
        return super()._fields(record) | {
            "alpha": float(verdict["alpha"]),
            "margin_fraction": float(verdict["margin_fraction"]),
            "margin_floor": float(verdict["margin_floor"]),
            "min_seeds": int(verdict["min_seeds"]),
        }

    def margin(self, published_mean: Any) -> Any:
        """Give the margin of a published mean, in percent of L2-UVP."""
        return np.maximum(self.margin_fraction * published_mean, self.margin_floor)


def published_hd(folder: Path) -> pd.DataFrame:
    """Give every published HD cell, in the order of the paper's tables."""
    parts = [published_cells(folder, name).assign(potential=name) for name in PAPER_POTENTIALS]
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        raise InputError(f"{folder}: holds no published values of HD cells")
    return found


def cell_rows(frame: pd.DataFrame, published: Path, settings: VerdictSettings) -> pd.DataFrame:
    """Give a row for each published cell, with ours beside it where the preset has it.

    Args:
        frame: tidy metrics of all HD cells.
        published: folder of the values transcribed from the paper.
        settings: what the config says.

    Raises:
        InputError: a cell lacks a seed, has one twice, or comes from another preset.
    """
    rows = []
    for known in published_hd(published).itertuples(index=False):
        cell = frame[
            (frame["potential"] == known.potential)
            & (frame["amortization"] == known.amortization)
            & (frame["solver"] == known.solver)
            & (frame["dimension"] == known.dimension)
        ]
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
        if not cell.empty:
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
        rows: as `cell_rows` gives them.
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
    excluded = [_excluded(row, settings) for row in judged.to_dict("records")]
    eligible = np.array([reason is None for reason in excluded])
    for column in ("p_equivalent", "p_different"):
        tested = judged[column].where(eligible)
        judged[f"{column}_holm"] = tested.groupby(judged["potential"]).transform(
            lambda family: equivalence.holm(family.to_numpy())
        )
    answers = [
        reason if reason is not None else _word(row, settings)
        for row, reason in zip(judged.to_dict("records"), excluded, strict=True)
    ]
    judged["verdict"] = [word for word, _ in answers]
    judged["reason"] = [reason for _, reason in answers]
    return judged


def _excluded(row: Mapping[Any, Any], settings: VerdictSettings) -> tuple[str, str] | None:
    """Give word and reason of a cell that no test can judge; None for the others."""
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


def summary(judged: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Say in one paragraph, in LaTeX, what has reproduced.

    Args:
        judged: as `judge` gives it.
        claims: as `w2dual.claims` gives them.
    """
    present = judged[judged["verdict"] != MISSING]
    found = counts(judged)
    listed = ", ".join(f"{number} {escape(word)}" for word, number in found.items() if number)
    text = (
        rf"\textbf{{Verdict.}} Of the {len(judged)} cells that the paper reports in high "
        f"dimensions, this run has {len(present)}: {listed}. "
    )
    if bool(judged["reduced"].any()):
        text += "At a reduced budget no cell can be called reproduced. "
    else:
        text += "A cell is called reproduced where tests show it to be equivalent. "
    held = [escape(row.claim) for row in claims.itertuples() if row.verdict == "holds"]
    rest = [
        f"{escape(row.claim)} ({escape(row.verdict)})"
        for row in claims.itertuples()
        if row.verdict != "holds"
    ]
    if held:
        text += "Claims of the paper that hold here: " + "; ".join(held) + ". "
    if rest:
        text += "Claims not confirmed here: " + "; ".join(rest) + "."
    return text.strip()


def tex(judged: pd.DataFrame, settings: VerdictSettings) -> str:
    """Render the cells of the preset: ours / published, interval of the difference, word."""
    shown = judged[judged["verdict"] != MISSING]
    dimensions = sorted(set(shown["dimension"]))
    rows: list[list[str]] = []
    keys = list(
        dict.fromkeys(zip(shown["potential"], shown["amortization"], shown["solver"], strict=True))
    )
    previous = None
    for potential, amortization, solver in keys:
        cells = {
            row["dimension"]: row
            for row in shown[
                (shown["potential"] == potential)
                & (shown["amortization"] == amortization)
                & (shown["solver"] == solver)
            ].to_dict("records")
        }
        rule = r"\addlinespace "
        if previous is None:
            rule = ""
        elif previous != potential:
            rule = r"\midrule "
        name = escape(words(potential)) if potential != previous else ""
        previous = potential
        rows.append([rule + name, escape(words(amortization)), escape(words(solver))])
        rows[-1] += [_entry(cells.get(n), settings) for n in dimensions]
    if not rows:
        rows.append([r"\multicolumn{3}{l}{No cell of this preset has a published value}", "", ""])
    heads = ["Potential", "Amortization", "Solver", *(f"$n={n}$" for n in dimensions)]
    bold = [[False] * len(heads)] * len(rows)
    body = booktabs(heads, rows, bold, "lll" + "c" * len(dimensions))
    return fitted(body) + footnotes(_notes(judged, settings))


def _entry(row: Mapping[Any, Any] | None, settings: VerdictSettings) -> str:
    if row is None:
        return "--"
    digits, limit = settings.decimals, f"$>${settings.diverged_above:g}"
    ours = limit if row["ours_diverged"] else f"{row['ours_mean']:.{digits}f}"
    paper = limit if row["published_diverged"] else f"{row['published_mean']:.{digits}f}"
    lines = [f"{ours} / {paper}"]
    if math.isfinite(row["interval_low"]):
        ends = f"{row['interval_low']:+.{digits}f}, {row['interval_high']:+.{digits}f}"
        lines.append(rf"{{\scriptsize$[{ends}]$}}")
    word = str(row["verdict"])
    lines.append(r"{\scriptsize " + (rf"\textbf{{{word}}}" if word == REPRODUCED else word) + "}")
    return r"$\vcenter{\hbox{\shortstack{" + r"\\".join(lines) + "}}}$"


def _notes(judged: pd.DataFrame, settings: VerdictSettings) -> list[str]:
    level = 100 * (1 - 2 * settings.alpha)
    missing = counts(judged)[MISSING]
    notes = [
        r"Forward L$^2$-UVP in percent: ours / published mean; below, where both are numbers, the "
        rf"{level:g}\% confidence interval of their difference (Welch; {PAPER_SEEDS} published "
        r"seeds, standard deviations of ddof 0 converted) and the word. "
        rf"Reproduced: two one-sided tests show a difference within $\pm$ the larger of "
        rf"{settings.margin_fraction:g} of the published mean and {settings.margin_floor:g}. "
        rf"Better, worse: different by Welch's test, or above the limit on one side only. A seed "
        r"that diverged counts at its last evaluation, as in the paper's tables. Holm over the "
        rf"cells of a potential, $\alpha={settings.alpha:g}$, for either kind of test; intervals "
        r"are not adjusted. Inconclusive: neither, fewer than "
        rf"{settings.min_seeds} seeds, a reduced budget, or measures generated here."
    ]
    if missing:
        notes.append(f"Cells of the paper that this preset does not have: {missing}.")
    return notes + budget_notes(settings)


def read(path: Path, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """Read the .csv of a verdict.

    Raises:
        InputError: the file is missing, unreadable or lacks a column; the message names it.
    """
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}: is not a readable CSV file: {error}") from error
    lacking = [column for column in columns if column not in frame.columns]
    if lacking:
        raise InputError(f"{path}: lacks the columns {', '.join(lacking)}")
    return frame


def of_files(metrics: Sequence[Path], published: Path, settings: VerdictSettings) -> pd.DataFrame:
    """Judge the cells of tidy metrics files."""
    frame = pd.concat([aggregate.read(path) for path in metrics], ignore_index=True)
    return judge(cell_rows(frame, published, settings), settings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="tidy metrics of all potentials"
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of published values")
    parser.add_argument("--settings", required=True, help="verdict settings: JSON or a file of it")
    parser.add_argument("--tex", type=Path, required=True, help="table to write")
    parser.add_argument("--csv", type=Path, required=True, help="the same numbers and more, tidy")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = VerdictSettings.from_json(json_argument(args.settings))
    judged = of_files(args.metrics, args.published, settings)
    with atomic_path(args.csv) as partial_csv, atomic_path(args.tex) as partial_tex:
        judged.to_csv(partial_csv, index=False, lineterminator="\n")
        partial_tex.write_text(tex(judged, settings), encoding="utf-8")
    listed = ", ".join(f"{number} {word}" for word, number in counts(judged).items())
    log.info("%s, %s: written: %s", args.tex, args.csv, listed)

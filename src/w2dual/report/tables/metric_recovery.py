"""The table of recovered metrics: LaTeX with booktabs, and the same numbers as tidy CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import words
from w2dual.measures.snapshots.alignment import CHANCE
from w2dual.records import InputError
from w2dual.report.latex import Row, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables.hd import budget_notes
from w2dual.results import aggregate
from w2dual.results.frames import read_csv
from w2dual.results.measured.metric_recovery import MEASURED
from w2dual.results.published import read_published
from w2dual.results.summary import Budget, Entry, check_cell, seeds_in_words
from w2dual.studies.published_metrics import COLUMNS as SCORES

METRIC = "alignment"
COLUMNS = (
    "name",
    "set",
    "mean",
    "std",
    "seeds",
    "diverged_seeds",
    "source",
    "measures_source",
    "preset",
    "reduced",
    "iterations",
)
OURS, PUBLISHED, WEIGHTS, CHANCE_ROW = "ours", "published", "weights", "chance"
"""Where a row's numbers come from."""
OTHERS = "Scarvelis and Solomon (2023)"
"""Whose scores the talk's claim is about, as its table names them."""
RESCORED = "Scarvelis and Solomon (2023), their weights scored here"
DECIMALS = 3


@dataclass(frozen=True, kw_only=True)
class RecoverySettings(Budget):
    """What the config says about the table.

    Attributes:
        sets: columns, in order.
        methods: rows of ours, in order.
        baselines: of these, Scarvelis and Solomon's method trained here.
        steps: of training, by method and set.
        grid: points along each side of the grid that alignment is a mean over.
    """

    sets: tuple[str, ...]
    methods: tuple[str, ...]
    baselines: tuple[str, ...]
    steps: Mapping[str, Mapping[str, int]]
    grid: int


def tidy(
    frame: pd.DataFrame, scores: pd.DataFrame | None, published: Path, settings: RecoverySettings
) -> pd.DataFrame:
    """Return the numbers of the table: a row for each (method or source, set).

    Args:
        frame: tidy metrics of the cells.
        scores: of published weights that a user has; None without.
        published: folder of transcribed values.
        settings: of the table.

    Raises:
        InputError: a cell or a seed is missing or given twice, or comes from another preset.
    """
    rows: list[dict[str, Any]] = []
    made = {"preset": settings.preset, "reduced": settings.reduced}
    for method in settings.methods:
        for name in settings.sets:
            cell = frame[(frame["amortization"] == method) & (frame["pair"] == name)]
            check_cell(cell, f"{name}, {method}", settings)
            entry = Entry.of(cell[METRIC].tolist(), cell["status"].tolist())
            rows.append(
                {"name": method, "set": name, "mean": entry.mean, "std": entry.std}
                | {"seeds": entry.seeds, "diverged_seeds": entry.diverged_seeds, "source": OURS}
                | {"measures_source": cell["measures_source"].iloc[0]}
                | {"iterations": settings.steps[method][name]}
                | made
            )
    known = read_published(published / "metric_recovery.csv", ["name", "set", "mean", "std"])
    for row in known[known["set"].isin(settings.sets)].to_dict("records"):
        rows.append({**row, "source": PUBLISHED} | made)
    if scores is not None:
        for row in scores[scores["set"].isin(settings.sets)].to_dict("records"):
            rows.append(
                {"name": RESCORED, "set": row["set"], "mean": row["alignment"], "source": WEIGHTS}
                | made
            )
    rows += [
        {"name": "random directions", "set": name, "mean": CHANCE, "source": CHANCE_ROW} | made
        for name in settings.sets
    ]
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("seeds", "diverged_seeds", "iterations"):
        found[column] = found[column].astype("Int64")
    return found


def claim(frame: pd.DataFrame, method: str) -> tuple[int, int, str]:
    """Check the talk's claim on one of our methods: better than Scarvelis and Solomon's metrics.

    On each set by our mean against their published score, which has no spread.

    Returns:
        Sets on which ours is above, sets that are compared, and the word: `holds` or `fails` by
        half of the sets; `inconclusive` at a reduced budget or on samples that are not the
        published ones.
    """
    ours = frame[(frame["source"] == OURS) & (frame["name"] == method)].set_index("set")
    known = frame[(frame["source"] == PUBLISHED) & (frame["name"] == OTHERS)].set_index("set")
    above, compared = _above(ours, known)
    other = bool(ours["reduced"].any() or (ours["measures_source"] == "generated").any())
    word = "holds" if compared and 2 * above >= compared else "fails"
    return above, compared, "inconclusive" if other else word


def _above(ours: pd.DataFrame, others: pd.DataFrame) -> tuple[int, int]:
    """Return the sets on which our mean is above another's, and those that both have.

    One that is infinite is of a cell that has diverged.
    """
    compared = [name for name in ours.index if name in others.index]
    above = sum(
        math.isfinite(mean := float(ours["mean"][name]))
        and (mean > (other := float(others["mean"][name])) or math.isinf(other))
        for name in compared
    )
    return above, len(compared)


def tex(frame: pd.DataFrame, settings: RecoverySettings) -> str:
    """Render the table: booktabs, and notes that say what the entries are."""
    rows: list[Row] = []
    last = ""
    for (source, name), lines in frame.groupby(["source", "name"], sort=False):
        by_set = {str(line["set"]): line for line in lines.to_dict("records")}
        label = escape(words(str(name)) if source == OURS else str(name))
        if source == PUBLISHED:
            label += r" {\scriptsize published}"
        fields = [label, *(_entry(by_set.get(column)) for column in settings.sets)]
        rows.append(Row(fields, above=r"\addlinespace" if last and source != last else ""))
        last = str(source)
    heads = ["", *(escape(_capital(words(name))) for name in settings.sets)]
    body = booktabs(heads, rows, "l" + "r" * len(settings.sets))
    return fitted(body) + footnotes(_notes(frame, settings))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _entry(row: Mapping[Any, Any] | None) -> str:
    if row is None:
        return "--"
    if not math.isfinite(row["mean"]):
        return rf"{{\scriptsize diverged ({row['diverged_seeds']}/{row['seeds']})}}"
    text = f"{row['mean']:.{DECIMALS}f}"
    one_seed = row["source"] == OURS and row["seeds"] == 1
    if pd.isna(row["std"]) or one_seed:
        return text
    return text + rf" {{\scriptsize$\pm${row['std']:.{DECIMALS}f}}}"


def _notes(frame: pd.DataFrame, settings: RecoverySettings) -> list[str]:
    ours = frame[frame["source"] == OURS]
    several = len(settings.seeds) > 1
    spread = r"mean $\pm$ standard deviation (ddof 0) over " if several else "of "
    notes = [
        r"Alignment: mean of $|\langle v_{\mathrm{true}},v_{\mathrm{learned}}\rangle|$ over "
        rf"${settings.grid}\times{settings.grid}$ points, $v$ the direction that a metric is "
        r"cheapest along; 1 is the truth, higher is better. Published values: the author's talk, "
        "three trials.",
        f"Ours: {spread}{seeds_in_words(settings)}. Three seeds are too few for a verdict.",
    ]
    if (ours["measures_source"] == "generated").any():
        sets = ", ".join(
            words(name)
            for name in dict.fromkeys(ours[ours["measures_source"] == "generated"]["set"])
        )
        notes.append(
            rf"\textbf{{Samples generated here}} by the published recipe for {escape(sets)}: the "
            "published files name no licence. Published rows are of those files."
        )
    notes.append(f"Steps of training: {'; '.join(_steps(settings, m) for m in settings.methods)}.")
    notes += [
        rf"{escape(words(name))}: settings of the first version of the published code; those of "
        r"the published weights are not known. \textbf{The weight of the regularisation is "
        "inferred} from a published file's name for the circle, and ours for the other sets. "
        "Potentials and metric are trained once, which is ours for sets where that version has "
        "more rounds."
        for name in settings.baselines
    ]
    for method in settings.methods:
        if method in settings.baselines:
            continue
        for name in settings.baselines:
            above, compared = _above(
                *(ours[ours["name"] == n].set_index("set") for n in (method, name))
            )
            notes.append(
                rf"On the same samples {escape(words(method))} is above the row "
                rf"{escape(words(name))} on {above} of {compared} sets."
            )
        above, compared, word = claim(frame, method)
        notes.append(
            "Claim (talk): ``Excels at solving OT and learning metrics''. "
            rf"{escape(words(method))} is above Scarvelis and Solomon's published score on "
            rf"{above} of {compared} sets: \textbf{{{word}}}."
        )
    if ours["diverged_seeds"].fillna(0).any():
        notes.append("diverged ($k$/$m$): $k$ of $m$ seeds diverged.")
    return notes + budget_notes(settings)


def _steps(settings: RecoverySettings, method: str) -> str:
    """Word a method's steps: one number where all sets have the same, else each set's."""
    own = [settings.steps[method][name] for name in settings.sets]
    alike = len(set(own)) == 1
    return f"{escape(words(method))} " + ", ".join(f"{n:,}" for n in (own[:1] if alike else own))


def write(
    metrics: Path,
    scores: Sequence[Path],
    published: Path,
    settings: RecoverySettings,
    outputs: tuple[Path, Path],
) -> None:
    """Write the table, and its numbers.

    Args:
        metrics: tidy metrics of the cells.
        scores: files of scores of published weights; none without.
        published: folder of transcribed values.
        settings: what the config says.
        outputs: the table and the numbers to write.

    Raises:
        InputError: an input cannot be used; nothing is written then.
    """
    if not settings.sets or not settings.methods:
        raise InputError("table metric_recovery: there is no set or no method to show")
    found = tidy(
        aggregate.read(metrics, MEASURED),
        pd.concat([read_csv(path, SCORES) for path in scores]) if scores else None,
        published,
        settings,
    )
    write_table(outputs[0], tex(found, settings), outputs[1], found)

"""The benchmark's own methods as a table: native beside published, both directions, a word each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import own_method_words, words
from w2dual.report.latex import Row, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables.hd import measures_notes
from w2dual.results import aggregate, baselines
from w2dual.results.baselines import AFTER, START
from w2dual.results.summary import seeds_in_words
from w2dual.results.verdict import VerdictSettings

MARKS = {AFTER: "$^{!}$", START: r"$\times$"}
_ENOT = (
    "Buzun, Bobrin and Dylov (2024), by their published script, which is of $n = 64$; other "
    "dimensions take the same settings (inferred). It comes after the paper and is not compared "
    "with a published value. Batches are independent"
)
NOTES = {
    "enot": f"{_ENOT}.",
    "enot_table": f"{_ENOT}. Expectile, weight and steps are those of its paper's table, from a "
    "digest of that paper; the rest is as in the script (inferred).",
    "enot_widths": f"{_ENOT}. Its networks have the hidden widths of the paper's MLP (ours).",
    "enot_pairs": "a diagnosis: trained on the true pairs $y = T^*(x)$, which nobody has who needs "
    "a map, as the published script's loader draws them (read in the code, not run).",
    "QC": "its h is another of the many solutions of the linear programme than the published one; "
    "how much that moves in a whole run is not known.",
}
"""What is not as published, or not known, by the name of a method: the benchmark's, or ours."""
LINES = {
    "published": "forward, published",
    "best": "forward, best of a run",
    "last": "forward, last",
    "inverse_best": "inverse, best of a run",
    "inverse_last": "inverse, last",
    "verdict": "verdict",
}


def tex(tidy: pd.DataFrame, settings: VerdictSettings) -> str:
    """Render the table; columns as `baselines.tidy` returns them."""
    rows: list[Row] = []
    for method in settings.methods:
        cells = {
            row["dimension"]: row
            for row in tidy.to_dict("records")
            if (row["method"], row["solver"]) == method
        }
        name = next(iter(cells.values()))["name"] or own_method_words(*method)
        for place, (line, label) in enumerate(LINES.items()):
            shown = [_entry(cells[n], line, settings) for n in settings.dimensions]
            above = r"\midrule" if rows and not place else ""
            first = f"[{escape(name)}]" if not place else ""
            # Braces, since LaTeX would take a bracket after a line's end for an argument of that.
            rows.append(Row(["{" + first + "}", label, *shown], above=above))
    heads = ["Method", "", *(f"$n={n}$" for n in settings.dimensions)]
    body = booktabs(heads, rows, "ll" + "r" * len(settings.dimensions))
    return fitted(body) + footnotes(_notes(tidy, settings))


def _entry(row: Mapping[Any, Any], line: str, settings: VerdictSettings) -> str:
    if line == "verdict":
        return rf"{{\scriptsize {escape(row['verdict'])}}}"
    if line == "published":
        mark = MARKS.get(row["published_diverged"], "")
        if math.isnan(row["published_mean"]):
            return mark or "--"
        text = f"{row['published_mean']:g}"
        return (text if "." in text else f"{text}.0") + mark
    mean, std = row[f"{line}_mean"], row[f"{line}_std"]
    if not mean <= settings.diverged_above:
        failed = f"$^{{({row['diverged_seeds']}/{row['seeds']})}}$" if row["diverged_seeds"] else ""
        return f"$>${settings.diverged_above:g}{failed}"
    digits = settings.decimals
    return f"{mean:.{digits}f} {{\\scriptsize$\\pm${std:.{digits}f}}}"


def _notes(tidy: pd.DataFrame, settings: VerdictSettings) -> list[str]:
    notes = [
        rf"L$^2$-UVP in percent, lower is better: mean $\pm$ standard deviation (ddof 0) over "
        rf"{seeds_in_words(settings)}. Published: Korotin et al.\ (2021), one run. :R is trained "
        "with source and target swapped; the direction of an entry is that of the measured map.",
        "Best of a run: its smallest error at any evaluation, chosen by the optimal map, which no "
        "user has; published values are such (inferred from the benchmark's notebooks). Last: "
        "after the last step, as the paper's own rows, and on more points. The verdict compares "
        "the best with what is published.",
        "$^{!}$: diverged after having been near the optimum; $\\times$: diverged from the start. "
        f"$>${settings.diverged_above:g}: the mean exceeds {settings.diverged_above:g} or a seed "
        "diverged; $^{(k/m)}$: $k$ of $m$ seeds diverged.",
    ]
    shown = set(tidy["name"]) | set(tidy["method"])
    notes += [
        rf"\textbf{{[{escape(words(name))}]}}: {said}"
        for name, said in NOTES.items()
        if name in shown
    ]
    if settings.reduced:
        notes.append(
            rf"\textbf{{Reduced budget}}, not comparable with published values: preset "
            rf"{escape(settings.preset)} ({escape(settings.label)})."
        )
    return notes + measures_notes(tidy)


def write(
    metrics: Path, published: Path, settings: VerdictSettings, tex_path: Path, csv: Path
) -> None:
    """Write the table and its numbers.

    Args:
        metrics: tidy metrics of the cells.
        published: folder of the published values.
        settings: what the config says.
        tex_path: table to write.
        csv: numbers to write.

    Raises:
        InputError: the metrics cannot be used; nothing is written then.
    """
    tidy = baselines.tidy(aggregate.read(metrics), published, settings)
    write_table(tex_path, tex(tidy, settings), csv, tidy)

"""The verdict as a table, and as the paragraph that opens the report."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import words
from w2dual.report.latex import Row, Span, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables.hd import budget_notes, measures_notes
from w2dual.results.verdict import (
    MISSING,
    PAPER_SEEDS,
    REPRODUCED,
    VerdictSettings,
    counts,
    of_files,
)

log = logging.getLogger(__name__)


def summary(judged: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Say in one paragraph, in LaTeX, what has reproduced.

    Args:
        judged: as `judge` returns it.
        claims: as `w2dual.results.claims` returns them.
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
    rows: list[Row] = []
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
        above = r"\addlinespace"
        if previous is None:
            above = ""
        elif previous != potential:
            above = r"\midrule"
        name = escape(words(potential)) if potential != previous else ""
        previous = potential
        fields = [name, escape(words(amortization)), escape(words(solver))]
        fields += [entry(cells.get(n), settings) for n in dimensions]
        rows.append(Row(fields, above=above))
    if not rows:
        rows.append(Row([Span("No cell of this preset has a published value", 3)]))
    heads = ["Potential", "Amortization", "Solver", *(f"$n={n}$" for n in dimensions)]
    body = booktabs(heads, rows, "lll" + "c" * len(dimensions))
    return fitted(body) + footnotes(_notes(judged, settings))


def entry(row: Mapping[Any, Any] | None, settings: VerdictSettings) -> str:
    """Return an entry of the verdict, ready for LaTeX."""
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
    missing = counts(judged)[MISSING]
    notes = method_notes(settings)
    if missing:
        notes.append(f"Cells of the paper that this preset does not have: {missing}.")
    return notes + budget_notes(settings) + measures_notes(judged)


def method_notes(settings: VerdictSettings) -> list[str]:
    """Say how cells are judged, in LaTeX."""
    level = 100 * (1 - 2 * settings.alpha)
    return [
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


def write(
    metrics: Sequence[Path], published: Path, settings: VerdictSettings, tex_path: Path, csv: Path
) -> None:
    """Judge the cells of tidy metrics files, and write the table and its numbers.

    Args:
        metrics: tidy metrics of all potentials.
        published: folder of the published values.
        settings: what the config says.
        tex_path: table to write.
        csv: numbers to write.

    Raises:
        InputError: a file cannot be used; nothing is written then.
    """
    judged = of_files(metrics, published, settings)
    write_table(tex_path, tex(judged, settings), csv, judged)
    listed = ", ".join(f"{number} {word}" for word, number in counts(judged).items())
    log.info("%s, %s: written: %s", tex_path, csv, listed)

"""The table of Lagrangian costs: marginal errors next to the published ones, and paths' costs.

The published values are at the floor of their measure, what a perfect map has on as few samples. So
the floor stands beside them, and below them the same errors on more samples, and what the paths to
where the maps take points cost.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import words
from w2dual.report.latex import Row, Span, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables.hd import budget_notes
from w2dual.results import aggregate
from w2dual.results.lagrangian import EXPECTED, STOCHASTIC, LagrangianSettings, tidy
from w2dual.results.lagrangian_claims import TRIALS, judge
from w2dual.results.measured.lagrangian import MEASURED
from w2dual.results.summary import seeds_in_words

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Block:
    """One quantity of the table.

    Attributes:
        quantity: a key of `results.lagrangian.QUANTITIES`.
        title: in LaTeX.
        floor: what the row of the best map known is called; empty for none.
        digits: after the point.
    """

    quantity: str
    title: str
    floor: str
    digits: int


BLOCKS = (
    _Block(
        "published",
        r"Published measure: entropic, {published_samples} samples, $\times100$",
        "Perfect map: the floor",
        2,
    ),
    _Block("w2", r"$W_2^2$, {evaluation_samples:,} samples, $\times100$", "Perfect map", 3),
    _Block("cost", r"Mean cost of the best paths found, $\times100$", "The shift", 3),
    _Block("own_cost", r"Mean action of a method's own paths, $\times100$", "The shift", 3),
    _Block("inside", r"Paths that enter a wall, \%", "", 1),
)


def table_tex(found: pd.DataFrame, settings: LagrangianSettings) -> str:
    """Render the table; see the module's head."""
    rows: list[Row] = []
    width = len(settings.settings) + 1
    for block in BLOCKS:
        part = found[found["quantity"] == block.quantity]
        title = block.title.format(**vars(settings))
        rows.append(Row([Span(rf"\textit{{{title}}}", width)], above=r"\midrule" if rows else ""))
        records = part.to_dict("records")
        for source in ("ours", "published"):
            lines = [record for record in records if record["source"] == source]
            star = "*" if source == "published" else ""
            for method in dict.fromkeys(str(record["method"]) for record in lines):
                own = {r["setting"]: r for r in lines if r["method"] == method}
                rows.append(
                    Row(
                        [
                            escape(words(method)) + star,
                            *_entries(own, settings, block, "mean", "std"),
                        ]
                    )
                )
            if source == "ours" and block.floor:
                first = {r["setting"]: r for r in reversed(lines)}
                entries = _entries(first, settings, block, "floor", "floor_std")
                rows.append(Row([rf"\emph{{{block.floor}}}", *entries]))
    heads = ["", *(escape(words(setting)) for setting in settings.settings)]
    body = booktabs(heads, rows, "l" + "r" * len(settings.settings))
    return fitted(body) + footnotes(_notes(found, settings))


def _entries(
    rows: Mapping[Any, Mapping[Any, Any]],
    settings: LagrangianSettings,
    block: _Block,
    mean: str,
    std: str,
) -> list[str]:
    """Return the entry of each setting, from rows by setting."""
    found = [rows.get(setting, {}) for setting in settings.settings]
    return [
        _entry(float(row.get(mean, math.nan)), float(row.get(std, math.nan)), block.digits)
        for row in found
    ]


def _entry(mean: float, std: float, digits: int) -> str:
    if math.isnan(mean):
        return "--"
    if math.isinf(mean):
        return r"{\scriptsize diverged}"
    spread = "" if math.isnan(std) else rf" {{\scriptsize$\pm${std:.{digits}f}}}"
    return f"{mean:.{digits}f}{spread}"


def _notes(found: pd.DataFrame, settings: LagrangianSettings) -> Sequence[str]:
    ours = found[found["source"] == "ours"]
    steps = ours.groupby("method", sort=False)["steps"].max()
    spent = "; ".join(f"{escape(words(str(name)))} {count:,}" for name, count in steps.items())
    notes = [
        rf"Mean $\pm$ standard deviation (ddof 0) over {seeds_in_words(settings)}, lower is "
        r"better. * published, of three trials; which of a run's evaluations they are, and on "
        r"which samples, is not said: by the code of best or last (inferred).",
        rf"\textbf{{Published measure}}: $\langle P,C\rangle+\varepsilon\,\mathrm{{KL}}(P|ab)$ "
        rf"with $\varepsilon={settings.published_epsilon:g}$ between "
        rf"{settings.published_samples} pushed samples and as many of the target. A perfect map "
        r"is the shift that pushes the source onto the target, on the same samples: the "
        r"published values are at this floor, and tell maps apart only where they are above it.",
        rf"\textbf{{Cost}}: of the best of several paths from {settings.cost_samples:,} samples "
        r"to where the map takes them, in the published unit, 1/19 of the action; below it the "
        r"same of the shift, which is within 0.4\,\% of the best known coupling, and for the well "
        r"is the optimal map. A map that misses the target may cost less.",
        r"\textbf{Own paths}: as a method has them; of a random map, the action of its drift. They "
        r"cost more than the best ones.",
        f"Steps of training: {spent}.",
    ]
    if settings.random:
        notes.append(_random_note(settings))
    return notes + budget_notes(settings)


def _random_note(settings: LagrangianSettings) -> str:
    """Say what the two rows of a random map are, and what of them is inferred."""
    names = ", ".join(escape(words(method)) for method in settings.random)
    return (
        rf"\textbf{{{names}}}: two rows of one training, \emph{{{STOCHASTIC}}} of one drawn path "
        rf"of each sample and \emph{{{EXPECTED}}} of the mean of many. That the published rows are "
        r"these, and with the settings of their own publication, is inferred: its strengths of $U$ "
        r"are other than those of the rows above, and rows here are trained with them where the "
        r"config says so (\texttt{by\_setting}). Costs and obstacles in this table are the same "
        r"for all rows."
    )


def claims_tex(rows: pd.DataFrame, settings: LagrangianSettings) -> str:
    """Render the claims: sentence, what is compared, and for each method the counts and word."""
    lines: list[Row] = []
    row: Any
    for row in rows.itertuples(index=False):
        claim = (
            rf"\parbox[t]{{74mm}}{{\raggedright\textbf{{{escape(row.claim[:1].upper())}"
            rf"{escape(row.claim[1:])}.}} ``{escape(row.sentence)}'' ({escape(row.source)})\strut}}"
        )
        check = rf"\parbox[t]{{42mm}}{{\raggedright {escape(row.check)}\strut}}"
        counts = f"{row.supported} / {row.contradicted} / {row.undecided}"
        fields = [claim, check, escape(words(row.method)), counts, row.verdict]
        lines.append(Row(fields, bold={4}, above=r"\addlinespace" if lines else ""))
    body = booktabs(["Claim", "Compared", "Method", "Counts", ""], lines, "lllcl")
    notes = [
        "Settings or comparisons that support, contradict or do not decide a claim. NLSB: by "
        rf"one-sided Welch tests against its published means of {TRIALS} trials (Holm, "
        rf"$\alpha={settings.alpha:g}$). Holds: at least half support and none contradicts. "
        "Inconclusive: a reduced budget."
    ]
    return fitted(body) + footnotes(notes + budget_notes(settings))


TABLES = ("lagrangian", "claims_lagrangian")


def write(
    name: str, metrics: Path, published: Path, settings: LagrangianSettings, tex: Path, csv: Path
) -> None:
    """Write a table, and its numbers.

    Args:
        name: one of `TABLES`.
        metrics: tidy metrics of the cells.
        published: folder of the published values.
        settings: what the config says.
        tex: table to write.
        csv: numbers to write.

    Raises:
        InputError: a file cannot be used; nothing is written then.
    """
    numbers = tidy(aggregate.read(metrics, MEASURED), published, settings)
    text = table_tex(numbers, settings)
    if name == "claims_lagrangian":
        numbers = judge(numbers, published, settings.alpha, settings.random)
        text = claims_tex(numbers, settings)
    write_table(tex, text, csv, numbers)
    log.info("%s, %s: written", tex, csv)

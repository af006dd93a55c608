"""The paper's claims as a table: the sentence, what is compared, the counts and the word."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from w2dual.report.latex import Row, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables import celeba64
from w2dual.report.tables.hd import budget_notes, measures_notes
from w2dual.results import claims, verdict
from w2dual.results.verdict import PAPER_SEEDS, VerdictSettings


def tex(rows: pd.DataFrame, judged: pd.DataFrame, settings: VerdictSettings) -> str:
    """Render the claims: the sentence, what is compared, ours and the paper's counts, the word.

    Args:
        rows: claims, as `claims.judge` returns them.
        judged: the cells that they are checked on; those of CelebA64 have a column `pair`.
        settings: what the config says.
    """
    lines = []
    for row in rows.itertuples():
        claim = (
            rf"\parbox[t]{{74mm}}{{\raggedright\textbf{{{escape(_capital(str(row.claim)))}.}} "
            rf"``{escape(row.sentence)}'' ({escape(row.source)})\strut}}"
        )
        check = rf"\parbox[t]{{42mm}}{{\raggedright {escape(row.check)}\strut}}"
        ours = f"{row.supported} / {row.contradicted} / {row.undecided}"
        paper = (
            f"{row.published_supported} / {row.published_contradicted} / {row.published_undecided}"
        )
        fields = [claim, check, ours, str(row.verdict), paper, str(row.published_verdict)]
        lines.append(Row(fields, bold={3}, above=r"\addlinespace" if lines else ""))
    heads = ["Claim", "Compared", "Ours", "", "Paper's numbers", ""]
    notes = [
        "Comparisons that support, contradict or do not decide the claim, by one-sided Welch tests "
        rf"(Holm over a claim's comparisons, $\alpha={settings.alpha:g}$) or because one side "
        f"diverged; the same on the paper's printed means and standard deviations, {PAPER_SEEDS} "
        "seeds. Holds: at least half support and none contradicts. Fails: more contradict than "
        "support. Mixed: neither. Inconclusive: a reduced budget, too few seeds or other measures."
    ]
    if claims.IMPROVES.name in set(rows["claim"]):
        notes.append(
            "Prior work: the benchmark's own methods, trained here, at the last evaluation of a "
            "run as ours; among the paper's numbers, values quoted from the benchmark, which are "
            "the best evaluation of a run (inferred) and are taken as exact."
        )
    body = booktabs(heads, lines, "llclcl")
    notes += budget_notes(settings)
    if "pair" in judged.columns:
        notes += celeba64.measures_notes(judged["measures_source"], settings)
    else:
        notes += measures_notes(judged)
    return fitted(body) + footnotes(notes)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def write(
    judged: Path,
    prior: claims.PriorWork | None,
    settings: VerdictSettings,
    tex_path: Path,
    csv: Path,
) -> None:
    """Check the claims on the verdict, and write the table and its numbers.

    Args:
        judged: .csv of the verdict.
        prior: the benchmark's own methods; None for none.
        settings: what the config says.
        tex_path: table to write.
        csv: numbers to write.

    Raises:
        InputError: the verdict cannot be used; nothing is written then.
    """
    cells = verdict.read(judged)
    rows = claims.judge(cells, settings, prior)
    write_table(tex_path, tex(rows, cells, settings), csv, rows)

"""The paper's claims as a table: the sentence, what is compared, the counts and the word."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from w2dual.records import atomic_path
from w2dual.report.latex import booktabs, escape, fitted, footnotes
from w2dual.report.tables.hd import budget_notes
from w2dual.results import claims, verdict
from w2dual.results.verdict import PAPER_SEEDS, VerdictSettings

log = logging.getLogger(__name__)


def tex(rows: pd.DataFrame, settings: VerdictSettings) -> str:
    """Render the claims: the sentence, what is compared, ours and the paper's counts, the word."""
    lines = []
    for row in rows.itertuples():
        gap = r"\addlinespace " if lines else ""
        claim = (
            rf"{gap}\parbox[t]{{74mm}}{{\raggedright\textbf{{{escape(_capital(str(row.claim)))}.}} "
            rf"``{escape(row.sentence)}'' ({escape(row.source)})\strut}}"
        )
        check = rf"\parbox[t]{{42mm}}{{\raggedright {escape(row.check)}\strut}}"
        ours = f"{row.supported} / {row.contradicted} / {row.undecided}"
        paper = (
            f"{row.published_supported} / {row.published_contradicted} / {row.published_undecided}"
        )
        lines.append([claim, check, ours, str(row.verdict), paper, str(row.published_verdict)])
    heads = ["Claim", "Compared", "Ours", "", "Paper's numbers", ""]
    bold = [[False] * 3 + [True, False, False]] * len(lines)
    notes = [
        "Comparisons that support, contradict or do not decide the claim, by one-sided Welch tests "
        rf"(Holm over a claim's comparisons, $\alpha={settings.alpha:g}$) or because one side "
        f"diverged; the same on the paper's printed means and standard deviations, {PAPER_SEEDS} "
        "seeds. Holds: at least half support and none contradicts. Fails: more contradict than "
        "support. Mixed: neither. Inconclusive: a reduced budget, too few seeds or other measures."
    ]
    body = booktabs(heads, lines, bold, "llclcl")
    return fitted(body) + footnotes(notes + budget_notes(settings))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def write(judged: Path, settings: VerdictSettings, tex_path: Path, csv: Path) -> None:
    """Check the claims on the verdict, and write the table and its numbers.

    Args:
        judged: .csv of the verdict.
        settings: what the config says.
        tex_path: table to write.
        csv: numbers to write.

    Raises:
        InputError: the verdict cannot be used; nothing is written then.
    """
    rows = claims.judge(verdict.read(judged), settings)
    with atomic_path(csv) as partial_csv, atomic_path(tex_path) as partial_tex:
        rows.to_csv(partial_csv, index=False, lineterminator="\n")
        partial_tex.write_text(tex(rows, settings), encoding="utf-8")
    log.info("%s, %s: written", tex_path, csv)

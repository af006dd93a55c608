"""The tables of colour transport: values by updates, with the published ones, and the claims."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import words
from w2dual.report.latex import Row, Span, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables.hd import budget_notes
from w2dual.results import meta_color
from w2dual.results.meta_color import (
    GAUSSIAN,
    IDENTITY,
    META,
    META_LBFGS,
    META_W2GN,
    SEED_COLUMNS,
    W2GN,
    ColorSettings,
    Study,
)
from w2dual.results.meta_color_claims import claims
from w2dual.results.summary import one_of_seeds

log = logging.getLogger(__name__)

LABELS = {
    IDENTITY: "identity",
    GAUSSIAN: "Gaussian map",
    W2GN: "W2GN",
    META: "Meta OT",
    META_W2GN: "Meta OT + W2GN",
    META_LBFGS: "Meta OT + amortized L-BFGS",
}
LOGGED = (0, 1000, 2000)
"""Steps of the published table."""
STAND_INS = {
    "packaged": "22 paintings of Debian's gcompris-qt-data",
    "drawn": "images that the project draws",
}
"""Source of images -> what stands in for the paper's."""


def stand_in(source: str) -> list[str]:
    """Say in LaTeX what the images are a stand-in for; nothing for the user's own."""
    if source not in STAND_INS:
        return []
    return [
        rf"\textbf{{Stand-in images:}} {escape(STAND_INS[source])}, not WikiArt's of the published "
        "table."
    ]


def table_tex(found: pd.DataFrame, settings: ColorSettings) -> str:
    """Render the values; see `results.meta_color`."""
    shown = shown_updates(found)
    rows: list[Row] = []
    keys = found[["row", "method"]].drop_duplicates().itertuples(index=False)
    previous = ""
    for row, method in keys:
        part = found[(found["row"] == row) & (found["method"] == method)]
        above = r"\midrule" if rows and method != previous else ""
        rows.append(Row(_fields(str(row), str(method), part, shown), above=above))
        previous = str(method)
    rows += _published_rows(found.attrs["published"], len(shown))
    heads = ["Start and fine-tuning", "Network"]
    for updates in shown:
        heads += [f"{updates:,}", r"gap \%"]
    heads += ["seconds"]
    body = booktabs(heads, rows, "ll" + "rr" * len(shown) + "r")
    return fitted(body) + footnotes(_notes(found, settings))


def shown_updates(found: pd.DataFrame) -> list[int]:
    """Return the numbers of updates that have columns: none, half of them, all."""
    logged = sorted(set(found["updates"]))
    return list(dict.fromkeys([logged[0], logged[len(logged) // 2], logged[-1]]))


def _fields(row: str, method: str, part: pd.DataFrame, shown: Sequence[int]) -> list[str]:
    at: dict[Any, Any] = {r["updates"]: r for r in part.to_dict("records")}
    fields = [LABELS[row], escape(words(method))]
    for updates in shown:
        entry = at.get(updates)
        if entry is None:
            fields += ["", ""]
            continue
        if not math.isfinite(entry["normalised_mean"]):
            lost = f"${entry['diverged_seeds']}/{entry['seeds']}$"
            fields += [rf"{{\scriptsize diverged ({lost})}}", ""]
            continue
        fields.append(f"${entry['normalised_mean']:.3f}\\pm{entry['normalised_std']:.3f}$")
        fields.append(f"{entry['gap_percent_mean']:.2f}")
    seconds = float(part["seconds"].iloc[-1])
    return [*fields, f"{seconds:.3g}" if math.isfinite(seconds) else ""]


def _published_rows(known: pd.DataFrame, columns: int) -> list[Row]:
    """Return the published table, whose columns are 0, 1,000 and 2,000 logged steps.

    Args:
        known: published values.
        columns: numbers of updates that have columns.
    """
    table = known[known["source"] == "table"]
    head = Span(r"\textit{Published, by logged steps: 0, 1,000, 2,000*}", 3 + 2 * columns)
    rows = [Row([head], above=r"\midrule")]
    for names, label in (((W2GN,), "W2GN"), ((META, META_W2GN), "Meta OT + W2GN")):
        entries: dict[Any, Any] = {
            entry["logged_step"]: entry
            for entry in table[table["row"].isin(names)].to_dict("records")
        }
        fields: list[str] = [label, "ResNet-18"]
        for step in LOGGED[:columns]:
            found = entries.get(step)
            text = "" if found is None else f"${found['mean']:.2f}\\pm{found['std']:.3f}$"
            fields += [text, ""]
        rows.append(Row([*fields, f"{entries[LOGGED[-1]]['seconds']:.3g}"]))
    return rows


def _notes(found: pd.DataFrame, settings: ColorSettings) -> list[str]:
    first = found.iloc[0]
    converged = found["converged_percent"].dropna()
    notes = [
        "Columns by updates: the dual's value, normalised on each pair by the lowest and the "
        "highest that any run of W2GN logs (published way); and the gap to the exact cost "
        f"$W_2^2$ in percent of it (identity: 100), lower is better. Mean $\\pm$ standard "
        f"deviation over {first['pairs']} held-out pairs; a sample of the target is "
        f"{first['floor_percent_mean']:.2f}\\,\\% of $W_2^2$ from another (floor).",
        "Conjugates by L-BFGS from the best of the pair's points: "
        f"{converged.min():.1f} to {converged.max():.1f}\\,\\% converged to its tolerance; every "
        "value is a lower bound on the exact cost however they fare. Outside of the cube of "
        "colours a potential is continued by a steep parabola.",
        "Seconds of one pair: a share of those of all pairs at once, at the last column, the "
        f"prediction's own included; {escape(str(first['device']))}.",
        "* Published: statistics over 18 of 19 pairs (computed from the code and the figure), on "
        "other images, with conjugates stopped early, which makes values optimistic; logged "
        r"before parameters were copied back, so that 1,000 and 2,000 are after 751 and 1,751 "
        "updates; seconds on a Quadro GP100. The published table lacks the Gaussian map.",
    ]
    if (found["diverged_seeds"] == found["seeds"]).any():
        notes.append(
            "diverged ($k$/$m$): $k$ of $m$ seeds of the network diverged, and there was nothing "
            "to fine-tune."
        )
    notes.append(seeds_note(found[found["method"] != ""]))
    return notes + stand_in(str(first["measures_source"])) + budget_notes(settings)


def seeds_note(rows: pd.DataFrame) -> str:
    """Say in LaTeX which seed of each network the rows are of."""
    each = rows[["method", *SEED_COLUMNS]].drop_duplicates().itertuples(index=False)
    said = [
        f"{words(method)}: {one_of_seeds(None if pd.isna(seed) else seed, *counts)}"
        for method, seed, *counts in each
    ]
    return (
        "Each network is one of its seeds, the first that has not diverged, so that nothing here "
        f"says what another seed would give. {escape('; '.join(said))}."
    )


def claims_tex(rows: pd.DataFrame, source: str, settings: ColorSettings) -> str:
    """Render the claims."""
    lines = []
    for row in rows.itertuples():
        said = f"{row.check}{_worth(row)}"
        check = rf"\parbox[t]{{62mm}}{{\raggedright {escape(said)}\strut}}"
        claim = str(row.claim)
        name = rf"\parbox[t]{{48mm}}{{\raggedright {escape(claim[:1].upper() + claim[1:])}\strut}}"
        ours = "diverged"
        if math.isfinite(float(row.difference)):  # pyright: ignore[reportArgumentType]
            ours = f"${row.difference:+.3f}$ [{row.low:+.3f}, {row.high:+.3f}]"
        theirs = "--" if math.isnan(float(row.published)) else f"${row.published:+.3f}$"  # pyright: ignore[reportArgumentType]
        fields = [name, check, escape(words(str(row.method))), ours, str(row.verdict), theirs]
        lines.append(Row([*fields, str(row.published_verdict)], above=r"\addlinespace"))
    heads = ["Claim", "Compared", "Network", "Ours", "", "Published", ""]
    notes = [
        "Differences of normalised values: mean over held-out pairs and the interval of Student's "
        rf"t at $\alpha={settings.alpha:g}$; published: of means read from the published figure, "
        "with its lag taken out. Holds, fails: the interval is above, below 0. Inconclusive: "
        "neither, or a reduced budget. Worth: after how many updates the mean of W2GN is where the "
        r"compared mean is, with the interval of a bootstrap over pairs at the same $\alpha$."
    ]
    notes.append(seeds_note(rows))
    if (rows["diverged_seeds"] == rows["seeds"]).any():
        notes.append("diverged: all seeds of the network did, which fails a claim.")
    body = booktabs(heads, lines, "lllclcl")
    return fitted(body) + footnotes(notes + stand_in(source) + budget_notes(settings))


def _worth(row: Any) -> str:
    """Say how many updates of W2GN a value is worth, where the claim is about that."""
    if math.isnan(row.worth):
        return ""
    ours, low, high, theirs = (
        "more than all" if math.isinf(number) else f"{number:,.0f}"
        for number in (row.worth, row.worth_low, row.worth_high, row.published_worth)
    )
    return f". Worth {ours} updates of W2GN [{low}, {high}]; published: {theirs}"


def _table(
    studies: Sequence[Study], published: Path, settings: ColorSettings
) -> tuple[str, pd.DataFrame]:
    found = meta_color.tidy(studies, published, settings)
    found.attrs["published"] = meta_color.published(published)
    return table_tex(found, settings), found


def _claims(
    studies: Sequence[Study], published: Path, settings: ColorSettings
) -> tuple[str, pd.DataFrame]:
    rows = claims(studies, published, settings)
    return claims_tex(rows, studies[0].facts["measures_source"], settings), rows


TABLES: Mapping[str, Callable[[Sequence[Study], Path, ColorSettings], tuple[str, pd.DataFrame]]] = {
    "meta_ot_color": _table,
    "claims_meta_ot_color": _claims,
}
"""By name."""


def write(
    name: str,
    studies: Sequence[Path],
    published: Path,
    settings: ColorSettings,
    tex: Path,
    csv: Path,
) -> None:
    """Write one table, and its numbers.

    Args:
        name: of the table, a key of `TABLES`.
        studies: of the cells.
        published: folder of the published values.
        settings: what the config says.
        tex: table to write.
        csv: numbers to write.

    Raises:
        InputError: a file cannot be used; nothing is written then.
    """
    text, numbers = TABLES[name](meta_color.read(studies, settings), published, settings)
    numbers.attrs.clear()
    write_table(tex, text, csv, numbers)

"""Tables of the evaluation: LaTeX with booktabs, and the same numbers as tidy CSV.

The HD tables follow tables 2 and 3 of Amos (2023): quoted baselines above, then the methods with
mean and standard deviation over seeds, `>100` where a method failed, the best entries in bold.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2dual.config.names import words
from w2dual.records import InputError, write_text
from w2dual.report.latex import Row, Span, booktabs, escape, fitted, footnotes, write_table
from w2dual.results import aggregate
from w2dual.results.published import read_published
from w2dual.results.summary import (
    Budget,
    TableSettings,
    batch_in_words,
    hd_tidy,
    seeds_in_words,
    steps_in_words,
)

log = logging.getLogger(__name__)

TRIVIAL_COLUMNS = (
    "pair",
    "dimension",
    "map",
    "l2_uvp_forward_percent",
    "l2_uvp_inverse_percent",
    "cosine_forward",
    "cosine_inverse",
    "measures_source",
)
QUANTITIES = {
    "l2_uvp_forward_percent": r"L$^2$-UVP forward (\%)",
    "l2_uvp_inverse_percent": r"L$^2$-UVP inverse (\%)",
    "cosine_forward": "cosine forward",
    "cosine_inverse": "cosine inverse",
}


def hd_tex(tidy: pd.DataFrame, settings: TableSettings) -> str:
    """Render one HD table: booktabs, and notes that say what the entries are.

    The last row is the improvement over prior work: best quoted baseline / the best of the methods
    that the paper has. A row with steps or batches of its own says which.
    """
    # DIFFERS: the paper's row (tables/published/hd_improvement.csv) equals this quotient of its own
    # entries except for n = 4, 8 and 32, where it leaves out [MM], the best baseline there.
    lines: dict[tuple[str, str, str, str], dict[int, dict[str, Any]]] = {}
    for record in tidy.to_dict("records"):
        key = (record["source"], record["name"], record["amortization"], record["solver"])
        lines.setdefault(key, {})[record["dimension"]] = {str(k): v for k, v in record.items()}
    rows: list[Row] = []
    previous = "quoted"
    for (source, name, amortization, solver), entries in lines.items():
        # Braces, since LaTeX would take `*[` after a line's end for arguments of that.
        label = "{*[" + escape(name) + "]}" if source == "quoted" else ""
        above = r"\midrule" if source != previous and rows else ""
        previous = source
        shown = [entries.get(n) for n in settings.dimensions]
        loss = escape(words(amortization))
        if source == "ours":
            loss += own_budget(settings, amortization, solver)
        fields = [label, loss, escape(words(solver))]
        bold = {len(fields) + place for place, found in enumerate(shown) if found and found["best"]}
        fields += ["--" if found is None else entry(found, settings) for found in shown]
        rows.append(Row(fields, bold, above))
    papers = tidy[tidy["published_diverged"].notna()]
    factors = papers.groupby("dimension")["improvement_factor"].max().to_dict()
    factors = [factors.get(n, math.nan) for n in settings.dimensions]
    last = [f"{factor:.1f}" if math.isfinite(factor) else "--" for factor in factors]
    rows.append(Row([Span("Improvement over prior work", 3), *last], above=r"\midrule"))
    heads = ["", "Amortization loss", "Conjugate solver"]
    heads += [f"$n={n}$" for n in settings.dimensions]
    body = booktabs(heads, rows, "lll" + "r" * len(settings.dimensions))
    return fitted(body) + footnotes(_hd_notes(tidy, settings))


def entry(row: Mapping[str, Any], settings: TableSettings) -> str:
    """Return an entry of a table of errors, ready for LaTeX."""
    if row["source"] == "quoted":
        text = f"{row['mean']:g}"
        return text if "." in text else f"{text}.0"
    if row["above_limit"]:
        above = f"$>${settings.diverged_above:g}"
        if row["diverged_seeds"]:
            above += f"$^{{({row['diverged_seeds']}/{row['seeds']})}}$"
            if row["mean_as_published"] <= settings.diverged_above:
                last = f"{row['mean_as_published']:.{settings.decimals}f}"
                above += rf" {{\scriptsize last {last}}}"
        return above
    digits = settings.decimals
    return f"{row['mean']:.{digits}f} {{\\scriptsize$\\pm${row['std']:.{digits}f}}}"


def _hd_notes(tidy: pd.DataFrame, settings: TableSettings) -> list[str]:
    ours = tidy[tidy["source"] == "ours"]
    notes = [
        rf"L$^2$-UVP of the forward map in percent, lower is better: mean $\pm$ standard deviation "
        rf"(ddof 0) over {seeds_in_words(settings)}. Best entries of a column in bold."
    ]
    if (tidy["source"] == "quoted").any():
        notes.append(
            "* quoted from Korotin et al.\\ (2021): best evaluation of a run, by the optimal map "
            "(inferred). As these methods train here, best and last: "
            r"\texttt{hd\_baselines}, where the preset trains them."
        )
    return notes + limit_notes(ours, settings) + budget_notes(settings) + measures_notes(ours)


def limit_notes(trained: pd.DataFrame, settings: TableSettings) -> list[str]:
    """Say in LaTeX what entries above the limit are, if rows that were trained have any."""
    if not trained["above_limit"].any():
        return []
    notes = [
        f"$>${settings.diverged_above:g}: the mean exceeds {settings.diverged_above:g}, or a seed "
        "diverged, which counts as infinite; $^{(k/m)}$: $k$ of $m$ seeds diverged."
    ]
    if (trained["mean_as_published"] <= settings.diverged_above)[trained["above_limit"]].any():
        notes.append(
            "last: the mean with a diverged seed at its last evaluation, as the paper's tables "
            "count it."
        )
    return notes


def own_budget(settings: Budget, amortization: str, solver: str) -> str:
    """Say in LaTeX what a row has of its own of steps and batch size; empty for nothing."""
    steps, batch = settings.steps_of(amortization, solver), settings.batch_of(amortization, solver)
    own = [f"{steps:,} steps"] if steps != settings.iterations else []
    own += [f"batches of {batch:,}"] if batch != settings.batch_size else []
    return rf" {{\scriptsize {', '.join(own)}}}" if own else ""


def budget_notes(settings: Budget) -> list[str]:
    """Say of a reduced preset that it is one, in LaTeX."""
    if not settings.reduced:
        return []
    return [
        rf"\textbf{{Reduced budget}}, not comparable with published values: preset "
        rf"{escape(settings.preset)} ({escape(settings.label)}), "
        rf"{steps_in_words(settings)} iterations at batch size {batch_in_words(settings)}, "
        rf"{seeds_in_words(settings)}."
    ]


def measures_notes(frame: pd.DataFrame) -> list[str]:
    """Name the dimensions whose measures are not the published ones, in LaTeX."""
    generated = frame[frame["measures_source"] == "generated"]["dimension"]
    if generated.empty:
        return []
    listed = ", ".join(str(n) for n in sorted(set(generated)))
    return [
        rf"\textbf{{Measures generated here}} for $n = {listed}$, not the benchmark's published "
        "ones: values there are of another problem of the same family."
    ]


def trivial_tex(frame: pd.DataFrame, settings: TableSettings) -> str:
    """Render the table of trivial maps: identity, constant, linear, as their metrics.

    Args:
        frame: columns of `TRIVIAL_COLUMNS`; an empty field is a number that does not exist, such
            as the inverse of a constant map.
        settings: of which `dimensions`, `decimals` and the preset are used.

    Raises:
        InputError: a (map, dimension) is missing or given twice.
    """
    rows: list[Row] = []
    for number, name in enumerate(frame["map"].drop_duplicates()):
        for position, (quantity, label) in enumerate(QUANTITIES.items()):
            values = []
            for n in settings.dimensions:
                found = frame[(frame["map"] == name) & (frame["dimension"] == n)]
                if len(found) != 1:
                    raise InputError(
                        f"trivial maps: {len(found)} rows for map {name}, n = {n}; expected one"
                    )
                value = float(found[quantity].iloc[0])
                values.append(f"{value:.{settings.decimals}f}" if math.isfinite(value) else "--")
            above = r"\midrule" if number and not position else ""
            map_name = escape(str(name).capitalize()) if not position else ""
            rows.append(Row([map_name, label, *values], above=above))
    heads = ["Map", "Metric", *(f"$n={n}$" for n in settings.dimensions)]
    body = booktabs(heads, rows, "ll" + "r" * len(settings.dimensions))
    used = frame[frame["dimension"].isin(settings.dimensions)]
    notes = [
        r"Maps known in closed form, nothing is trained: the source itself, the target's mean, "
        r"and the optimal map between Gaussians with the measures' moments."
    ]
    if settings.reduced:
        notes.append(
            rf"\textbf{{Reduced budget}}: preset {escape(settings.preset)} "
            rf"({escape(settings.label)})."
        )
    return fitted(body) + footnotes(notes + measures_notes(used))


def read_trivial(path: Path) -> pd.DataFrame:
    """Read the metrics of the trivial maps.

    Raises:
        InputError: the file is missing, unreadable or lacks a column; the message names it.
    """
    return read_published(path, TRIVIAL_COLUMNS).pipe(_numbers, path)


def _numbers(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    for column in QUANTITIES:
        try:
            frame[column] = pd.to_numeric(frame[column].replace("", np.nan))
        except ValueError as error:
            raise InputError(f"{path}: column {column}: {error}") from error
    return frame


def write_hd(
    metrics: Path, potential: str, published: Path, settings: TableSettings, tex: Path, csv: Path
) -> None:
    """Write the table of one potential, and its numbers.

    Args:
        metrics: tidy metrics of the HD cells.
        potential: its name.
        published: folder of the published values.
        settings: what the config says.
        tex: table to write.
        csv: numbers to write.

    Raises:
        InputError: the metrics cannot be used; nothing is written then.
    """
    tidy = hd_tidy(aggregate.read(metrics), potential, published, settings)
    text = hd_tex(tidy, settings)
    write_table(tex, text, csv, tidy)


def write_trivial(trivial: Path, settings: TableSettings, tex: Path) -> None:
    """Write the table of the maps that need no training.

    Raises:
        InputError: the metrics cannot be used; nothing is written then.
    """
    write_text(tex, trivial_tex(read_trivial(trivial), settings))
    log.info("%s: written", tex)

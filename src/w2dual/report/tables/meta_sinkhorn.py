"""Starts by solvers of entropic transport as a table, and the claims about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import words
from w2dual.report.latex import Row, Span, booktabs, escape, fitted, footnotes, write_table
from w2dual.results import meta_sinkhorn
from w2dual.results.meta_sinkhorn import META, PLAIN, STAND_INS, Study, TableSettings
from w2dual.results.meta_sinkhorn_claims import claims

TABLES = ("meta_ot_sinkhorn", "claims_meta_ot")
GREY = r"\color[gray]{0.45}"
NOTE_OF_WORK = (
    "Kernel products are log-sum-exps over all rows or all columns: two an iteration of Sinkhorn "
    "and one for the last look, two an evaluation of L-BFGS, one a trial step of Newton and one "
    "more an iteration, three a prediction at the next epsilon where Newton is annealed, which is "
    "an iteration too; Newton's dense systems, as many as n kernel products each on a dense "
    "cost, are not counted."
)


def tex(tidy: pd.DataFrame, settings: TableSettings, studies: Sequence[Study]) -> str:
    """Render the table; columns as `meta_sinkhorn.tidy` returns them, looks at each iteration."""
    tolerances = sorted(settings.tolerances, reverse=True)
    blocks = ("iterations", "kernel products", "saved")
    shown = tidy[tidy["every"] == 1]
    heads = ["", "Start", *(_power(t) for _ in blocks for t in tolerances), "start", "to first"]
    rows: list[Row] = []
    for task in settings.tasks:
        of_task = shown[shown["task"] == task]
        if of_task.empty:
            continue
        title = f"{words(task)}: {of_task['data'].iloc[0]}"
        rows.append(Row([Span(rf"\textbf{{{escape(title)}}}", len(heads))], above=_rule(rows)))
        for finetuner in settings.finetuners:
            rows += _of_solver(of_task, tidy, finetuner, settings, tolerances)
    count = len(tolerances)
    spans = " & ".join(
        ["", "", *(rf"\multicolumn{{{count}}}{{c}}{{{block}}}" for block in blocks)]
        + [r"\multicolumn{2}{c}{ms}"]
    )
    body = booktabs(heads, rows, "ll" + "r" * (3 * count + 2))
    body = body.replace(r"\toprule", rf"\toprule {spans} \\", 1)
    return fitted(body, "scriptsize", height=r".85\textheight") + footnotes(
        _notes(tidy, settings, studies)
    )


def _rule(rows: list[Row]) -> str:
    return r"\midrule" if rows else ""


def _of_solver(
    of_task: pd.DataFrame,
    tidy: pd.DataFrame,
    finetuner: str,
    settings: TableSettings,
    tolerances: list[float],
) -> list[Row]:
    found: list[Row] = []
    for start in settings.starts:
        cells = {
            row["tolerance"]: row
            for row in of_task.to_dict("records")
            if (row["finetuner"], row["start"]) == (finetuner, start)
        }
        if not cells:
            continue
        entries = [_iterations(cells[t]) for t in tolerances]
        entries += [_whole(cells[t]["products_mean"]) for t in tolerances]
        entries += [_saved(cells[t], start) for t in tolerances]
        first = cells[tolerances[0]]
        entries += [_ms(first["start_ms"]), _ms(first["total_ms"])]
        label = words(finetuner) if not found else ""
        above = r"\addlinespace" if not found else ""
        found.append(Row([escape(label), escape(words(start)), *entries], above=above))
        if finetuner == PLAIN:
            found += _published(cells, start, tolerances)
            found += _blocks(tidy, cells, start, tolerances)
    return found


def _iterations(row: dict[Any, Any]) -> str:
    if row["diverged_seeds"]:
        mark = rf"$\infty^{{({row['diverged_seeds']}/{row['seeds']})}}$"
        mean = row["iterations_finished_mean"]
        return mark if math.isnan(mean) else rf"{mark} {{\tiny finished: {mean:.1f}}}"
    if row["not_met"]:
        total = row["pairs"] * row["seeds"]
        return rf"-- {{\tiny({total - row['not_met']}/{total})}}"
    return rf"{row['iterations_mean']:.1f} {{\tiny$\pm${row['iterations_std']:.1f}}}"


def _whole(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "--"


def _saved(row: dict[Any, Any], start: str) -> str:
    if start == meta_sinkhorn.ZEROS or not math.isfinite(row["saved_mean"]):
        return "--"
    return f"{row['saved_mean']:.1f}"


def _ms(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "--"


def _published(cells: dict[float, Any], start: str, tolerances: list[float]) -> list[Row]:
    if math.isnan(cells[tolerances[0]]["published_s"]):
        return []
    seconds = [
        rf"{{{GREY} {1000 * cells[t]['published_s']:.3g} ms}}"
        if t in cells and not math.isnan(cells[t]["published_s"])
        else ""
        for t in tolerances
    ]
    ratios = [
        rf"{{{GREY} {cells[t]['published_ratio']:.2g}$\times$}}"
        if start != meta_sinkhorn.ZEROS and not math.isnan(cells[t]["published_ratio"])
        else ""
        for t in tolerances
    ]
    blank = [""] * len(tolerances)
    name = "{" + GREY + r" \quad published}"
    return [Row(["", name, *seconds, *blank, *ratios, "", ""])]


def _blocks(
    tidy: pd.DataFrame, cells: dict[float, Any], start: str, tolerances: list[float]
) -> list[Row]:
    """Return a row of counts where the error is looked at less often, as published times did."""
    first = cells[tolerances[0]]
    rarely = tidy[
        (tidy["task"] == first["task"])
        & (tidy["finetuner"] == PLAIN)
        & (tidy["start"] == start)
        & (tidy["every"] > 1)
    ]
    found = []
    for every, rows in rarely.groupby("every"):
        at = rows.set_index("tolerance").to_dict("index")
        entries = [_iterations(at[t]) for t in tolerances]
        entries += [_whole(at[t]["products_mean"]) for t in tolerances]
        entries += [_saved(at[t], start) for t in tolerances]
        found.append(Row(["", rf"\quad every {every}", *entries, "", ""]))
    return found


def _power(tolerance: float) -> str:
    """Print a tolerance with all its digits, as a power of ten."""
    mantissa, exponent = f"{Decimal(repr(float(tolerance))).normalize():e}".split("e")
    factor = "" if mantissa == "1" else rf"{mantissa}\cdot "
    return f"${factor}10^{{{int(exponent)}}}$"


def _notes(tidy: pd.DataFrame, settings: TableSettings, studies: Sequence[Study]) -> list[str]:
    devices = ", ".join(sorted({str(device) for device in tidy["device"]}))
    notes = [
        rf"Iterations until the error of the marginals, in L1, is at most the number above: mean "
        rf"$\pm$ standard deviation over {tidy['pairs'].max()} pairs of measures (fewer, where "
        rf"the .csv says so) that were not trained on, the same for all starts, and the seeds of a "
        rf"network; {settings.iterations:,} training steps. Looked at in each iteration; `every "
        rf"10': as the published times did. --: not met within the limit by all, "
        rf"(met/all). Saved: iterations less than from zeros. Bootstrap intervals are in the .csv.",
        NOTE_OF_WORK,
        rf"ms: on {escape(devices)}, one pair at a time: the start itself, with the network, and "
        r"all to the first tolerance. Grey: published milliseconds on another device (Quadro "
        r"GP100), with the factor against zeros; there the error was looked at every 10 iterations "
        r"and the time of the prediction was that of an empty program. Do not divide ours by them.",
    ]
    if tidy["diverged_seeds"].any():
        notes.append(
            r"$\infty^{(k/m)}$: $k$ of $m$ seeds diverged, which count as infinite; finished: the "
            "mean over the others, where all of them met the tolerance."
        )
    return notes + _stand_ins(studies) + _reduced(settings)


def _stand_ins(studies: Sequence[Study]) -> list[str]:
    """Name the tasks whose data are a stand-in."""
    return [
        rf"\textbf{{Stand-in data}} for {escape(words(study.task))}: "
        f"{escape(study.metadata['data']['label'])}."
        for study in studies
        if study.data_source in STAND_INS
    ]


def _reduced(settings: TableSettings) -> list[str]:
    if not settings.preset["reduced"]:
        return []
    name, label = (escape(settings.preset[key]) for key in ("name", "label"))
    return [
        rf"\textbf{{Reduced budget}}, not comparable with published values: preset {name} "
        f"({label})."
    ]


def claims_tex(rows: pd.DataFrame, settings: TableSettings, studies: Sequence[Study]) -> str:
    """Render the claims; `studies` are those that they were checked on."""
    lines = []
    for row in rows.to_dict("records"):
        said = (
            rf"\parbox[t]{{70mm}}{{\raggedright\textbf{{{escape(row['claim'])}.}} "
            rf"{escape(row['sentence'])} ({escape(row['source'])})\strut}}"
        )
        check = rf"\parbox[t]{{46mm}}{{\raggedright {escape(row['check'])}\strut}}"
        ours, theirs = (
            " / ".join(str(row[f"{who}{name}"]) for name in COUNTED) for who in ("", "published_")
        )
        fields = [said, check, ours, row["verdict"], theirs, row["published_verdict"]]
        lines.append(Row(fields, bold={3}, above=r"\addlinespace" if lines else ""))
    heads = ["Claim", "Compared", "Ours", "", "Published means", ""]
    notes = [
        "Comparisons that support, contradict or do not decide the claim, by bootstrap intervals "
        "(95 percent) over the same pairs of measures; of the published means by their order. "
        f"Predictions: {', '.join(escape(words(name)) for name in settings.methods)}; the "
        f"published one is {escape(words(META))}. Inconclusive: a reduced budget."
    ]
    lost = [
        f"{k} of {m} seeds of {words(method)} ({words(task)})"
        for task, method, k, m in meta_sinkhorn.diverged(studies, settings)
    ]
    if lost:
        notes.append(
            f"Diverged: {escape(', '.join(lost))}. Such a network counts as infinite: each "
            "comparison of its prediction contradicts the first claim, and none decides the second."
        )
    return fitted(booktabs(heads, lines, "llclcl")) + footnotes(
        notes + _stand_ins(studies) + _reduced(settings)
    )


COUNTED = ("supported", "contradicted", "undecided")


def write(
    name: str,
    studies: Sequence[Study],
    published: Path,
    settings: TableSettings,
    tex_path: Path,
    csv: Path,
) -> None:
    """Write a table and its numbers.

    Args:
        name: one of `TABLES`.
        studies: of the tasks.
        published: folder of the published values.
        settings: what the config says.
        tex_path: table to write.
        csv: numbers to write.

    Raises:
        InputError: a file cannot be used; nothing is written then.
    """
    seconds = meta_sinkhorn.read_seconds(published)
    if name == TABLES[0]:
        tidy = meta_sinkhorn.tidy(studies, settings, seconds)
        write_table(tex_path, tex(tidy, settings, studies), csv, tidy)
    else:
        rows = claims(studies, settings, seconds)
        write_table(tex_path, claims_tex(rows, settings, studies), csv, rows)

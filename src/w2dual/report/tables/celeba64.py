"""The tables of CelebA64: L2-UVP in both directions, the verdict, and what the cells cost.

The first follows the paper's: quoted baselines above, then the methods with mean and standard
deviation over seeds. It has a column for each pair and direction, since the quoted values are of
the inverse map and the paper's own of the forward one (`results.celeba64`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from w2dual.config.names import words
from w2dual.report.latex import Row, Span, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables import costs, hd
from w2dual.report.tables import verdict as verdict_table
from w2dual.results import aggregate
from w2dual.results.celeba64 import (
    METRICS,
    NATIVE,
    STANDS_FOR,
    ImageSettings,
    cell_of,
    judge,
    tidy,
)
from w2dual.results.summary import TableSettings, seeds_in_words, training_seconds
from w2dual.results.verdict import MISSING, counts

log = logging.getLogger(__name__)

COLOURS = 3
BASELINES = {"ConvICNN64": "ConvICNN", "ResNet": "ResNet"}
"""Potentials of the quoted rows, as readers know them."""
SHORT = {"forward": "fwd.", "inverse": "inv."}
NOTE_ON_DIRECTION = (
    r"\textbf{Directions.} Forward (fwd.): from sharp to blurred images, which the paper's own "
    r"rows are of. Inverse (inv.): from blurred to sharp, which the quoted baselines are of: "
    r"inferred, from the published notebooks of Korotin et al., not stated by them. The paper sets "
    r"the two side by side; here a quoted value is compared with our inverse errors, and a value "
    r"of the paper's own with our forward ones."
)
NOTE_ON_SOLVER = (
    r"Which solver made the published L-BFGS rows cannot be told from the published code, whose "
    r"default is the high-precision one; rows of either are compared with them."
)


def side(settings: TableSettings) -> int:
    """Return the side of an image, in pixels."""
    return math.isqrt(settings.dimensions[0] // COLOURS)


def measures_notes(sources: pd.Series, settings: TableSettings) -> list[str]:
    """Say in LaTeX where the measures are a stand-in."""
    if not (sources == "generated").any():
        return []
    pixels = f"${side(settings)}\\times{side(settings)}$"
    return [
        rf"\textbf{{Stand-in measures}}, generated here, of images of {pixels} pixels and not the "
        r"benchmark's published ones of faces: values are of another problem of the same form."
    ]


# ---------------------------------------------------------------- L2-UVP


def table_tex(found: pd.DataFrame, settings: ImageSettings) -> str:
    """Render the table of errors; see the module's head."""
    columns = [(g, direction) for g in settings.generators for direction in METRICS]
    lines: dict[tuple[str, ...], dict[tuple[str, str], dict[str, Any]]] = {}
    for record in found.to_dict("records"):
        row = {str(key): value for key, value in record.items()}
        key = (row["source"], row["name"], row["potential"], row["amortization"], row["solver"])
        key = (*key, row["evaluation"])
        lines.setdefault(key, {})[row["pair"], row["direction"]] = row
    rows: list[Row] = []
    previous = "quoted"
    for (source, name, potential, amortization, solver, evaluation), entries in lines.items():
        label = "{*[" + escape(name) + "]}" if source == "quoted" else ""
        fields = [label, escape(BASELINES.get(potential, words(potential)))]
        if source == NATIVE:
            fields = [f"[{escape(name)}], {evaluation}", fields[1], "", ""]
        else:
            fields += [escape(words(amortization)), escape(words(solver))]
        shown = [entries.get(column) for column in columns]
        bold = {len(fields) + place for place, entry in enumerate(shown) if entry and entry["best"]}
        fields += ["--" if entry is None else hd.entry(entry, settings) for entry in shown]
        above = r"\midrule" if source != previous and rows else ""
        rows.append(Row(fields, bold, above))
        previous = source
    for title, name, above in (
        ("Improvement over prior work, inverse", "improvement_factor", r"\midrule"),
        ("The same by our forward errors, as the paper takes it", "improvement_as_published", ""),
        ("Improvement over the benchmark's own methods as trained here", "improvement_native", ""),
    ):
        if name == "improvement_native" and not (found["source"] == NATIVE).any():
            continue
        best = found.groupby(["pair", "direction"])[name].max()
        factors = [best.get(column, math.nan) for column in columns]
        last = [f"{value:.1f}" if math.isfinite(value) else "" for value in factors]
        rows.append(Row([Span(title, 4), *last], above=above))
    heads = ["", "Potential", "Amortization loss", "Conjugate solver"]
    heads += [f"{escape(words(g).capitalize())} {SHORT[direction]}" for g, direction in columns]
    body = booktabs(heads, rows, "llll" + "r" * len(columns))
    return fitted(body) + footnotes(_table_notes(found, settings))


def _table_notes(found: pd.DataFrame, settings: ImageSettings) -> list[str]:
    ours = found[found["source"] == "ours"]
    native = found[found["source"] == NATIVE]
    notes = [
        r"L$^2$-UVP in percent, lower is better: mean $\pm$ standard deviation (ddof 0) over "
        rf"{seeds_in_words(settings)}, on {settings.evaluation_samples:,} images. Best entries of "
        "a column in bold. * quoted from Korotin et al.\\ (2021), not run here.",
        NOTE_ON_DIRECTION,
    ]
    if not native.empty:
        notes.append(_native_note(native, settings))
    if ours["solver"].isin(STANDS_FOR).any():
        notes.append(NOTE_ON_SOLVER)
    notes += hd.limit_notes(found[found["source"] != "quoted"], settings)
    sources = ours["measures_source"]
    return notes + hd.budget_notes(settings) + measures_notes(sources, settings)


def _native_note(native: pd.DataFrame, settings: ImageSettings) -> str:
    """Say in LaTeX how the benchmark's own methods were trained, and which value is which."""
    steps = dict(zip(map(str, native["name"]), map(int, native["iterations"]), strict=True))
    budgets = ", ".join(f"[{escape(name)}] {count:,}" for name, count in steps.items())
    seeds = len(settings.baselines.seeds)
    return (
        rf"[W2], [MM], [MM:R]: the benchmark's own methods, trained here with {seeds} "
        rf"seed{'s' if seeds > 1 else ''}; steps: {budgets}. Last: of the end of training, as our "
        "other rows; best: the best evaluation of a run, each direction by itself, chosen by the "
        "optimal map, as quoted values are (inferred), so that it is in no comparison with others."
    )


# ---------------------------------------------------------------- verdict


def verdict_tex(judged: pd.DataFrame, settings: ImageSettings) -> str:
    """Render the verdict: ours / published forward, interval, word, and our inverse error."""
    shown = judged[judged["verdict"] != MISSING]
    rows: list[Row] = []
    for (amortization, solver), line in shown.groupby(["amortization", "solver"], sort=False):
        cells = {row["pair"]: row for row in line.to_dict("records")}
        fields = [escape(words(str(amortization))), escape(words(str(solver)))]
        for generator in settings.generators:
            row = cells.get(generator)
            back = math.nan if row is None else float(row["ours_inverse_mean"])
            text = f"{back:.{settings.decimals}f}" if math.isfinite(back) else "--"
            fields += [verdict_table.entry(row, settings), text]
        rows.append(Row(fields, above=r"\addlinespace" if rows else ""))
    heads = ["Amortization", "Solver"]
    for generator in settings.generators:
        heads += [escape(words(generator).capitalize()), "ours inv."]
    if not rows:
        rows.append(Row([Span("No cell of this preset has a published value", len(heads))]))
    body = booktabs(heads, rows, "ll" + "cr" * len(settings.generators))
    missing = counts(judged)[MISSING]
    notes = verdict_table.method_notes(settings)
    notes += [NOTE_ON_DIRECTION, "Quoted baselines are not judged.", NOTE_ON_SOLVER]
    if missing:
        notes.append(f"Cells of the paper that this preset does not have: {missing}.")
    notes += hd.budget_notes(settings) + measures_notes(judged["measures_source"], settings)
    return fitted(body) + footnotes(notes)


# ---------------------------------------------------------------- costs


@dataclass(frozen=True)
class _Block:
    """One quantity of the table of costs: its title in LaTeX."""

    quantity: str
    title: str


BLOCKS = (
    _Block("runtime_hd", "Training time of one seed, in {unit}"),
    _Block("conjugation_iterations", "Iterations of the conjugate solver for one image"),
    _Block("conjugation_time", "Time to conjugate a batch of one seed, in milliseconds"),
)


def costs_tidy(frame: pd.DataFrame, settings: ImageSettings) -> pd.DataFrame:
    """Return what the cells cost: a row for each (quantity, method, pair).

    Raises:
        InputError: a cell or a seed is missing or given twice, or comes from another preset.
    """
    rows = []
    for block in BLOCKS:
        quantity = costs.QUANTITIES[block.quantity]
        for potential in frame["potential"].drop_duplicates():
            for amortization, solver in settings.methods:
                for generator in settings.generators:
                    row = (potential, amortization, solver, generator)
                    cell = cell_of(frame, *row, settings)
                    cell = cell.assign(training_s=training_seconds(cell, settings))
                    found = quantity.of(cell)
                    rows.append(
                        dict(zip(("potential", "amortization", "solver", "pair"), row, strict=True))
                        | {"dimension": settings.dimension, "quantity": quantity.name}
                        | {"value": found.value, "low": found.low, "high": found.high}
                        | {"job": found.job, "seeds": len(cell)}
                        | {"diverged_seeds": int((cell["status"] == "diverged").sum())}
                        | {"device": cell["device"].iloc[0], "iterations": settings.iterations}
                        | {"batch_size": settings.batch_size}
                        | {"preset": settings.preset, "reduced": settings.reduced}
                    )
    return pd.DataFrame(rows, columns=["pair", *costs.TIDY_COLUMNS])


def costs_tex(found: pd.DataFrame, settings: ImageSettings, sources: pd.Series) -> str:
    """Render what the cells cost: a block for each quantity, in it a row for each method."""
    rows: list[Row] = []
    columns = len(settings.generators)
    for block in BLOCKS:
        name = costs.QUANTITIES[block.quantity].name
        part = found[found["quantity"] == name]
        unit, per_unit = costs.unit(part) if block.quantity == "runtime_hd" else ("", 1.0)
        head = Span(rf"\textit{{{block.title.format(unit=unit)}}}", 3)
        rows.append(Row([head, *[""] * columns], above=r"\midrule" if rows else ""))
        names = ["potential", "amortization", "solver"]
        for row_of, line in part.groupby(names, sort=False):
            cells = {row["pair"]: row for row in line.to_dict("records")}
            fields = [escape(words(str(name))) for name in row_of]
            fields += [costs.entry(cells[g], per_unit) for g in settings.generators]
            rows.append(Row(fields))
    heads = ["Potential", "Amortization loss", "Conjugate solver"]
    heads += [escape(words(g).capitalize()) for g in settings.generators]
    body = booktabs(heads, rows, "lll" + "r" * columns)
    devices = sorted({str(device) for device in found["device"].dropna()})
    notes = [
        rf"{settings.iterations:,} steps at batch size {settings.batch_size:,}. Times are a seed's "
        rf"share of those of a cell's job, which trains {seeds_in_words(settings)}; without "
        "compilation, pre-training and evaluations. Iterations and times of conjugation: from the "
        "amortized start, on trained parameters.",
        "Device: " + escape("; ".join(devices)) + ".",
        "---: no conjugate solver, or every seed diverged.",
        *costs.diverged_notes(found, settings),
    ]
    notes += hd.budget_notes(settings) + measures_notes(sources, settings)
    return fitted(body) + footnotes(notes)


# ---------------------------------------------------------------- files


def _table(
    frame: pd.DataFrame,
    published: Path,
    settings: ImageSettings,
    native: pd.DataFrame | None = None,
) -> tuple[str, pd.DataFrame]:
    found = tidy(frame, published, settings, native)
    return table_tex(found, settings), found


def _verdict(
    frame: pd.DataFrame, published: Path, settings: ImageSettings
) -> tuple[str, pd.DataFrame]:
    judged = judge(frame, published, settings)
    return verdict_tex(judged, settings), judged


def _costs(
    frame: pd.DataFrame, published: Path, settings: ImageSettings
) -> tuple[str, pd.DataFrame]:
    del published
    found = costs_tidy(frame, settings)
    return costs_tex(found, settings, frame["measures_source"]), found


TABLES: Mapping[str, Callable[[pd.DataFrame, Path, ImageSettings], tuple[str, pd.DataFrame]]] = {
    "celeba64": _table,
    "verdict_celeba64": _verdict,
    "costs_celeba64": _costs,
}
"""By name."""


class Inputs(NamedTuple):
    """The files that a table is made of.

    Attributes:
        metrics: tidy metrics of the CelebA64 cells.
        baselines: those of the benchmark's own methods; None where there are none.
        published: folder of the published values.
    """

    metrics: Path
    baselines: Path | None
    published: Path


def write(name: str, files: Inputs, settings: ImageSettings, tex: Path, csv: Path) -> None:
    """Write one table, and its numbers.

    Args:
        name: of the table, a key of `TABLES`.
        files: that it is made of.
        settings: what the config says.
        tex: table to write.
        csv: numbers to write.

    Raises:
        InputError: a file cannot be used; nothing is written then.
    """
    frame = aggregate.read(files.metrics)
    if files.baselines is not None and name == "celeba64":
        native = aggregate.read(files.baselines)
        text, numbers = _table(frame, files.published, settings, native)
    else:
        text, numbers = TABLES[name](frame, files.published, settings)
    write_table(tex, text, csv, numbers)
    log.info("%s, %s: written", tex, csv)

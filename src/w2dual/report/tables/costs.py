"""The tables of what cells cost: run time, conjugate iterations, milliseconds of a conjugation.

One row for each method, a block for each potential, a column for each dimension; LaTeX with
booktabs and the same numbers as tidy CSV. All seeds of a cell share one job, so that a time of one
seed is its share of the job's: the notes say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import potential_words, words
from w2dual.records import InputError
from w2dual.report.latex import Row, Span, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables.hd import budget_notes, measures_notes, own_budget
from w2dual.results import aggregate
from w2dual.results.summary import (
    TableSettings,
    batch_in_words,
    check_cell,
    seeds_in_words,
    steps_in_words,
    training_seconds,
)

DIGITS = 3
"""Significant digits of an entry: dimensions differ in scale."""
TIDY_COLUMNS = (
    "potential",
    "amortization",
    "solver",
    "dimension",
    "quantity",
    "value",
    "low",
    "high",
    "job",
    "seeds",
    "diverged_seeds",
    "device",
    "iterations",
    "batch_size",
    "preset",
    "reduced",
)


@dataclass(frozen=True)
class Figures:
    """One entry: its value and spread, and what the whole job took; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan
    job: float = math.nan


@dataclass(frozen=True)
class Quantity:
    """What one table shows.

    Attributes:
        name: the column of the tidy CSV's `quantity`, with its unit.
        of: rows of one cell, one for each seed -> its entry.
        notes: what an entry is, in LaTeX, with places that `_notes` fills in.
        timed: whether it depends on the device, which the notes then name.
    """

    name: str
    of: Callable[[pd.DataFrame], Figures]
    notes: tuple[str, ...]
    timed: bool = True


def runtime(cell: pd.DataFrame) -> Figures:
    """Seconds of training of one seed: the job's, over its seeds.

    # DIFFERS: the paper's is the median over runs of one seed each, and holds compilation.
    """
    if (cell["status"] == "diverged").all():
        return Figures(math.nan)  # the job ended early, so that its time is of no whole run
    job = float(cell["training_s"].iloc[0])
    return Figures(job / len(cell), job=job)


def conjugation_iterations(cell: pd.DataFrame) -> Figures:
    """Iterations of the conjugate solver for one point: mean over points, then over seeds.

    # DIFFERS: the paper's is the running mean over training at its last logging; this is at the
    final evaluation, from the amortized start, on fresh points.
    """
    means = cell.loc[cell["status"] == "finished", "conjugate_iterations_mean"].dropna()
    if cell["solver"].iloc[0] == "none" or means.empty:
        return Figures(math.nan)
    return Figures(float(means.mean()), float(means.min()), float(means.max()))


def conjugation_ms(cell: pd.DataFrame) -> Figures:
    """Milliseconds to conjugate one seed's batch: the job's time for all, over its seeds."""
    if cell["solver"].iloc[0] == "none":
        return Figures(math.nan)
    if (cell["status"] == "diverged").all():
        return Figures(math.nan)
    first, seeds = cell.iloc[0], len(cell)
    job = float(first["conjugation_ms"])
    return Figures(
        job / seeds,
        float(first["conjugation_ms_low"]) / seeds,
        float(first["conjugation_ms_high"]) / seeds,
        job,
    )


QUANTITIES = {
    "runtime_hd": Quantity(
        "runtime_s",
        runtime,
        (
            r"Training time of one seed in {unit}: that of the job, which trains all {seeds} of a "
            r"cell at once, divided by their number; the whole job takes {share} times as long, "
            r"and a seed trained alone would take another time than its share. {iterations} steps, "
            r"without compilation, pre-training and evaluations.",
        ),
    ),
    "conjugation_iterations": Quantity(
        "iterations",
        conjugation_iterations,
        (
            r"Iterations of the conjugate solver for one point, from the amortized start, at the "
            r"final evaluation on fresh points of the target: mean over points, then over the "
            r"seeds that finished.",
        ),
        timed=False,
    ),
    "conjugation_time": Quantity(
        "conjugation_ms",
        conjugation_ms,
        (
            r"Milliseconds to conjugate a batch of {batch} points from the amortized start, on "
            r"trained parameters, after warm-up: the batches of all {seeds} at once, as training "
            r"does it, divided by their number; together they take {share} times as long. Median "
            r"over fresh batches, on one device (one core, on a CPU).",
        ),
    ),
}
"""By the name of the table."""
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
"""Of run times: the first that the longest one reaches."""


def cost_tidy(
    frame: pd.DataFrame, table: str, potentials: Sequence[str], settings: TableSettings
) -> pd.DataFrame:
    """Return the numbers of a table: a row for each (potential, method, dimension).

    Columns: `value` (of one seed), `low` and `high` (fastest and slowest, or over seeds), `job` (of
    all seeds together); empty where there is none, as without a solver.

    Args:
        frame: tidy metrics of the HD cells, of all potentials.
        table: a key of `QUANTITIES`.
        potentials: blocks, in order.
        settings: rows, columns and preset.

    Raises:
        InputError: a cell or a seed is missing or given twice, or comes from another preset.
    """
    quantity = QUANTITIES[table]
    rows: list[dict[str, Any]] = []
    for potential in potentials:
        for amortization, solver in settings.methods_of(potential):
            for dimension in settings.dimensions:
                cell = frame[
                    (frame["potential"] == potential)
                    & (frame["amortization"] == amortization)
                    & (frame["solver"] == solver)
                    & (frame["dimension"] == dimension)
                ]
                check_cell(
                    cell, f"{potential}, {amortization}, {solver}, n = {dimension}", settings
                )
                cell = cell.assign(training_s=training_seconds(cell, settings))
                found = quantity.of(cell)
                rows.append(
                    {"potential": potential, "amortization": amortization, "solver": solver}
                    | {"dimension": dimension, "quantity": quantity.name}
                    | {"value": found.value, "low": found.low, "high": found.high, "job": found.job}
                    | {"seeds": len(cell)}
                    | {"diverged_seeds": int((cell["status"] == "diverged").sum())}
                    | {"device": cell["device"].iloc[0]}
                    | {"iterations": settings.steps_of(amortization, solver)}
                    | {"batch_size": settings.batch_of(amortization, solver)}
                    | {"preset": settings.preset, "reduced": settings.reduced}
                )
    return pd.DataFrame(rows, columns=list(TIDY_COLUMNS))


def cost_tex(
    tidy: pd.DataFrame, table: str, settings: TableSettings, measures: pd.DataFrame
) -> str:
    """Render a table: a block for each potential, and notes that say what the entries are.

    A row with steps or batches of its own says which.

    Args:
        tidy: as `cost_tidy` returns it.
        table: a key of `QUANTITIES`.
        settings: rows, columns and preset.
        measures: the metrics, for a note on where the measures come from.
    """
    shown, per_unit = unit(tidy) if table == "runtime_hd" else ("", 1.0)
    columns = len(settings.dimensions)
    rows: list[Row] = []
    for potential, block in tidy.groupby("potential", sort=False):
        head = Span(rf"\textit{{{escape(potential_words(str(potential)))}}}", 2)
        rows.append(Row([head, *[""] * columns], above=r"\midrule" if rows else ""))
        for (amortization, solver), line in block.groupby(["amortization", "solver"], sort=False):
            entries = {record["dimension"]: record for record in line.to_dict("records")}
            loss = escape(words(str(amortization)))
            loss += own_budget(settings, str(amortization), str(solver))
            fields = [loss, escape(words(str(solver)))]
            fields += [entry(entries[n], per_unit) for n in settings.dimensions]
            rows.append(Row(fields))
    heads = ["Amortization loss", "Conjugate solver", *(f"$n={n}$" for n in settings.dimensions)]
    body = booktabs(heads, rows, "ll" + "r" * columns)
    return fitted(body) + footnotes(_notes(tidy, table, shown, settings) + measures_notes(measures))


def unit(tidy: pd.DataFrame) -> tuple[str, float]:
    """Return the unit of run times, and its seconds."""
    longest = tidy["value"].max()
    return next((unit for unit in UNITS if longest >= unit[1]), UNITS[-1])


def entry(row: Mapping[Any, Any], per_unit: float) -> str:
    """Return an entry, ready for LaTeX."""
    if row["solver"] == "none" and row["quantity"] != QUANTITIES["runtime_hd"].name:
        return "---"
    marks = f"$^{{({row['diverged_seeds']}/{row['seeds']})}}$" if row["diverged_seeds"] else ""
    if not math.isfinite(row["value"]):
        return "---" + marks
    return significant(row["value"] / per_unit) + marks


def significant(value: float) -> str:
    """Return a number with `DIGITS` significant digits and no exponent; thousands with a comma."""
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    return f"{round(value, DIGITS - 1 - power):,.{max(DIGITS - 1 - power, 0)}f}"


def _notes(tidy: pd.DataFrame, table: str, unit: str, settings: TableSettings) -> list[str]:
    words_of = {
        "unit": unit,
        "seeds": seeds_in_words(settings),
        "share": len(settings.seeds),
        "batch": batch_in_words(settings),
        "iterations": steps_in_words(settings),
    }
    quantity = QUANTITIES[table]
    notes = [note.format(**words_of) for note in quantity.notes]
    if quantity.timed:
        devices = sorted({str(device) for device in tidy["device"].dropna()})
        notes.append("Device: " + escape("; ".join(devices)) + ".")
        if len(devices) > 1:
            notes.append(
                r"\textbf{Different devices}: entries were timed on more than one and are not "
                "to be compared without looking up which (CSV)."
            )
    if (tidy["solver"] == "none").any() and table != "runtime_hd":
        notes.append("---: no conjugate solver, the amortization model's prediction is taken.")
    return notes + diverged_notes(tidy, settings) + budget_notes(settings)


def diverged_notes(tidy: pd.DataFrame, settings: TableSettings) -> list[str]:
    """Say in LaTeX what marks of diverged seeds are, if there are any."""
    if not tidy["diverged_seeds"].any():
        return []
    notes = [
        "$^{(k/m)}$: $k$ of $m$ seeds diverged; where all did, the run ended early and has no "
        "entry. A diverged seed stays at its last finite parameters and takes its share of "
        "the time."
    ]
    if any(len(settings.groups_of(*method)) > 1 for method in settings.methods):
        notes.append(
            "Seeds are trained in groups; where all of a group diverged, which ended early, the "
            "time of training is that of a step times the steps of a whole run."
        )
    return notes


def write(
    name: str,
    metrics: Sequence[Path],
    potentials: Sequence[str],
    settings: TableSettings,
    tex: Path,
    csv: Path,
) -> None:
    """Write one table, and its numbers.

    Args:
        name: of the table, a key of `QUANTITIES`.
        metrics: tidy metrics of the HD cells.
        potentials: blocks of the table, in order.
        settings: what the config says.
        tex: table to write.
        csv: numbers to write.

    Raises:
        InputError: an argument or the metrics cannot be used; nothing is written then.
    """
    if len(set(potentials)) < len(potentials):
        raise InputError(f"--potentials: expected different names, not {list(potentials)}")
    frame = pd.concat([aggregate.read(path) for path in metrics], ignore_index=True)
    tidy = cost_tidy(frame, name, potentials, settings)
    text = cost_tex(tidy, name, settings, frame)
    write_table(tex, text, csv, tidy)

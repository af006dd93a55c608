"""The table of the cells on the plane: LaTeX with booktabs, and the same numbers as tidy CSV.

No optimal map is known there. What is known of a distance between moved samples and the measure
aimed at is its floor, the distance of two fresh sample sets of that measure: it stands below the
cells of each pair, since these share the samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.config.names import method_words, words
from w2dual.records import InputError
from w2dual.report.latex import Row, booktabs, escape, fitted, footnotes, write_table
from w2dual.report.tables.hd import budget_notes, own_budget
from w2dual.results import aggregate
from w2dual.results.measured.synthetic import MEASURED
from w2dual.results.summary import Budget, Entry, check_cell, seeds_in_words

QUANTITIES = {
    "w2_forward": (r"$W_2^2$ forward", "w2_floor_forward"),
    "w2_inverse": (r"$W_2^2$ inverse", "w2_floor_inverse"),
    "sinkhorn_forward": ("Sinkhorn forward", "sinkhorn_floor_forward"),
    "sinkhorn_inverse": ("Sinkhorn inverse", "sinkhorn_floor_inverse"),
    "monge_gap_forward": ("Monge gap", None),
    "cycle_forward": ("Cycle error", None),
    "conjugate_iterations_mean": ("Iterations", None),
}
"""Columns of metrics -> (head, column of the floor)."""
OPTIONAL = {"conjugate_iterations_mean"}
"""Those that methods without conjugates do not have."""
TIDY_COLUMNS = (
    "cell",
    "pair",
    "potential",
    "amortization",
    "solver",
    "quantity",
    "mean",
    "std",
    "floor",
    "seeds",
    "diverged_seeds",
    "samples",
    "measures_source",
    "preset",
    "reduced",
    "iterations",
)
DIGITS = 3
"""Significant digits of a mean: the pairs differ in scale."""
PLAIN = range(-3, 5)
"""Powers of ten of a first digit that are shown without an exponent."""
SMALLEST = -6
"""Power of ten below which a size is rounding of 32-bit numbers, and no figure."""


@dataclass(frozen=True, kw_only=True)
class SyntheticSettings(Budget):
    """What the config says about the table.

    Attributes:
        epsilon: Sinkhorn's regularisation, as a fraction of the mean squared distance within the
            measure aimed at.
    """

    epsilon: float


def synthetic_tidy(
    frame: pd.DataFrame, cells: Sequence[str], settings: SyntheticSettings
) -> pd.DataFrame:
    """Return the numbers of the table: a row for each (cell, quantity), pair by pair.

    Columns: `mean`, `std` (ddof 0; squared distances in the units of the points; infinite and
    empty where a seed diverged, both empty of a method that does not have the quantity), `floor`
    (mean over the seeds; empty for a quantity without one).

    Args:
        frame: tidy metrics of the cells on the plane.
        cells: names of the cells. Pairs stand in the order of their first cells.
        settings: of the table.

    Raises:
        InputError: a cell or a seed is missing or given twice, or comes from another preset.
    """
    for name in cells:
        check_cell(frame[frame["cell"] == name], name, settings)
    pairs = dict(frame[["cell", "pair"]].itertuples(index=False))
    order = list(dict.fromkeys(pairs[name] for name in cells))
    rows = []
    for name in sorted(cells, key=lambda cell: order.index(pairs[cell])):
        cell = frame[frame["cell"] == name]
        first = cell.iloc[0]
        common = {column: first[column] for column in TIDY_COLUMNS[:5]}
        common |= {"samples": settings.evaluation_samples, "preset": settings.preset}
        common |= {"iterations": settings.steps_of(first["amortization"], first["solver"])}
        common |= {"measures_source": first["measures_source"], "reduced": settings.reduced}
        for quantity, (_, floor) in QUANTITIES.items():
            summarise = Entry.optional if quantity in OPTIONAL else Entry.of
            entry = summarise(cell[quantity].tolist(), cell["status"].tolist())
            rows.append(
                common
                | {"quantity": quantity, "mean": entry.mean, "std": entry.std}
                | {"floor": _floor(frame[frame["pair"] == pairs[name]], floor)}
                | {"seeds": entry.seeds, "diverged_seeds": entry.diverged_seeds}
            )
    return pd.DataFrame(rows, columns=list(TIDY_COLUMNS))


def _floor(pair: pd.DataFrame, column: str | None) -> float:
    """Average over seeds; a seed that diverged in one cell has its floor from another."""
    return math.nan if column is None else float(pair.groupby("seed")[column].first().mean())


def synthetic_tex(tidy: pd.DataFrame, settings: SyntheticSettings) -> str:
    """Render the table: booktabs, and notes that say what the entries are.

    A row with steps or batches of its own says which.
    """
    methods = list(dict.fromkeys(zip(tidy["amortization"], tidy["solver"], strict=True)))
    named = len(methods) > 1
    rows: list[Row] = []
    for pair, group in tidy.groupby("pair", sort=False):
        above = r"\addlinespace" if rows else ""
        label = escape(_capital(words(str(pair))))
        for _, lines in group.groupby("cell", sort=False):
            found = {str(record["quantity"]): record for record in lines.to_dict("records")}
            first = next(iter(found.values()))
            own = own_budget(settings, first["amortization"], first["solver"])
            method = [escape(words(first["amortization"])) + own, escape(words(first["solver"]))]
            fields = [label, escape(words(first["potential"])), *(method if named else [])]
            fields += [_entry(found[quantity]) for quantity in QUANTITIES]
            rows.append(Row(fields, above=above))
            label = above = ""
        floors = group.groupby("quantity")["floor"].first()
        fields = ["", r"{\scriptsize floor}", *(["", ""] if named else [])]
        fields += [_floor_entry(quantity, floors[quantity]) for quantity in QUANTITIES]
        rows.append(Row(fields))
    heads = ["Pair", "Potential", *(["Amortization", "Solver"] if named else [])]
    left = len(heads)
    heads += [head for head, _ in QUANTITIES.values()]
    body = booktabs(heads, rows, "l" * left + "r" * len(QUANTITIES))
    return fitted(body) + footnotes(_notes(tidy, settings, methods))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _entry(row: Mapping[Any, Any]) -> str:
    without = row["quantity"] in OPTIONAL and row["solver"] == "none"
    if without or math.isnan(row["mean"]):
        return "--"
    if math.isinf(row["mean"]):
        return rf"{{\scriptsize diverged ({row['diverged_seeds']}/{row['seeds']})}}"
    return number(row["mean"], row["std"] if row["seeds"] > 1 else None)


def _floor_entry(quantity: str, value: float) -> str:
    if QUANTITIES[quantity][1] is None:
        return ""
    return rf"{{\scriptsize {number(value)}}}" if math.isfinite(value) else "--"


def number(mean: float, std: float | None = None) -> str:
    """Set a number with `DIGITS` significant digits, in LaTeX, and its deviation to the same place.

    Plain from 0.001 on, below with a power of ten; of what rounding leaves, only that it is small.
    """
    if mean == 0:
        return "0"
    if abs(mean) < 10.0**SMALLEST:
        return f"$<10^{{{SMALLEST}}}$"
    digits, exponent = f"{mean:.{DIGITS - 1}e}".split("e")
    power = int(exponent)
    if power in PLAIN:
        places = max(DIGITS - 1 - power, 0)
        return f"{mean:.{places}f}" + ("" if std is None else _deviation(f"{std:.{places}f}"))
    times = rf"$\cdot10^{{{power}}}$"
    if std is None:
        return digits + times
    return f"({digits}{_deviation(f'{std / 10.0**power:.{DIGITS - 1}f}')}){times}"


def _deviation(text: str) -> str:
    return rf" {{\scriptsize$\pm${text}}}"


def _notes(
    tidy: pd.DataFrame, settings: SyntheticSettings, methods: Sequence[tuple[str, str]]
) -> list[str]:
    several = len(settings.seeds) > 1
    spread = r"mean $\pm$ standard deviation (ddof 0) over " if several else "of "
    notes = [
        r"$W_2^2$: mean squared distance, in the squared units of the points, between moved "
        r"samples and samples of the measure aimed at under their optimal assignment. Forward: "
        r"$T=\nabla f$ moves the source to the target; inverse: $\nabla f^*$ moves the target to "
        r"the source. Sinkhorn: the same under the entropic coupling, regularised by "
        rf"{settings.epsilon:g} of the mean squared distance within the measure aimed at. "
        rf"{settings.evaluation_samples:,} fresh samples of each measure.",
        r"Floor: the same between two fresh sample sets of the measure aimed at, which is what the "
        r"optimal map reaches on average: of a map at its floor, samples of this number tell no "
        r"error.",
        r"Monge gap: how much of the mean squared distance $\mathrm{E}\|T(x)-x\|^2$ the optimal "
        r"assignment of the moved points to where they came from would save, 0 for an optimal map. "
        r"Cycle error: $\mathrm{E}\|\nabla f^*(T(x))-x\|^2$. Iterations: of the conjugate solver, "
        r"at samples of the target.",
        f"Entries: {spread}{seeds_in_words(settings)}, lower is better.",
    ]
    if len(methods) == 1:
        alike = escape(method_words(*methods[0])) + own_budget(settings, *methods[0])
        notes[-1] += f" All cells: {alike}."
    if tidy["diverged_seeds"].any():
        notes.append(
            "diverged ($k$/$m$): $k$ of $m$ seeds diverged, which makes the mean infinite."
        )
    return notes + budget_notes(settings)


def write(metrics: Path, cells: Any, settings: SyntheticSettings, tex: Path, csv: Path) -> None:
    """Write the table, and its numbers.

    Args:
        metrics: tidy metrics of all cells.
        cells: their names, in order.
        settings: what the config says.
        tex: table to write.
        csv: numbers to write.

    Raises:
        InputError: the names or the metrics cannot be used; nothing is written then.
    """
    named = isinstance(cells, list) and all(isinstance(name, str) for name in cells)
    if not named or not cells or len(set(cells)) < len(cells):
        raise InputError(f"--cells: expected a list of different names, not {cells!r:.60}")
    tidy = synthetic_tidy(aggregate.read(metrics, MEASURED), cells, settings)
    text = synthetic_tex(tidy, settings)
    write_table(tex, text, csv, tidy)

"""What the report says of each cell: the order of the cells, and how their runs went."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from w2dual.config.names import words
from w2dual.report.facts import (
    BASELINES,
    IMAGE_BASELINES,
    IMAGES,
    ReportSettings,
    position,
    synthetic_pairs,
)
from w2dual.report.latex import escape
from w2dual.report.systems import BY_KIND
from w2dual.results import aggregate, celeba64


def run_rows(frame: pd.DataFrame, settings: ReportSettings) -> list[list[str]]:
    """Return one line per cell about its run, in the order of the tables, ready for LaTeX."""
    rows = []
    for cell in cell_order(frame, settings):
        group = frame[frame["cell"] == cell]
        first = group.iloc[0]
        counts = group[[f"conjugate_{name}" for name in aggregate.CONJUGATE_STATUSES]].sum()
        total = counts.sum()
        solved = first["solver"] != "none"
        iterations = group["conjugate_iterations_mean"].mean()
        training = group[[f"training_{name}" for name in aggregate.CONJUGATE_STATUSES]].sum()
        worst = group["worst_conjugate_residual"].max()
        rows.append(
            [
                _pair(first),
                escape(words(first["potential"])),
                escape(words(first["amortization"])),
                escape(words(first["solver"])),
                f"{int((group['status'] == 'finished').sum())}/{len(group)}",
                _number(first["seconds_per_step"], ".2g"),
                _number(first["training_s"], ",.0f"),
                _number(iterations, ".1f") if solved else "--",
                _percent(training["training_converged"], training.sum())
                + " / "
                + _percent(counts["conjugate_converged"], total)
                if solved
                else "--",
                _number(worst, ".2g") if solved else "--",
                str(int(group["spikes_steps"].sum())),
            ]
        )
    return rows


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else "--"


def diverged_lines(frame: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Return a line for each cell with diverged seeds: when, and the error at the last evaluation.

    Ready for LaTeX, in the order of the tables.
    """
    lines = []
    for cell in cell_order(frame, settings):
        group = frame[(frame["cell"] == cell) & (frame["status"] == "diverged")]
        seeds = [
            f"seed {row['seed']} at step {row['diverged_at_step']:,.0f}; "
            f"{_number(row['before_divergence'], '.3g')} before"
            for row in group.to_dict("records")
        ]
        if seeds:
            lines.append(f"{escape(cell)}: {'; '.join(seeds)}.")
    return lines


def cell_order(frame: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Return the names of all cells in the order of the tables.

    First the benchmark's by dimension, potential, then method in the config's order; then those of
    the benchmark's own methods by dimension; then those on the plane by pair, then as the config
    has them; then those of CelebA64 by pair and method, the benchmark's own after the others; then
    those of each other system by name.
    """
    potentials = {name: number for number, name in enumerate(settings.potentials)}
    methods = {method: number for number, method in enumerate(settings.methods)}
    pairs = synthetic_pairs(frame, settings)
    images = settings.images.methods if settings.images else ()
    methods_on_images = {method: number for number, method in enumerate(images)}
    systems = {kind: number for number, kind in enumerate(BY_KIND)}

    def key(row: Any) -> tuple[int, int, int, int, str]:
        if row.kind == IMAGES and settings.images is not None:
            place = settings.images.generators.index(row.pair.removeprefix(celeba64.PREFIX))
            number = methods_on_images.get((row.amortization, row.solver), 0)
            return 3, place, 0, number, row.cell
        if row.kind == IMAGE_BASELINES and settings.images is not None:
            place = settings.images.generators.index(row.pair.removeprefix(celeba64.PREFIX))
            return 3, place, 1, 0, row.cell
        if row.kind in systems:
            return 4, systems[row.kind], 0, 0, row.cell
        if row.kind == "synthetic":
            return 2, pairs.index(row.pair), position(row.cell, settings.plane.cells), 0, row.cell
        if row.kind == BASELINES:
            return 1, row.dimension, 0, 0, row.cell
        method = (row.amortization, row.solver)
        return (
            0,
            row.dimension,
            potentials.get(row.potential, len(potentials)),
            methods.get(method, len(methods)),
            row.cell,
        )

    cells = frame.drop_duplicates("cell")
    return [str(row.cell) for row in sorted(cells.itertuples(index=False), key=key)]


def _pair(row: Mapping[str, Any] | pd.Series) -> str:
    """Name a cell's pair for LaTeX; the benchmark's by its dimension."""
    if row["kind"] in BY_KIND:
        return BY_KIND[row["kind"]].pair(dict(row))
    benchmark = row["kind"] in ("hd", BASELINES)
    return rf"$n={row['dimension']}$" if benchmark else escape(words(row["pair"]))


def _number(value: Any, form: str) -> str:
    number = float(value)
    return format(number, form) if math.isfinite(number) else "--"

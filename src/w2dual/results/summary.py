"""The evaluation in numbers: each cell over its seeds, next to the published values.

Tables, figures and the verdict are made of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from w2dual.decoding import decode
from w2dual.records import InputError
from w2dual.results.published import published_cells, read_published

_HERE = "settings"
METRIC = "l2_uvp_forward_percent"
TIDY_COLUMNS = (
    "name",
    "amortization",
    "solver",
    "dimension",
    "mean",
    "std",
    "seeds",
    "diverged_seeds",
    "mean_as_published",
    "above_limit",
    "best",
    "improvement_factor",
    "published_mean",
    "published_std",
    "published_diverged",
    "source",
    "measures_source",
    "preset",
    "reduced",
    "iterations",
)


@dataclass(frozen=True)
class RowBudget:
    """What was spent on cells of a row (`arguments.budget`)."""

    amortization: str
    solver: str
    iterations: int
    batch_size: int
    seeds_at_once: int | None = None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a preset allows, for the notes below a table and the report.

    Attributes:
        preset, label, reduced: name of the preset, its description, whether it shrinks the budget.
        iterations, batch_size: of training, of each row that `row_budgets` does not have.
        seeds: of training.
        evaluation_samples: fresh points of each measure, at the end.
        seeds_at_once: trained side by side, of each row that `row_budgets` does not have; None
            for all.
        row_budgets: of all rows, where one of them has its own.
    """

    preset: str
    label: str
    reduced: bool
    iterations: int
    batch_size: int
    seeds: tuple[int, ...]
    evaluation_samples: int
    seeds_at_once: int | None = None
    row_budgets: tuple[RowBudget, ...] = ()

    def steps_of(self, amortization: str, solver: str) -> int:
        """Return the training steps of a row."""
        return self._of(amortization, solver).iterations

    def batch_of(self, amortization: str, solver: str) -> int:
        """Return the batch size of a row."""
        return self._of(amortization, solver).batch_size

    def groups_of(self, amortization: str, solver: str) -> list[tuple[int, ...]]:
        """Return the seeds of a row's cells in the groups that are trained side by side."""
        count = self._of(amortization, solver).seeds_at_once or len(self.seeds)
        return [self.seeds[at : at + count] for at in range(0, len(self.seeds), count)]

    def _of(self, *row: str) -> RowBudget | Budget:
        own = (one for one in self.row_budgets if (one.amortization, one.solver) == row)
        return next(own, self)

    @classmethod
    def from_json(cls, record: Any, key: str = "") -> Self:
        """Read the settings of the command line.

        Raises:
            InputError: a key is missing or unknown, or a value of the wrong type; the message names
                it.
        """
        return decode(cls, cls._flat(record) if isinstance(record, Mapping) else record, _HERE, key)

    @classmethod
    def _flat(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record with the fields as keys: what is under `preset` and `budget` as well."""
        preset = decode(_Preset, record.get("preset"), _HERE, "preset")
        budget = decode(_Spent, record.get("budget"), _HERE, "budget")
        known = {"preset": preset.name, "label": preset.label, "reduced": preset.reduced}
        rest = {key: value for key, value in record.items() if key != "budget"}
        return rest | known | asdict(budget)


@dataclass(frozen=True)
class _Preset:
    """The config's `preset`."""

    name: str
    label: str
    reduced: bool


@dataclass(frozen=True)
class _Spent:
    """What was spent on the cells of a grid (`arguments.budget`)."""

    iterations: int
    batch_size: int
    seeds: tuple[int, ...]
    evaluation_samples: int
    seeds_at_once: int | None = None
    row_budgets: tuple[RowBudget, ...] = ()


@dataclass(frozen=True)
class _Row:
    """A row of a table (`arguments.table`)."""

    amortization: str
    solver: str
    potentials: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class TableSettings(Budget):
    """What the config says about a table of the HD evaluation.

    Attributes:
        dimensions: columns, in order.
        methods: rows, in order: (amortization, solver).
        potentials_of: of those rows that not every table has, the potentials whose tables do.
        decimals: digits after the point of means and standard deviations.
        diverged_above: percent; a mean above it is shown as `>` this value.
    """

    dimensions: tuple[int, ...]
    methods: tuple[tuple[str, str], ...]
    potentials_of: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    decimals: int
    diverged_above: float

    @classmethod
    def _flat(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        given = record.get("methods")
        if not isinstance(given, list | tuple):
            return super()._flat(record)  # it is missing, or no list: the decoder says so
        rows = [decode(_Row, row, _HERE, f"methods.{place}") for place, row in enumerate(given)]
        labels = [(row.amortization, row.solver) for row in rows]
        named = list(zip(labels, rows, strict=True))
        where = {label: row.potentials for label, row in named if row.potentials is not None}
        return super()._flat(record) | {"methods": labels, "potentials_of": where}

    def methods_of(self, potential: str) -> list[tuple[str, str]]:
        """Return the rows of a potential's table, in order."""
        return [m for m in self.methods if potential in self.potentials_of.get(m, (potential,))]


@dataclass(frozen=True)
class Entry:
    """A table entry: statistics of one cell over its seeds; a diverged seed counts as infinite."""

    mean: float
    std: float
    seeds: int
    diverged_seeds: int

    @staticmethod
    def of(values: Sequence[float], statuses: Sequence[str]) -> Entry:
        """Summarise the seeds of a cell; std with ddof 0, as in the paper."""
        finished = [
            value
            for value, status in zip(values, statuses, strict=True)
            if status == "finished" and math.isfinite(value)
        ]
        diverged = len(values) - len(finished)
        if diverged or not finished:
            return Entry(math.inf, math.nan, len(values), diverged)
        return Entry(float(np.mean(finished)), float(np.std(finished)), len(values), 0)

    @staticmethod
    def optional(values: Sequence[float], statuses: Sequence[str]) -> Entry:
        """Summarise the seeds of a cell by a quantity that some methods do not have.

        Where no seed that finished has it there is no such quantity, and the mean is NaN. Where
        some have, one that has not is diverged.
        """
        finished = [v for v, status in zip(values, statuses, strict=True) if status == "finished"]
        if finished and all(math.isnan(value) for value in finished):
            return Entry(math.nan, math.nan, len(values), len(values) - len(finished))
        return Entry.of(values, statuses)

    @staticmethod
    def as_published(cell: pd.DataFrame) -> Entry:
        """Summarise the seeds of a cell as the paper's tables do, a diverged one by its last value.

        The published aggregation (w2ot, scripts/analyze_benchmark_results.py) takes the last row of
        each run's log, whatever ended the run; that of a run that exits is written as it exits.

        Args:
            cell: tidy rows of the cell, one for each seed.
        """
        diverged = cell["status"] == "diverged"
        values = cell[METRIC].where(~diverged, cell["before_divergence"]).astype(float)
        entry = Entry.of(values.tolist(), ["finished"] * len(values))
        return replace(entry, diverged_seeds=int(diverged.sum()))


def hd_tidy(
    frame: pd.DataFrame, potential: str, published: Path, settings: TableSettings
) -> pd.DataFrame:
    """Return the numbers of one HD table: a row for each (baseline or method, dimension).

    Columns: `mean`, `std` (ddof 0; percent; infinite and empty where a seed diverged),
    `mean_as_published` (the mean, a diverged seed counted at its last evaluation, as the paper's
    tables do), `above_limit` (shown as `>100`), `best` (of its dimension, at the decimals shown),
    `improvement_factor` = best quoted baseline / this mean, `published_*` = the paper's value of
    the cell, `source`, `iterations` (training steps). On measures generated here a quoted value is
    of another problem: it is never `best` there, and there is no `improvement_factor`.

    Raises:
        InputError: a cell or a seed is missing or given twice, or comes from another preset.
    """
    names = ["name", "amortization", "solver", "dimension", "mean"]
    baselines = read_published(published / "hd_baselines.csv", names)
    baselines = baselines[baselines["dimension"].isin(settings.dimensions)]
    ours = frame[frame["potential"] == potential]
    paper = {
        (known.amortization, known.solver, known.dimension): known
        for known in published_cells(published, potential).itertuples(index=False)
    }
    rows: list[dict[str, Any]] = [
        {"name": b.name, "amortization": b.amortization, "solver": b.solver}
        | {"dimension": b.dimension, "mean": b.mean, "source": "quoted"}
        for b in baselines.itertuples(index=False)
    ]
    for amortization, solver in settings.methods_of(potential):
        for dimension in settings.dimensions:
            cell = ours[
                (ours["amortization"] == amortization)
                & (ours["solver"] == solver)
                & (ours["dimension"] == dimension)
            ]
            check_cell(cell, f"{potential}, {amortization}, {solver}, n = {dimension}", settings)
            entry = Entry.of(cell[METRIC].tolist(), cell["status"].tolist())
            known: Any = paper.get((amortization, solver, dimension))
            rows.append(
                {"name": "", "amortization": amortization, "solver": solver}
                | {"dimension": dimension, "mean": entry.mean, "std": entry.std}
                | {"seeds": entry.seeds, "diverged_seeds": entry.diverged_seeds}
                | {"mean_as_published": Entry.as_published(cell).mean}
                | {
                    "published_mean": None if known is None else known.mean,
                    "published_std": None if known is None else known.std,
                    "published_diverged": None if known is None else bool(known.diverged),
                }
                | {"source": "ours", "measures_source": cell["measures_source"].iloc[0]}
                | {"iterations": settings.steps_of(amortization, solver)}
            )
    tidy = pd.DataFrame(rows, columns=list(TIDY_COLUMNS))
    tidy["mean"] = tidy["mean"].astype(float)
    tidy["std"] = tidy["std"].astype(float)
    tidy["mean_as_published"] = tidy["mean_as_published"].astype(float)
    tidy["above_limit"] = ~(tidy["mean"] <= settings.diverged_above)
    shown = tidy["mean"].where(~tidy["above_limit"]).round(settings.decimals)
    made_here = tidy["measures_source"].eq("generated").groupby(tidy["dimension"]).transform("any")
    shown = shown.where(~(made_here & (tidy["source"] == "quoted")))
    tidy["best"] = shown.notna() & (shown == shown.groupby(tidy["dimension"]).transform("min"))
    quoted = tidy[tidy["source"] == "quoted"].groupby("dimension")["mean"].min()
    factor = tidy["dimension"].map(quoted) / tidy["mean"].where(tidy["mean"] > 0)
    compared = (tidy["source"] == "ours") & ~tidy["above_limit"] & ~made_here
    tidy["improvement_factor"] = factor.where(compared)
    tidy["seeds"] = tidy["seeds"].astype("Int64")
    tidy["diverged_seeds"] = tidy["diverged_seeds"].astype("Int64")
    tidy["preset"], tidy["reduced"] = settings.preset, settings.reduced
    tidy["iterations"] = tidy["iterations"].astype("Int64")
    return tidy


def check_cell(cell: pd.DataFrame, what: str, settings: Budget) -> None:
    """Check that the rows of a cell are there, one for each seed, and of the preset.

    Raises:
        InputError: they are not; the message names the cell by `what`.
    """
    if cell.empty:
        raise InputError(f"table: the metrics have no cell {what}")
    found = sorted(cell["seed"].tolist())
    if found != sorted(settings.seeds):
        raise InputError(
            f"table: cell {what} has seeds {found}, expected {sorted(settings.seeds)}, each once"
        )
    presets = sorted(set(cell["preset"]))
    if presets != [settings.preset]:
        raise InputError(
            f"table: cell {what} comes from preset {', '.join(presets)}, expected {settings.preset}"
        )


def one_of_seeds(seed: int | None, seeds: int, diverged: int) -> str:
    """Say which seed stands for its cell, as in "seed 1 of 3 (1 diverged)"; None if none can."""
    if seed is None:
        return f"all {seeds} seeds diverged" if seeds > 1 else "the only seed diverged"
    return f"seed {seed} of {seeds}" + (f" ({diverged} diverged)" if diverged else "")


def training_seconds(cell: pd.DataFrame, settings: Budget) -> float:
    """Return the seconds of training of a cell's job: of a whole run, if one of its seeds has it.

    A group of seeds ends once all of them have diverged. Where one did, and another did not, the
    time is that of a step of every group, times the steps of a whole run.

    Args:
        cell: tidy rows of the cell, one for each seed.
        settings: what its seeds and groups are.
    """
    row, measured = cell.iloc[0], float(cell["training_s"].astype(float).iloc[0])
    diverged = set(cell.loc[cell["status"] == "diverged", "seed"])
    groups = settings.groups_of(row["amortization"], row["solver"])
    ended = [diverged.issuperset(group) for group in groups]
    if all(ended) or not any(ended):
        return measured
    return float(row["seconds_per_step"]) * settings.steps_of(row["amortization"], row["solver"])


def range_in_words(values: Iterable[int]) -> str:
    """Word whole numbers: the one that they all are, or the least and the most."""
    low, high = min(found := [int(value) for value in values]), max(found)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def steps_in_words(settings: Budget) -> str:
    """Word the training steps: those of all rows, or the least and the most."""
    own = [row.iterations for row in settings.row_budgets]
    return range_in_words(own or [settings.iterations])


def batch_in_words(settings: Budget) -> str:
    """Word the batch size: that of all rows, or the least and the most."""
    own = [row.batch_size for row in settings.row_budgets]
    return range_in_words(own or [settings.batch_size])


def seeds_in_words(settings: Budget) -> str:
    """Count the seeds, as in "5 seeds"."""
    number = len(settings.seeds)
    return f"{number} seed" + ("s" if number > 1 else "")

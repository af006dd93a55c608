"""The cells of Lagrangian costs in numbers, next to the published values and to their floor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.results.published import read_published
from w2dual.results.summary import Budget, Entry, check_cell

PREFIX = "lagrangian_"
"""Of the names of cells, before the setting."""


@dataclass(frozen=True)
class Quantity:
    """What cells are measured by.

    Attributes:
        column: of the metrics.
        floor: column of the same for the best map known; None where that is 0.
        scale: what a number is shown times.
        expected: column of the same for the mean paths of a random map; None where it has none.
        optional: whether some methods or settings have no such number. Of the others one that is
            not finite says that the seed diverged.
    """

    column: str
    floor: str | None
    scale: float = 1.0
    expected: str | None = None
    optional: bool = False


QUANTITIES = {
    "published": Quantity("published", "published_floor", 100.0, "published_expected"),
    "w2": Quantity("w2", "w2_floor", 100.0, "w2_expected"),
    "cost": Quantity("cost", "cost_reference", 100.0, "cost_expected"),
    "own_cost": Quantity("own_cost", "cost_reference", 100.0),
    "inside": Quantity("inside_fraction", None, 100.0, "inside_fraction_expected", optional=True),
    "path_gap": Quantity("path_gap", None, 100.0, optional=True),
    "iterations": Quantity("conjugate_iterations_mean", None, optional=True),
}
"""By the name that tables have."""
STOCHASTIC, EXPECTED = "stochastic", "expected"
"""What the two rows of a random map are of: one drawn path of each sample, and the mean of many."""
TIDY_COLUMNS = (
    *("method", "setting", "quantity", "mean", "std", "floor", "floor_std", "seeds"),
    *("diverged_seeds", "source", "steps", "preset", "reduced"),
)


@dataclass(frozen=True, kw_only=True)
class LagrangianSettings(Budget):
    """What the config says about the table.

    Attributes:
        settings: columns, in order.
        methods: rows, in order, as `rows.Row.amortization` has them.
        random: those of them whose map is random, which have two rows.
        published_samples: points of the published measure.
        published_epsilon: its regularisation.
        cost_samples: points whose best paths are searched for.
        alpha: error of the comparisons of a claim.
    """

    settings: tuple[str, ...]
    methods: tuple[str, ...]
    published_samples: int
    published_epsilon: float
    cost_samples: int
    alpha: float
    random: tuple[str, ...] = ()


def rows_of(method: str, random: bool) -> tuple[str, ...]:
    """Return the names of a method's rows; of a random map the drawn paths come first."""
    return (f"{method}_{STOCHASTIC}", f"{method}_{EXPECTED}") if random else (method,)


def setting_of(cell: str) -> str:
    """Return the setting of a cell, from its name."""
    return cell.removeprefix(PREFIX).partition("-")[0]


def published(folder: Path) -> pd.DataFrame:
    """Return the published values, times 100.

    Raises:
        InputError: the file is missing or unreadable.
    """
    return read_published(folder / "lagrangian.csv", ["name", "method", "setting", "mean", "std"])


def tidy(frame: pd.DataFrame, folder: Path, settings: LagrangianSettings) -> pd.DataFrame:
    """Return the numbers of the table: a row for each (method, setting, quantity).

    Squared distances and costs are times 100; `mean` and `std` (ddof 0) are over seeds, `floor` and
    `floor_std` the same of the best map known, on the same samples. Published rows follow.

    Args:
        frame: tidy metrics of the cells.
        folder: of the published values.
        settings: rows and columns.

    Raises:
        InputError: a cell or a seed is missing or given twice, or comes from another preset.
    """
    found: list[dict[str, Any]] = []
    settings_of_rows = frame["cell"].map(setting_of)
    for method in settings.methods:
        for setting in settings.settings:
            cell = frame[(frame["amortization"] == method) & (settings_of_rows == setting)]
            check_cell(cell, f"{method}, {setting}", settings)
            own = {"setting": setting, "source": "ours", "steps": int(cell["steps"].max())}
            names = rows_of(method, method in settings.random)
            for name, quantity in QUANTITIES.items():
                columns = (quantity.column, quantity.expected)[: len(names)]
                for row_name, column in zip(names, columns, strict=True):
                    if column is not None:
                        numbers = _numbers(cell, quantity, column)
                        found.append({"method": row_name, "quantity": name} | numbers | own)
    row: Any
    for row in published(folder).itertuples(index=False):
        if row.setting in settings.settings:
            found.append(
                {"method": row.name, "setting": row.setting, "quantity": "published"}
                | {"mean": row.mean, "std": row.std, "source": "published"}
            )
    table = pd.DataFrame(found, columns=list(TIDY_COLUMNS))
    for column in ("seeds", "diverged_seeds", "steps"):
        table[column] = table[column].astype("Int64")
    table["preset"], table["reduced"] = settings.preset, settings.reduced
    return table


def _numbers(cell: pd.DataFrame, quantity: Quantity, column: str) -> dict[str, Any]:
    statuses = cell["status"].tolist()
    summarise = Entry.optional if quantity.optional else Entry.of
    entry = summarise((quantity.scale * cell[column]).tolist(), statuses)
    floor = Entry(math.nan, math.nan, 0, 0)
    if quantity.floor is not None and cell[quantity.floor].notna().any():
        values = quantity.scale * cell[quantity.floor].dropna()
        floor = Entry.of(values.tolist(), ["finished"] * len(values))
    return {
        "mean": entry.mean,
        "std": entry.std,
        "floor": floor.mean,
        "floor_std": floor.std,
        "seeds": entry.seeds,
        "diverged_seeds": entry.diverged_seeds,
    }

"""The CelebA64 cells in numbers, both directions, next to the published values.

Forward is the map from the source (sharp images) to the target (blurred ones), which the paper's
own rows are of (w2ot logs the forward error). The quoted baselines are errors of the inverse map:
inferred, from the stored notebooks of Korotin et al., whose figures show blurred images as input
and sharp ones as output, and whose final errors fit the published ones in that direction alone. So
the paper's table sets two quantities side by side. Here a quoted value is compared with our inverse
errors, and a value of the paper's own with our forward ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2dual.config.names import words
from w2dual.records import InputError
from w2dual.results import verdict
from w2dual.results.published import read_published
from w2dual.results.summary import Entry, check_cell
from w2dual.results.verdict import PAPER_SEEDS, VerdictSettings

METRICS = {"forward": "l2_uvp_forward_percent", "inverse": "l2_uvp_inverse_percent"}
"""Direction -> column of the tidy metrics."""
PREFIX = "celeba64_"
"""Of the names of pairs."""
POTENTIAL = "conv"
"""Name of the potential of the paper's own rows in config.yaml."""
STANDS_FOR = {"lbfgs_high_precision": "lbfgs"}
"""Solver -> the one of the published rows that it is compared with: which of the two made them
cannot be told from the published code."""
TIDY_COLUMNS = (
    *("name", "potential", "amortization", "solver", "pair", "direction", "mean", "std", "seeds"),
    *("diverged_seeds", "mean_as_published", "above_limit", "best", "improvement_factor"),
    *("improvement_as_published", "published_mean", "published_std", "published_diverged"),
    *("source", "measures_source", "preset", "reduced", "iterations"),
    *("evaluation", "improvement_native"),
)
BEST, LAST = "best", "last"
"""Evaluations of a run that count: the best by the optimal map, as quoted values are (inferred), or
the last, as the paper's are."""
VERDICT_COLUMNS = ("pair", *verdict.COLUMNS, "ours_inverse_mean", "ours_inverse_std")


@dataclass(frozen=True)
class NativeRow:
    """How the cells of one of the benchmark's own methods are told apart."""

    potential: str
    amortization: str
    solver: str


@dataclass(frozen=True)
class NativeSettings:
    """Of the benchmark's own methods on images: their rows in order, and the seeds of each cell."""

    methods: tuple[NativeRow, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ImageSettings(VerdictSettings):
    """What the config says about the tables of the CelebA64 cells.

    Attributes:
        generators: pairs of measures, in order; all are of the one of `dimensions`.
        baselines: the benchmark's own methods that are trained here.
    """

    generators: tuple[str, ...]
    baselines: NativeSettings = NativeSettings((), ())

    @property
    def dimension(self) -> int:
        """Return how many numbers an image has."""
        return self.dimensions[0]


def pair_of(generator: str) -> str:
    """Return the name of the pair of measures."""
    return f"{PREFIX}{generator}"


def published(folder: Path) -> pd.DataFrame:
    """Return the published values: quoted baselines, then the paper's own rows.

    Raises:
        InputError: the file is missing or unreadable.
    """
    columns = ["name", "amortization", "solver", "potential", "generator"]
    columns += ["mean", "std", "diverged", "source"]
    return read_published(folder / "celeba64.csv", columns)


def published_cell(folder: Path, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return the paper's own row of a cell, forward; an empty frame where it has none."""
    found = published(folder)
    solver = STANDS_FOR.get(cell["solver"], cell["solver"])
    return found[
        (found["source"] == "paper")
        & (found["amortization"] == cell["amortization"])
        & (found["solver"] == solver)
        & (pair_of("") + found["generator"] == cell["pair"])
        & (cell["potential"] == POTENTIAL)
    ]


def tidy(
    frame: pd.DataFrame,
    folder: Path,
    settings: ImageSettings,
    native: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the numbers of the table: a row for each (baseline or method, pair, direction).

    `improvement_factor` is the best quoted baseline over our mean in the same direction, the
    inverse; `improvement_as_published` is that over our forward mean, as the paper takes it. On
    measures generated here there is neither: the quoted values are of another problem.
    `improvement_native` is the best of the benchmark's own methods that were trained here over our
    mean, both last, in the same direction.

    Args:
        frame: tidy metrics of the cells.
        folder: of the published values.
        settings: rows and columns.
        native: tidy metrics of the benchmark's own methods; None where there are none.

    Raises:
        InputError: a cell or a seed is missing or given twice, or comes from another preset.
    """
    known = published(folder)
    known = known[known["generator"].isin(settings.generators)]
    rows: list[dict[str, Any]] = [
        {"name": row.name, "potential": row.potential, "amortization": row.amortization}
        | {"solver": row.solver, "pair": row.generator, "direction": "inverse", "mean": row.mean}
        | {"source": "quoted", "evaluation": BEST}
        for row in known[known["source"] == "quoted"].itertuples(index=False)
    ]
    if native is not None:
        rows += native_rows(native, settings)
    paper: dict[tuple[str, str, str], Any] = {
        (str(row.amortization), str(row.solver), str(row.generator)): row
        for row in known[known["source"] == "paper"].itertuples(index=False)
    }
    for potential in frame["potential"].drop_duplicates():
        for amortization, solver in settings.methods:
            for generator in settings.generators:
                row = (potential, amortization, solver, generator)
                rows += _rows_of(frame, row, paper, settings)
    found = pd.DataFrame(rows, columns=list(TIDY_COLUMNS))
    for column in ("mean", "std", "mean_as_published"):
        found[column] = found[column].astype(float)
    found["above_limit"] = ~(found["mean"] <= settings.diverged_above)
    shown = found["mean"].where(~found["above_limit"]).round(settings.decimals)
    # A quoted value is of the published measures, and no rival to one on measures made here.
    made_here = found["measures_source"].eq("generated").groupby(found["pair"]).transform("any")
    shown = shown.where(~(made_here & (found["source"] == "quoted")))
    # What was chosen by the optimal map is no rival of what was not, but for a quoted value.
    shown = shown.where((found["source"] != NATIVE) | (found["evaluation"] == LAST))
    column = [found["pair"], found["direction"]]
    found["best"] = shown.notna() & (shown == shown.groupby(column).transform("min"))
    ours = (found["source"] == "ours") & ~found["above_limit"] & (found["mean"] > 0)
    ours &= found["measures_source"] != "generated"
    quoted = found[found["source"] == "quoted"].groupby("pair")["mean"].min()
    factor = (found["pair"].map(quoted) / found["mean"].where(ours)).astype(float)
    inverse = found["direction"] == "inverse"
    found["improvement_factor"] = factor.where(inverse)
    found["improvement_as_published"] = factor.where(~inverse)
    of_native = found[(found["source"] == NATIVE) & (found["evaluation"] == LAST)]
    least = of_native.groupby(["pair", "direction"])["mean"].min().rename("least").reset_index()
    least = found[["pair", "direction"]].merge(least, how="left")["least"]
    mine = found["mean"].where((found["source"] == "ours") & ~found["above_limit"])
    factor = (least / mine.where(mine > 0)).astype(float)
    found["improvement_native"] = factor.where(np.isfinite(factor))
    for name in ("seeds", "diverged_seeds"):
        found[name] = found[name].astype("Int64")
    found["preset"], found["reduced"] = settings.preset, settings.reduced
    steps = found["iterations"].where(found["source"] != "ours", settings.iterations)
    found["iterations"] = steps.astype("Int64")
    return found


NATIVE = "native"
"""Source of the benchmark's own methods that were trained here."""


def native_rows(frame: pd.DataFrame, settings: ImageSettings) -> list[dict[str, Any]]:
    """Return the rows of the benchmark's own methods: each pair and direction, best and last.

    Raises:
        InputError: a cell, a seed, or its best evaluation is missing, or it is given twice, or
            comes from another preset.
    """
    own = replace(settings, seeds=settings.baselines.seeds)
    found = []
    for row in settings.baselines.methods:
        for generator in settings.generators:
            cell = cell_of(frame, row.potential, row.amortization, row.solver, generator, own)
            place = {"name": words(row.amortization), "pair": generator, "source": NATIVE}
            place |= {"potential": row.potential, "amortization": row.amortization}
            place |= {"solver": row.solver, "measures_source": cell["measures_source"].iloc[0]}
            place |= {"iterations": max(map(int, cell["steps"]))}
            for direction, metric in METRICS.items():
                for evaluation, entry in _best_and_last(cell, metric, place).items():
                    found.append(
                        place
                        | {"direction": direction, "evaluation": evaluation}
                        | {"mean": entry.mean, "std": entry.std, "seeds": entry.seeds}
                        | {"diverged_seeds": entry.diverged_seeds}
                    )
    return found


def _best_and_last(cell: pd.DataFrame, metric: str, place: Mapping[str, Any]) -> dict[str, Entry]:
    best = cell[f"best_{metric}"].astype(float)
    if best.isna().any():
        raise InputError(
            f"table: cell {place['amortization']}, {place['pair']}: the metrics lack the best "
            "evaluation of a seed; train it again with this version"
        )
    statuses = cell["status"].tolist()
    diverged = Entry.of(cell[metric].tolist(), statuses)
    chosen = Entry.of(best.tolist(), ["finished"] * len(best))
    return {BEST: replace(chosen, diverged_seeds=diverged.diverged_seeds), LAST: diverged}


def cell_of(
    frame: pd.DataFrame,
    potential: str,
    amortization: str,
    solver: str,
    generator: str,
    settings: ImageSettings,
) -> pd.DataFrame:
    """Return the rows of one cell, one for each seed.

    Raises:
        InputError: the cell or a seed is missing or given twice, or comes from another preset.
    """
    cell = frame[
        (frame["potential"] == potential)
        & (frame["amortization"] == amortization)
        & (frame["solver"] == solver)
        & (frame["pair"] == pair_of(generator))
    ]
    check_cell(cell, f"{potential}, {amortization}, {solver}, {generator}", settings)
    return cell


def _rows_of(
    frame: pd.DataFrame,
    row: tuple[str, str, str, str],
    paper: Mapping[tuple[str, str, str], Any],
    settings: ImageSettings,
) -> list[dict[str, Any]]:
    potential, amortization, solver, generator = row
    cell = cell_of(frame, *row, settings)
    known = paper.get((amortization, STANDS_FOR.get(solver, solver), generator))
    found = []
    for direction, metric in METRICS.items():
        entry = Entry.of(cell[metric].tolist(), cell["status"].tolist())
        forward = direction == "forward"
        compared = known if forward and potential == POTENTIAL else None
        found.append(
            {"name": "", "potential": potential, "amortization": amortization, "solver": solver}
            | {"pair": generator, "direction": direction, "mean": entry.mean, "std": entry.std}
            | {"seeds": entry.seeds, "diverged_seeds": entry.diverged_seeds}
            | {"mean_as_published": Entry.as_published(cell).mean if forward else np.nan}
            | {
                "published_mean": None if compared is None else compared.mean,
                "published_std": None if compared is None else compared.std,
                "published_diverged": None if compared is None else bool(compared.diverged),
            }
            | {"source": "ours", "measures_source": cell["measures_source"].iloc[0]}
            | {"evaluation": LAST}
        )
    return found


def judge(frame: pd.DataFrame, folder: Path, settings: ImageSettings) -> pd.DataFrame:
    """Return the verdict on each of the paper's own rows, by our forward errors.

    Where the preset has cells of the high-precision solver, they are judged by the same rows too.
    Quoted baselines are not judged. Columns are `VERDICT_COLUMNS`.

    Raises:
        InputError: a seed is missing or given twice, or comes from another preset.
    """
    rows = []
    known = published(folder)
    ours = frame[frame["potential"] == POTENTIAL]
    # Of a cell that the preset lacks too: a table without values is of these measures as well.
    sources = frame.drop_duplicates("pair").set_index("pair")["measures_source"].to_dict()
    row: Any
    for row in known[known["source"] == "paper"].itertuples(index=False):
        there = {row.solver, *map(str, ours["solver"])}
        for solver in [s for s in sorted(there) if STANDS_FOR.get(s, s) == row.solver]:
            cell = ours[
                (ours["amortization"] == row.amortization)
                & (ours["solver"] == solver)
                & (ours["pair"] == pair_of(row.generator))
            ]
            if cell.empty and solver != row.solver:
                continue
            source = {"measures_source": sources.get(pair_of(row.generator))}
            rows.append(source | _to_judge(row, solver, cell, settings))
    table = pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))
    for column in ("ours_seeds", "ours_diverged_seeds"):
        table[column] = table[column].astype("Int64")
    table["ours_diverged"] = table["ours_diverged"].astype("boolean")
    table["preset"], table["reduced"] = settings.preset, settings.reduced
    return verdict.judge(table, settings)[list(VERDICT_COLUMNS)]


def _to_judge(row: Any, solver: str, cell: pd.DataFrame, settings: ImageSettings) -> dict[str, Any]:
    found = {"pair": row.generator, "potential": POTENTIAL, "amortization": row.amortization}
    found |= {"solver": solver, "dimension": settings.dimension}
    found |= {"published_mean": row.mean, "published_std": row.std}
    found |= {"published_seeds": PAPER_SEEDS, "published_diverged": bool(row.diverged)}
    if cell.empty:
        return found
    check_cell(cell, f"{row.amortization}, {solver}, {row.generator}", settings)
    entry = Entry.as_published(cell)
    back = Entry.of(cell[METRICS["inverse"]].tolist(), cell["status"].tolist())
    if not np.isfinite(back.mean):
        back = replace(back, mean=np.nan)
    return found | {
        "ours_mean": entry.mean,
        "ours_std": entry.std,
        "ours_seeds": entry.seeds,
        "ours_diverged_seeds": entry.diverged_seeds,
        "ours_diverged": not entry.mean <= settings.diverged_above,
        "ours_inverse_mean": back.mean,
        "ours_inverse_std": back.std,
    }

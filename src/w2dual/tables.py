"""Tables of the evaluation: LaTeX with booktabs, and the same numbers as tidy CSV.

The HD tables follow tables 2 and 3 of Amos (2023): quoted baselines above, then the methods with
mean and standard deviation over seeds, `>100` where a method failed, the best entries in bold.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from w2dual import aggregate
from w2dual.latex import booktabs, escape, fitted, footnotes
from w2dual.names import words
from w2dual.published import published_cells, read_published
from w2dual.records import InputError, atomic_path, json_argument, write_text

log = logging.getLogger(__name__)

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


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a preset allows, for the notes below a table and the report.

    Attributes:
        preset, label, reduced: name of the preset, its description, whether it shrinks the budget.
        iterations, batch_size, seeds: of training.
        evaluation_samples: fresh points of each measure, at the end.
    """

    preset: str
    label: str
    reduced: bool
    iterations: int
    batch_size: int
    seeds: tuple[int, ...]
    evaluation_samples: int

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read the settings of the command line.

        Raises:
            InputError: a key is missing or of the wrong type; the message names it.
        """
        try:
            return cls(**cls._fields(record))
        except KeyError as error:
            raise InputError(f"settings lack the key {error}") from error
        except (TypeError, ValueError) as error:
            raise InputError(f"settings: a value has the wrong type: {error}") from error

    @classmethod
    def _fields(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        preset, budget = record["preset"], record["budget"]
        return {
            "preset": preset["name"],
            "label": preset["label"],
            "reduced": bool(preset["reduced"]),
            "iterations": int(budget["iterations"]),
            "batch_size": int(budget["batch_size"]),
            "seeds": tuple(int(s) for s in budget["seeds"]),
            "evaluation_samples": int(budget["evaluation_samples"]),
        }


@dataclass(frozen=True, kw_only=True)
class TableSettings(Budget):
    """What the config says about a table of the HD evaluation.

    Attributes:
        dimensions: columns, in order.
        methods: rows, in order: (amortization, solver).
        decimals: digits after the point of means and standard deviations.
        diverged_above: percent; a mean above it is shown as `>` this value.
    """

    dimensions: tuple[int, ...]
    methods: tuple[tuple[str, str], ...]
    decimals: int
    diverged_above: float

    @classmethod
    def _fields(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        return super()._fields(record) | {
            "dimensions": tuple(int(n) for n in record["dimensions"]),
            "methods": tuple((m["amortization"], m["solver"]) for m in record["methods"]),
            "decimals": int(record["decimals"]),
            "diverged_above": float(record["diverged_above"]),
        }


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
    """Give the numbers of one HD table: a row for each (baseline or method, dimension).

    Columns: `mean`, `std` (ddof 0; percent; infinite and empty where a seed diverged),
    `mean_as_published` (the mean, a diverged seed counted at its last evaluation, as the paper's
    tables do), `above_limit` (shown as `>100`), `best` (of its dimension, at the decimals shown),
    `improvement_factor` = best quoted baseline / this mean, `published_*` = the paper's value of
    the cell, `source`.

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
    for amortization, solver in settings.methods:
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
            )
    tidy = pd.DataFrame(rows, columns=list(TIDY_COLUMNS))
    tidy["mean"] = tidy["mean"].astype(float)
    tidy["std"] = tidy["std"].astype(float)
    tidy["mean_as_published"] = tidy["mean_as_published"].astype(float)
    tidy["above_limit"] = ~(tidy["mean"] <= settings.diverged_above)
    shown = tidy["mean"].where(~tidy["above_limit"]).round(settings.decimals)
    tidy["best"] = shown.notna() & (shown == shown.groupby(tidy["dimension"]).transform("min"))
    quoted = tidy[tidy["source"] == "quoted"].groupby("dimension")["mean"].min()
    factor = tidy["dimension"].map(quoted) / tidy["mean"].where(tidy["mean"] > 0)
    tidy["improvement_factor"] = factor.where((tidy["source"] == "ours") & ~tidy["above_limit"])
    tidy["seeds"] = tidy["seeds"].astype("Int64")
    tidy["diverged_seeds"] = tidy["diverged_seeds"].astype("Int64")
    tidy["preset"], tidy["reduced"] = settings.preset, settings.reduced
    tidy["iterations"] = pd.Series(settings.iterations, tidy.index).where(tidy["source"] == "ours")
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


def hd_tex(tidy: pd.DataFrame, settings: TableSettings) -> str:
    """Render one HD table: booktabs, and notes that say what the entries are.

    The last row is the improvement over prior work: best quoted baseline / best of ours.
    """
    # DIFFERS: the paper's row (tables/published/hd_improvement.csv) equals this quotient of its own
    # entries except for n = 4, 8 and 32, where it leaves out [MM], the best baseline there.
    lines: dict[tuple[str, str, str, str], dict[int, dict[str, Any]]] = {}
    for record in tidy.to_dict("records"):
        key = (record["source"], record["name"], record["amortization"], record["solver"])
        lines.setdefault(key, {})[record["dimension"]] = {str(k): v for k, v in record.items()}
    rows: list[list[str]] = []
    bold: list[list[bool]] = []
    previous = "quoted"
    for (source, name, amortization, solver), entries in lines.items():
        # Braces, since LaTeX would take `*[` after a line's end for arguments of that.
        label = "{*[" + escape(name) + "]}" if source == "quoted" else ""
        rule = r"\midrule " if source != previous and rows else ""
        previous = source
        shown = [entries.get(n) for n in settings.dimensions]
        rows.append([rule + label, escape(words(amortization)), escape(words(solver))])
        rows[-1] += ["--" if entry is None else _hd_entry(entry, settings) for entry in shown]
        bold.append([False] * 3 + [entry is not None and bool(entry["best"]) for entry in shown])
    factors = tidy.groupby("dimension")["improvement_factor"].max()
    rows.append(
        [r"\midrule \multicolumn{3}{l}{Improvement over prior work}", "", ""]
        + [f"{factors[n]:.1f}" if math.isfinite(factors[n]) else "--" for n in settings.dimensions]
    )
    bold.append([False] * (3 + len(settings.dimensions)))
    heads = ["", "Amortization loss", "Conjugate solver"]
    heads += [f"$n={n}$" for n in settings.dimensions]
    body = booktabs(heads, rows, bold, "lll" + "r" * len(settings.dimensions))
    # The label spans the three columns, so its two empty neighbours must go.
    body = body.replace("work} &  &  &", "work} &")
    return fitted(body) + footnotes(_hd_notes(tidy, settings))


def _hd_entry(row: Mapping[str, Any], settings: TableSettings) -> str:
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
        notes.append("* quoted from Korotin et al.\\ (2021), not run here.")
    if ours["above_limit"].any():
        limit = f"$>${settings.diverged_above:g}"
        notes.append(
            f"{limit}: the mean exceeds {settings.diverged_above:g}, or a seed diverged, which "
            f"counts as infinite; $^{{(k/m)}}$: $k$ of $m$ seeds diverged."
        )
    if (ours["mean_as_published"] <= settings.diverged_above)[ours["above_limit"]].any():
        notes.append(
            "last: the mean with a diverged seed at its last evaluation, as the paper's tables "
            "count it."
        )
    return notes + budget_notes(settings) + measures_notes(ours)


def budget_notes(settings: Budget) -> list[str]:
    """Say of a reduced preset that it is one, in LaTeX."""
    if not settings.reduced:
        return []
    return [
        rf"\textbf{{Reduced budget}}, not comparable with published values: preset "
        rf"{escape(settings.preset)} ({escape(settings.label)}), "
        rf"{settings.iterations:,} iterations at batch size {settings.batch_size:,}, "
        rf"{seeds_in_words(settings)}."
    ]


def seeds_in_words(settings: Budget) -> str:
    """Count the seeds, as in "5 seeds"."""
    number = len(settings.seeds)
    return f"{number} seed" + ("s" if number > 1 else "")


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
    rows: list[list[str]] = []
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
            rule = r"\midrule " if number and not position else ""
            rows.append([rule + (escape(str(name).capitalize()) if not position else ""), label])
            rows[-1] += values
    heads = ["Map", "Metric", *(f"$n={n}$" for n in settings.dimensions)]
    bold = [[False] * len(heads)] * len(rows)
    body = booktabs(heads, rows, bold, "ll" + "r" * len(settings.dimensions))
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `python -m w2dual tables`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--metrics", type=Path, help="tidy metrics, for an HD table")
    source.add_argument("--trivial", type=Path, help="metrics of the trivial maps, for their table")
    parser.add_argument("--potential", help="with --metrics: which potential's table")
    parser.add_argument("--published", type=Path, help="with --metrics: folder of quoted values")
    parser.add_argument("--settings", required=True, help="table settings: JSON or a file of it")
    parser.add_argument("--tex", type=Path, required=True, help="table to write")
    parser.add_argument("--csv", type=Path, help="with --metrics: the same numbers, tidy")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = TableSettings.from_json(json_argument(args.settings))
    if args.trivial is not None:
        write_text(args.tex, trivial_tex(read_trivial(args.trivial), settings))
        log.info("%s: written", args.tex)
        return
    lacking = [name for name in ("potential", "published", "csv") if getattr(args, name) is None]
    if lacking:
        raise InputError("--metrics also needs " + ", ".join(f"--{name}" for name in lacking))
    tidy = hd_tidy(aggregate.read(args.metrics), args.potential, args.published, settings)
    tex = hd_tex(tidy, settings)
    with atomic_path(args.csv) as partial_csv, atomic_path(args.tex) as partial_tex:
        tidy.to_csv(partial_csv, index=False, lineterminator="\n")
        partial_tex.write_text(tex, encoding="utf-8")
    log.info("%s, %s: written", args.tex, args.csv)

"""The PDF of the evaluation: what was run, the tables, and the training curves."""

from __future__ import annotations

import argparse
import logging
import math
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from w2dual import aggregate
from w2dual.latex import build_pdf, escape
from w2dual.names import method_words, words
from w2dual.records import InputError, json_argument, write_text

log = logging.getLogger(__name__)

FIGURE_PREFIX = "curves_"
FIGURES_PER_PAGE = 8
CAPTIONS = {
    "hd_icnn": (
        r"L$^2$-UVP of the forward map, input-convex potential (ICNN). What to look at: whether a "
        "conjugate solver improves on the same amortization loss without one, and the distance to "
        "the quoted baselines."
    ),
    "hd_mlp": (
        r"L$^2$-UVP of the forward map, non-convex potential (MLP). What to look at: which losses "
        "stay finite without a solver, and whether objective and regression with one reach lower "
        "values than any input-convex potential does."
    ),
    "trivial_maps": (
        "Trivial maps on the same measures: what a learned map has to beat to have learned "
        "anything. What to look at: the linear map's forward error as the yardstick."
    ),
}
SOURCES = {
    "mirror": "the published weights, from a local mirror",
    "download": "the published weights, downloaded",
    "generated": "generated anew, not the published ones",
}


@dataclass(frozen=True)
class ReportSettings:
    """What the config says about the evaluation, for the first page.

    Attributes:
        preset, label, reduced: name of the preset, its description, whether it shrinks the budget.
        dimensions, potentials, methods: the grid; methods as (amortization, solver), in order.
        seeds: of every cell.
        iterations, batch_size: of training; steps, and points per step.
        evaluation_samples: points of the final evaluation.
    """

    preset: str
    label: str
    reduced: bool
    dimensions: tuple[int, ...]
    potentials: tuple[str, ...]
    methods: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    iterations: int
    batch_size: int
    evaluation_samples: int

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> ReportSettings:
        """Read the settings of the command line.

        Raises:
            InputError: a key is missing or of the wrong type; the message names it.
        """
        try:
            preset, budget = record["preset"], record["budget"]
            return ReportSettings(
                preset=preset["name"],
                label=preset["label"],
                reduced=bool(preset["reduced"]),
                dimensions=tuple(int(n) for n in record["dimensions"]),
                potentials=tuple(record["potentials"]),
                methods=tuple((m["amortization"], m["solver"]) for m in record["methods"]),
                seeds=tuple(int(s) for s in budget["seeds"]),
                iterations=int(budget["iterations"]),
                batch_size=int(budget["batch_size"]),
                evaluation_samples=int(budget["evaluation_samples"]),
            )
        except KeyError as error:
            raise InputError(f"report settings lack the key {error}") from error
        except (TypeError, ValueError) as error:
            raise InputError(f"report settings: a value has the wrong type: {error}") from error


def read_metrics(paths: Sequence[Path]) -> pd.DataFrame:
    """Read tidy metrics from one or several files.

    Raises:
        InputError: a file cannot be read, or two hold the same seed of a cell.
    """
    frame = pd.concat([aggregate.read(path) for path in paths], ignore_index=True)
    twice = frame[frame.duplicated(["cell", "seed"])]
    if not twice.empty:
        raise InputError(
            f"report: cell {twice['cell'].iloc[0]} stands twice in "
            + ", ".join(str(path) for path in paths)
        )
    return frame


@dataclass(frozen=True)
class Origin:
    """Which code wrote the report, and the date it carries."""

    commit: str
    date_epoch: int


def origin(environment: Mapping[str, str], frame: pd.DataFrame) -> Origin:
    """Find the commit, and the date: SOURCE_DATE_EPOCH, else the commit's, else the last job's.

    Raises:
        InputError: SOURCE_DATE_EPOCH is not a whole number.
    """
    commit, committed = _git_head()
    given = environment.get("SOURCE_DATE_EPOCH", "")
    if given:
        if not given.isdecimal():
            raise InputError(f"SOURCE_DATE_EPOCH is {given!r}, expected seconds since 1970")
        return Origin(commit, int(given))
    if committed is not None:
        return Origin(commit, committed)
    ended = pd.to_datetime(frame["ended"], utc=True, errors="coerce").max()
    return Origin(commit, 0 if pd.isna(ended) else int(ended.timestamp()))


def _git_head() -> tuple[str, int | None]:
    git = shutil.which("git")
    if git is None:
        return "unknown", None
    done = subprocess.run(  # noqa: S603
        [git, "-C", str(Path(__file__).parent), "log", "-1", "--format=%H %ct"],
        capture_output=True,
        text=True,
        check=False,
    )
    parts = done.stdout.split()
    return (parts[0], int(parts[1])) if len(parts) == 2 else ("unknown", None)


def facts(frame: pd.DataFrame, settings: ReportSettings, made: Origin) -> list[tuple[str, str]]:
    """Give the first page's table of (what, value), ready for LaTeX."""
    cells = frame.drop_duplicates("cell")
    diverged = int((frame["status"] == "diverged").sum())
    methods = "; ".join(method_words(*method) for method in settings.methods)
    commits = sorted({str(commit) for commit in frame["git_commit"].dropna()})
    hours = cells[["training_s", "compile_s", "pretraining_s"]].sum().sum() / 3600
    rows = [
        ("Preset", f"{settings.preset}: {settings.label}"),
        (
            "Budget",
            f"{settings.iterations:,} training iterations at batch size {settings.batch_size:,}, "
            f"{_count(len(settings.seeds), 'seed')} per cell",
        ),
        ("Dimensions", ", ".join(str(n) for n in settings.dimensions)),
        ("Potentials", ", ".join(words(p) for p in settings.potentials)),
        ("Methods", f"{len(settings.methods)} (amortization loss + solver): {methods}"),
        ("Cells", f"{len(cells)}, with {len(frame)} training runs, {diverged} of them diverged"),
        ("Evaluation", f"on {settings.evaluation_samples:,} fresh samples of each measure"),
        *(("Measures", line) for line in measures_lines(frame)),
        ("Training device", ", ".join(sorted({str(d) for d in frame["device"].dropna()}))),
        ("Training time", f"{hours:.2g} hours of jobs, compilation and pre-training included"),
        ("Trained by commit", ", ".join(map(_short, commits)) or "unknown"),
        ("Report by commit", _short(made.commit)),
    ]
    return [(escape(name), escape(value)) for name, value in rows]


def measures_lines(frame: pd.DataFrame) -> list[str]:
    """Say in words which dimensions' measures came from where."""
    ordered = frame.sort_values("dimension", kind="stable")
    lines = []
    for source, group in ordered.groupby("measures_source", sort=False):
        listed = ", ".join(str(n) for n in group["dimension"].unique())
        lines.append(f"n = {listed}: {SOURCES.get(str(source), str(source))}")
    return lines


def warnings(frame: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Give what the first page must show in a box, ready for LaTeX; nothing for a full run."""
    found = []
    if settings.reduced:
        found.append(
            r"\textbf{Reduced budget.} Made with the preset "
            f"{escape(settings.preset)} ({escape(settings.label)}): "
            f"{settings.iterations:,} iterations and {_count(len(settings.seeds), 'seed')} per "
            "cell. The numbers show that the pipeline works; they are not comparable with the "
            "paper's."
        )
    generated = sorted(set(frame[frame["measures_source"] == "generated"]["dimension"]))
    if generated:
        found.append(
            r"\textbf{Measures generated anew.} For $n = "
            + ", ".join(str(n) for n in generated)
            + "$ the benchmark's published weights were not at hand, and a pair of the same family "
            "was trained instead. Values there are not comparable with published ones."
        )
    return found


def run_rows(frame: pd.DataFrame, settings: ReportSettings) -> list[list[str]]:
    """Give one line per cell about its run, in the order of the tables, ready for LaTeX."""
    rows = []
    for cell in cell_order(frame, settings):
        group = frame[frame["cell"] == cell]
        first = group.iloc[0]
        counts = group[[f"conjugate_{name}" for name in aggregate.CONJUGATE_STATUSES]].sum()
        total = counts.sum()
        solved = first["solver"] != "none"
        iterations = group["conjugate_iterations_mean"].mean()
        rows.append(
            [
                str(first["dimension"]),
                escape(words(first["potential"])),
                escape(words(first["amortization"])),
                escape(words(first["solver"])),
                f"{int((group['status'] == 'finished').sum())}/{len(group)}",
                _number(first["seconds_per_step"], ".2g"),
                _number(first["training_s"], ",.0f"),
                _number(iterations, ".1f") if solved else "--",
                f"{100 * counts['conjugate_converged'] / total:.1f}\\%"
                if solved and total
                else "--",
            ]
        )
    return rows


def cell_order(frame: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Give the names of all cells by dimension, potential, then method in the config's order."""
    cells = frame.drop_duplicates("cell")
    potentials = {name: number for number, name in enumerate(settings.potentials)}
    methods = {method: number for number, method in enumerate(settings.methods)}

    def key(row: Any) -> tuple[int, int, int, str]:
        method = (row.amortization, row.solver)
        return (
            row.dimension,
            potentials.get(row.potential, len(potentials)),
            methods.get(method, len(methods)),
            row.cell,
        )

    return [str(row.cell) for row in sorted(cells.itertuples(index=False), key=key)]


def figure_groups(
    figures: Sequence[Path], frame: pd.DataFrame, settings: ReportSettings
) -> list[tuple[str, list[Path]]]:
    """Arrange the cells' figures in pages by dimension and potential: (title, figures).

    Raises:
        InputError: a cell has no figure, or a figure is of no cell or given twice.
    """
    by_cell: dict[str, Path] = {}
    for path in figures:
        name = path.stem.removeprefix(FIGURE_PREFIX)
        if name in by_cell:
            raise InputError(f"{path}: cell {name} already has a figure, {by_cell[name]}")
        by_cell[name] = path
    order = cell_order(frame, settings)
    missing = [name for name in order if name not in by_cell]
    foreign = [str(path) for name, path in by_cell.items() if name not in order]
    if missing:
        raise InputError(f"report: no figure of training curves for {', '.join(missing)}")
    if foreign:
        raise InputError(f"report: figures of no cell of the metrics: {', '.join(foreign)}")
    groups: list[tuple[str, list[Path]]] = []
    cells = {row["cell"]: row for row in frame.drop_duplicates("cell").to_dict("records")}
    for name in order:
        row = cells[name]
        title = rf"$n = {row['dimension']}$, {escape(words(row['potential']))} potential"
        if groups and groups[-1][0] == title and len(groups[-1][1]) < FIGURES_PER_PAGE:
            groups[-1][1].append(by_cell[name])
        else:
            groups.append((title, [by_cell[name]]))
    return groups


def document(
    frame: pd.DataFrame,
    settings: ReportSettings,
    tables: Sequence[Path],
    figures: Sequence[Path],
    made: Origin,
) -> tuple[str, dict[str, Path]]:
    """Give the LaTeX document, and the files beside it as name -> source.

    Raises:
        InputError: the metrics are of another preset, or the figures are not those of the cells.
    """
    presets = sorted(set(frame["preset"]))
    if presets != [settings.preset]:
        raise InputError(
            f"report: the metrics come from preset {', '.join(presets)}, "
            f"the settings are those of {settings.preset}"
        )
    beside: dict[str, Path] = {}
    shown_tables = []
    for number, path in enumerate(tables, start=1):
        name = f"table-{number}.tex"
        beside[name] = path
        caption = CAPTIONS.get(path.stem, escape(path.stem.replace("_", " ")))
        shown_tables.append({"file": name, "caption": caption})
    shown_groups = []
    for title, paths in figure_groups(figures, frame, settings):
        names = [f"figure-{len(beside) + offset}.pdf" for offset in range(len(paths))]
        beside |= dict(zip(names, paths, strict=True))
        shown_groups.append({"title": title, "figures": names})
    date = datetime.fromtimestamp(made.date_epoch, UTC)
    text = _template().render(
        date=f"{date.day} {date:%B %Y}",
        warnings=warnings(frame, settings),
        facts=facts(frame, settings, made),
        tables=shown_tables,
        runs=run_rows(frame, settings),
        groups=shown_groups,
    )
    return text, beside


def _template() -> jinja2.Template:
    environment = jinja2.Environment(  # noqa: S701 -- LaTeX, not HTML; texts are escaped by `escape`
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    source = files("w2dual").joinpath("templates/evaluation.tex").read_text(encoding="utf-8")
    return environment.from_string(source)


def _short(commit: str) -> str:
    """Shorten a commit; `+` behind it says that files differed from it."""
    return commit[:12] + (" with uncommitted changes" if commit.endswith("+") else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _number(value: Any, form: str) -> str:
    number = float(value)
    return format(number, form) if math.isfinite(number) else "--"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `python -m w2dual report`."""
    parser.add_argument("--settings", required=True, help="preset, grid and budget: JSON or a file")
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True, help=".tex tables, in order"
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="tidy metrics, all cells together"
    )
    parser.add_argument(
        "--figures", type=Path, nargs="+", required=True, help="curves_CELL.pdf of all cells"
    )
    parser.add_argument("--pdf", type=Path, required=True, help="report to write")
    parser.add_argument("--tex", type=Path, help="keep the document's LaTeX here too")


def main(args: argparse.Namespace) -> None:
    """Run the job."""
    settings = ReportSettings.from_json(json_argument(args.settings))
    frame = read_metrics(args.metrics)
    made = origin(os.environ, frame)
    text, beside = document(frame, settings, args.tables, args.figures, made)
    build_pdf(text, beside, args.pdf, made.date_epoch)
    if args.tex is not None:
        write_text(args.tex, text)
    log.info("%s: written", args.pdf)

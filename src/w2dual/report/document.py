"""The PDF of the evaluation: what was run, tables, couplings on the plane, training curves."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import jinja2
import pandas as pd

from w2dual.config.names import potential_words, words
from w2dual.config.systems import ADDITIONS
from w2dual.records import InputError, write_text
from w2dual.report import captions, contents, facts, runs
from w2dual.report.facts import BASELINES, IMAGE_BASELINES, IMAGES, Origin, ReportSettings
from w2dual.report.latex import build_pdf, escape
from w2dual.report.systems import BY_KIND
from w2dual.report.tables import verdict as verdict_table
from w2dual.results import verdict

log = logging.getLogger(__name__)

FIGURE_PREFIX = "curves_"
SHOWN: Mapping[str, tuple[str, ...]] = {
    "hd_baselines": (BASELINES,),
    "accuracy_vs_cost": ("hd", BASELINES),
    "claims": ("hd", BASELINES),
    "celeba64": (IMAGES, IMAGE_BASELINES),
}
"""Tables and figures whose cells are not those of their section alone -> kinds of their cells."""
FIGURES_PER_PAGE = 8


@dataclass(frozen=True)
class Group:
    """Figures under one title; `new_page` where it starts a page."""

    title: str
    figures: list[Path]
    new_page: bool


def figure_groups(
    figures: Sequence[Path], frame: pd.DataFrame, settings: ReportSettings
) -> list[Group]:
    """Arrange the cells' training curves.

    A group is a dimension and potential, and at most a page; on the plane it is a pair, and pages
    are filled. Cells of systems without such figures have none.

    Raises:
        InputError: a cell has no figure, or a figure is of no cell or given twice.
    """
    by_cell: dict[str, Path] = {}
    for path in figures:
        name = path.stem.removeprefix(FIGURE_PREFIX)
        if name in by_cell:
            raise InputError(f"{path}: cell {name} already has a figure, {by_cell[name]}")
        by_cell[name] = path
    without = [kind for kind, adds in ADDITIONS.items() if not adds.curved]
    order = runs.cell_order(frame[~frame["kind"].isin(without)], settings)
    missing = [name for name in order if name not in by_cell]
    foreign = [str(path) for name, path in by_cell.items() if name not in order]
    if missing:
        raise InputError(f"report: no figure of training curves for {', '.join(missing)}")
    if foreign:
        raise InputError(f"report: figures of no cell of the metrics: {', '.join(foreign)}")
    groups: list[Group] = []
    cells = {row["cell"]: row for row in frame.drop_duplicates("cell").to_dict("records")}
    filling = False
    for name in order:
        row = cells[name]
        if row["kind"] == "hd":
            title = rf"$n = {row['dimension']}$, {escape(potential_words(row['potential']))}"
        elif row["kind"] == BASELINES:
            title = rf"$n = {row['dimension']}$, the benchmark's own methods"
        elif row["kind"] == IMAGES:
            title = escape(words(row["pair"]))
        elif row["kind"] == IMAGE_BASELINES:
            title = f"{escape(words(row['pair']))}, the benchmark's own methods"
        elif row["kind"] in BY_KIND:
            title = BY_KIND[str(row["kind"])].group({str(key): row[key] for key in row})
        else:
            title = rf"On the plane: {escape(words(row['pair']))}"
        if groups and groups[-1].title == title and len(groups[-1].figures) < FIGURES_PER_PAGE:
            groups[-1].figures.append(by_cell[name])
        else:
            groups.append(Group(title, [by_cell[name]], new_page=not filling))
        filling = row["kind"] == "synthetic"
    return groups


def document(
    frame: pd.DataFrame,
    settings: ReportSettings,
    tables: Sequence[Path],
    curves: Sequence[Path],
    drawn: Sequence[Path],
    made: Origin,
    summary: str = "",
) -> tuple[str, dict[str, Path]]:
    """Return the LaTeX document, and the files next to it as name -> source.

    Args:
        frame: metrics of all cells, as `read_metrics` returns them.
        settings: what the config says.
        tables: .tex, in order.
        curves: figures of training curves, one for each cell.
        drawn: all other figures, in order; their names say which section they stand in,
            and the overview goes to the first page.
        made: which code writes it, and when.
        summary: what has reproduced, in LaTeX, for the first page.

    Raises:
        InputError: the metrics are of another preset, or the curves are not those of the cells.
    """
    presets = sorted(set(frame["preset"]))
    if presets != [settings.preset]:
        raise InputError(
            f"report: the metrics come from preset {', '.join(presets)}, "
            f"the settings are those of {settings.preset}"
        )
    beside: dict[str, Path] = {}
    sections: dict[str, list[dict[str, str]]] = {title: [] for title, _ in contents.SECTIONS}
    overview: list[dict[str, str]] = []
    for number, path in enumerate(drawn, start=1):
        name = f"drawn-{number}.pdf"
        beside[name] = path
        title = _section(path, captions.SYNTHETIC_SECTION)
        kind = "half page" if path.stem in captions.HALF_PAGE else "figure"
        text = f"{captions.caption(path, contents.FIGURES)} {_made(frame, settings, title, path)}"
        first = path.stem == captions.OVERVIEW
        (overview if first else sections[title]).append(
            {"kind": kind, "file": name, "caption": text}
        )
    for number, path in enumerate(tables, start=1):
        name = f"table-{number}.tex"
        beside[name] = path
        title = _section(path, captions.TABLE_SECTION)
        text = f"{captions.caption(path, contents.TABLES)} {_made(frame, settings, title, path)}"
        sections[title].append({"kind": "table", "file": name, "caption": text})
    for items in sections.values():  # tables before figures; as they were given otherwise
        items.sort(key=lambda item: item["kind"] != "table")
    shown_groups = []
    for group in figure_groups(curves, frame, settings):
        names = [f"figure-{len(beside) + offset}.pdf" for offset in range(len(group.figures))]
        beside |= dict(zip(names, group.figures, strict=True))
        shown_groups.append({"title": group.title, "figures": names, "new_page": group.new_page})
    date = datetime.fromtimestamp(made.date_epoch, UTC)
    text = _template().render(
        date=f"{date.day} {date:%B %Y}",
        warnings=facts.warnings(frame, settings),
        images=settings.images is not None,
        systems=escape(facts.systems_in_words(frame)),
        overview=overview,
        summary=summary,
        facts=facts.facts(frame, settings, made),
        sections=sections,
        introductions=contents.INTRODUCTIONS,
        runs=runs.run_rows(frame, settings),
        diverged=runs.diverged_lines(frame, settings),
        groups=shown_groups,
    )
    return text, beside


def _section(path: Path, other: str) -> str:
    """Return the title of the section that a table or figure stands in."""
    return next((title for title, names in contents.SECTIONS if path.stem in names), other)


def _made(frame: pd.DataFrame, settings: ReportSettings, section: str, path: Path) -> str:
    """Name the preset, and the devices of the cells that a table or figure shows, for a caption."""
    kinds = {captions.SYNTHETIC_SECTION: "synthetic", captions.IMAGE_SECTION: IMAGES}
    kinds |= {system.section: kind for kind, system in BY_KIND.items()}
    shown = SHOWN.get(path.stem, (kinds.get(section, "hd"),))
    devices = sorted({str(name) for name in frame[frame["kind"].isin(shown)]["device"].dropna()})
    if section == captions.SETTINGS_SECTION or not devices:
        return f"Preset {escape(settings.preset)}."
    return f"Preset {escape(settings.preset)}; trained on {escape('; '.join(devices))}."


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
    source = files("w2dual.report").joinpath("templates/evaluation.tex").read_text(encoding="utf-8")
    return environment.from_string(source)


@dataclass(frozen=True, kw_only=True)
class Files:
    """What the report is made of.

    Attributes:
        tables: .tex tables, in order.
        metrics: tidy metrics of the HD cells.
        synthetic: those of the cells on the plane.
        images: those of the CelebA64 cells; none for a preset without them.
        baselines: those of the benchmark's own methods, on images too; none for a preset without.
        systems: those of the other systems that the preset has, by their kind.
        curves: curves_CELL.pdf of all cells.
        figures: all other figures, in order.
        verdict, claims: .csv of each.
    """

    tables: Sequence[Path]
    metrics: Sequence[Path]
    synthetic: Sequence[Path]
    images: Sequence[Path]
    baselines: Sequence[Path]
    systems: Mapping[str, Sequence[Path]]
    curves: Sequence[Path]
    figures: Sequence[Path]
    verdict: Path
    claims: Path


def write(settings: ReportSettings, files: Files, pdf: Path, tex: Path | None) -> None:
    """Set the report.

    Args:
        settings: preset, grid and budget.
        files: what it is made of.
        pdf: report to write.
        tex: where the document's LaTeX is kept too; None for nowhere.

    Raises:
        InputError: a file cannot be used, or LaTeX cannot set the document.
    """
    frame = facts.read_metrics(
        files.metrics, files.synthetic, files.images, files.baselines, files.systems
    )
    made = facts.origin(os.environ, frame)
    judged = verdict.read(files.verdict)
    summary = verdict_table.summary(judged, verdict.read(files.claims, ("claim", "verdict")))
    text, beside = document(
        frame, settings, files.tables, files.curves, files.figures, made, summary
    )
    build_pdf(text, beside, pdf, made.date_epoch)
    if tex is not None:
        write_text(tex, text)
    log.info("%s: written", pdf)

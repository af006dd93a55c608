"""The PDF of the evaluation: what was run, tables, couplings on the plane, training curves."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from w2dual import provenance
from w2dual.config.names import method_words, own_method_words, potential_words, words
from w2dual.records import InputError, write_text
from w2dual.report import captions
from w2dual.report.latex import build_pdf, escape
from w2dual.report.tables import celeba64 as celeba64_tables
from w2dual.report.tables import meta_color as color_tables
from w2dual.report.tables import verdict as verdict_table
from w2dual.report.tables.synthetic import SyntheticSettings
from w2dual.results import aggregate, celeba64, verdict
from w2dual.results.celeba64 import ImageSettings
from w2dual.results.summary import TableSettings, seeds_in_words

log = logging.getLogger(__name__)

FIGURE_PREFIX = "curves_"
IMAGES = "celeba64"
"""Kind of the cells on images, in the column `kind`."""
COLOR = "meta_color"
"""Kind of the cells of colour transport."""
STARTS = "meta_sinkhorn"
"""Kind of the cells of Meta OT between discrete measures."""
BASELINES = "baselines"
"""Kind of the cells of the benchmark's own methods."""
SHOWN = {"hd_baselines": (BASELINES,)} | dict.fromkeys(
    ("accuracy_vs_cost", "claims"), ("hd", BASELINES)
)
"""Tables and figures whose cells are not those of their section alone -> kinds of their cells."""
FIGURES_PER_PAGE = 8
SOURCES = {
    "mirror": "the published weights, from a local mirror",
    "download": "the published weights, downloaded",
    "generated": "generated here, not the published ones",
}


@dataclass(frozen=True, kw_only=True)
class SyntheticPart(SyntheticSettings):
    """What the config says about the cells on the plane.

    Attributes:
        cells: their names, in order.
    """

    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReportSettings(TableSettings):
    """What the config says about the evaluation, for the first page.

    Attributes:
        potentials: of the HD grid, in order.
        plane: the cells on the plane.
        images: those of CelebA64; None for a preset without them.
    """

    potentials: tuple[str, ...]
    plane: SyntheticPart
    images: ImageSettings | None

    @classmethod
    def _flat(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        found = super()._flat(record)
        if "plane" in found:
            found["plane"] = vars(SyntheticPart.from_json(found["plane"], "plane"))
        if found.get("images") is not None:
            found["images"] = vars(ImageSettings.from_json(found["images"], "images"))
        return found


def read_metrics(
    hd: Sequence[Path],
    synthetic: Sequence[Path],
    images: Sequence[Path] = (),
    baselines: Sequence[Path] = (),
    color: Sequence[Path] = (),
    starts: Sequence[Path] = (),
) -> pd.DataFrame:
    """Read tidy metrics from files of all kinds of cells, which a column `kind` tells apart.

    Raises:
        InputError: a file cannot be read, or two hold the same seed of a cell.
    """
    files = [(path, "hd") for path in hd] + [(path, "synthetic") for path in synthetic]
    files += [(path, IMAGES) for path in images] + [(path, BASELINES) for path in baselines]
    files += [(path, COLOR) for path in color] + [(path, STARTS) for path in starts]
    parts = [aggregate.read(path, _measured_as(kind)).assign(kind=kind) for path, kind in files]
    frame = pd.concat(parts, ignore_index=True)
    twice = frame[frame.duplicated(["cell", "seed"])]
    if not twice.empty:
        raise InputError(
            f"report: duplicate cell {twice['cell'].iloc[0]} in "
            + ", ".join(str(path) for path, _ in files)
        )
    return frame


def _measured_as(kind: str) -> str:
    """Return the key of `aggregate.METRICS` of a kind of cells."""
    return "hd" if kind in (IMAGES, BASELINES) else kind


def image_part(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the CelebA64 cells."""
    return frame[frame["kind"] == IMAGES]


def color_part(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the cells of colour transport."""
    return frame[frame["kind"] == COLOR]


def starts_part(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the cells of Meta OT between discrete measures."""
    return frame[frame["kind"] == STARTS]


def hd_part(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the HD benchmark, without those of the benchmark's own methods."""
    return frame[frame["kind"] == "hd"]


def baselines_part(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the benchmark's own methods."""
    return frame[frame["kind"] == BASELINES]


def synthetic_part(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the cells on the plane."""
    return frame[frame["kind"] == "synthetic"]


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
    known = provenance.commit()
    commit = (known.name or "unknown").removesuffix("+")
    given = environment.get("SOURCE_DATE_EPOCH", "")
    if given:
        if not given.isdecimal():
            raise InputError(f"SOURCE_DATE_EPOCH is {given!r}, expected seconds since 1970")
        return Origin(commit, int(given))
    if known.committed is not None:
        return Origin(commit, known.committed)
    ended = pd.to_datetime(frame["ended"], utc=True, errors="coerce").max()
    return Origin(commit, 0 if pd.isna(ended) else int(ended.timestamp()))


def facts(frame: pd.DataFrame, settings: ReportSettings, made: Origin) -> list[tuple[str, str]]:
    """Return the first page's table of (what, value), ready for LaTeX."""
    plane = settings.plane
    methods = "; ".join(method_words(*method) for method in settings.methods)
    commits = sorted({str(commit) for commit in frame["git_commit"].dropna()})
    times = frame.drop_duplicates("cell")[["training_s", "compile_s", "pretraining_s"]]
    hours = times.sum().sum() / 3600
    pairs = synthetic_pairs(frame, settings)
    rows = [
        ("Preset", f"{settings.preset}: {settings.label}"),
        (
            "Budget",
            f"{settings.iterations:,} training iterations at batch size {settings.batch_size:,}, "
            f"{seeds_in_words(settings)} per cell",
        ),
        ("Dimensions", ", ".join(str(n) for n in settings.dimensions)),
        ("Potentials", ", ".join(words(p) for p in settings.potentials)),
        ("Methods", f"{len(settings.methods)} (amortization loss + solver): {methods}"),
        ("Cells", _cells_and_runs(hd_part(frame))),
        ("Evaluation", f"on {settings.evaluation_samples:,} fresh samples of each measure"),
        *(("Measures", line) for line in measures_lines(hd_part(frame))),
        *_baselines_facts(frame),
        ("Pairs on the plane", ", ".join(words(pair) for pair in pairs)),
        ("Cells there", _cells_and_runs(synthetic_part(frame))),
        (
            "Budget there",
            f"{plane.iterations:,} training iterations at batch size {plane.batch_size:,}, "
            f"{seeds_in_words(plane)} per cell; evaluation on "
            f"{plane.evaluation_samples:,} fresh samples of each measure",
        ),
        *_image_facts(frame, settings),
        *_color_facts(frame),
        *_starts_facts(frame),
        ("Training device", ", ".join(sorted({str(d) for d in frame["device"].dropna()}))),
        ("Training time", f"{hours:.2g} hours of jobs, compilation and pre-training included"),
        ("Trained by commit", ", ".join(map(_short, commits)) or "unknown"),
        ("Report by commit", _short(made.commit)),
    ]
    return [(escape(name), escape(value)) for name, value in rows]


def _color_facts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    part = color_part(frame)
    if part.empty:
        return []
    methods = dict.fromkeys(words(str(name)) for name in part["amortization"])
    return [
        ("Colour transport", f"{'; '.join(methods)}"),
        ("Images there", _images_in_words(part)),
        ("Cells there", _cells_and_runs(part)),
        ("Budget there", _baselines_budget(part)),
    ]


def _starts_facts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    part = starts_part(frame)
    if part.empty:
        return []
    methods = dict.fromkeys(words(str(name)) for name in part["amortization"])
    pairs = part.drop_duplicates("pair")
    data = [
        f"{words(str(row['pair']))}: "
        + ("a stand-in, packaged" if row["measures_source"] == PACKAGED else "the data itself")
        for row in pairs.to_dict("records")
    ]
    return [
        ("Meta OT, discrete", "; ".join(methods)),
        ("Data there", "; ".join(data)),
        ("Cells there", _cells_and_runs(part)),
        ("Budget there", _baselines_budget(part)),
    ]


PACKAGED = "packaged"
"""Source of measures that are a stand-in of an installed package."""


def _images_in_words(part: pd.DataFrame) -> str:
    found = dict.fromkeys(map(str, part["measures_source"]))
    return ", ".join(
        f"a stand-in, {color_tables.STAND_INS[source]}"
        if source in color_tables.STAND_INS
        else "the user's own"
        for source in found
    )


def _baselines_facts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    part = baselines_part(frame)
    if part.empty:
        return []
    methods = part.drop_duplicates(["amortization", "solver"])
    names = [
        own_method_words(*method)
        for method in zip(methods["amortization"], methods["solver"], strict=True)
    ]
    return [
        ("The benchmark's own methods", f"{len(names)}: {', '.join(names)}"),
        ("Cells there", _cells_and_runs(part)),
        ("Budget there", _baselines_budget(part)),
        *(("Measures there", line) for line in measures_lines(part)),
    ]


def _baselines_budget(part: pd.DataFrame) -> str:
    """Say in words what was spent on cells whose budgets differ: as their metrics have it."""
    steps = part[part["status"] == "finished"]["steps"].astype(int)
    seeds = part.groupby("cell")["seed"].nunique()
    spent = f"{_range(steps)} training iterations, " if len(steps) else ""
    return f"{spent}{_range(seeds)} seed{'s' if seeds.max() > 1 else ''} per cell"


def _range(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _image_facts(frame: pd.DataFrame, settings: ReportSettings) -> list[tuple[str, str]]:
    images = settings.images
    if images is None:
        return []
    part = image_part(frame)
    sources = ", ".join(SOURCES.get(s, s) for s in sorted(set(map(str, part["measures_source"]))))
    return [
        ("CelebA64", f"{', '.join(images.generators)}: {sources}; n = {images.dimension:,}"),
        ("Cells there", _cells_and_runs(part)),
        (
            "Budget there",
            f"{images.iterations:,} training iterations at batch size {images.batch_size:,}, "
            f"{seeds_in_words(images)} per cell; evaluation on "
            f"{images.evaluation_samples:,} fresh images",
        ),
    ]


def _cells_and_runs(frame: pd.DataFrame) -> str:
    diverged = int((frame["status"] == "diverged").sum())
    cells = frame["cell"].nunique()
    return f"{cells}, with {len(frame)} training runs, {diverged} of them diverged"


def measures_lines(frame: pd.DataFrame) -> list[str]:
    """Say in words which dimensions' measures came from where."""
    ordered = frame.sort_values("dimension", kind="stable")
    lines = []
    for source, group in ordered.groupby("measures_source", sort=False):
        listed = ", ".join(str(n) for n in group["dimension"].unique())
        lines.append(f"n = {listed}: {SOURCES.get(str(source), str(source))}")
    return lines


def warnings(frame: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Return what the first page must show in a box, ready for LaTeX; nothing for a full run."""
    found = []
    if settings.reduced:
        found.append(
            r"\textbf{Reduced budget.} Made with the preset "
            f"{escape(settings.preset)} ({escape(settings.label)}): "
            f"{settings.iterations:,} iterations and {seeds_in_words(settings)} per "
            f"cell, on the plane {settings.plane.iterations:,} and "
            f"{seeds_in_words(settings.plane)}{_on_images(settings)}{_of_baselines(frame)}. "
            "The numbers show that "
            "the pipeline works; they are not comparable with the paper's."
        )
    benchmark = frame[frame["kind"].isin(["hd", BASELINES])]
    made_here = benchmark["measures_source"] == "generated"
    generated = sorted(set(benchmark[made_here]["dimension"]))
    if generated:
        found.append(
            r"\textbf{Measures generated here.} For $n = "
            + ", ".join(str(n) for n in generated)
            + "$ the benchmark's published weights were not at hand, and a pair of the same family "
            "was trained instead. Values there are not comparable with published ones."
        )
    images = image_part(frame)
    if settings.images is not None and (images["measures_source"] == "generated").any():
        pixels = celeba64_tables.side(settings.images)
        found.append(
            rf"\textbf{{Stand-in images.}} The measures of CelebA64 were generated here, images of "
            rf"${pixels}\times{pixels}$ pixels and not faces. Values there are of another problem "
            "of the same form, and not comparable with published ones."
        )
    sources = dict.fromkeys(map(str, color_part(frame)["measures_source"]))
    found += [line for source in sources for line in color_tables.stand_in(source)]
    discrete = starts_part(frame)
    stand_ins = discrete[discrete["measures_source"] == PACKAGED]["pair"]
    if len(stand_ins):
        named = ", ".join(escape(words(str(pair))) for pair in dict.fromkeys(stand_ins))
        found.append(
            rf"\textbf{{Stand-in data}} of Meta OT for {named}: what an installed package has, as "
            "the tables and figures say. Values there are not comparable with published ones."
        )
    return found


def _on_images(settings: ReportSettings) -> str:
    images = settings.images
    if images is None:
        return ""
    return f", on images {images.iterations:,} and {seeds_in_words(images)}"


def _of_baselines(frame: pd.DataFrame) -> str:
    part = baselines_part(frame)
    return "" if part.empty else f"; of the benchmark's own methods {_baselines_budget(part)}"


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
    has them; then those of CelebA64 by pair and method.
    """
    potentials = {name: number for number, name in enumerate(settings.potentials)}
    methods = {method: number for number, method in enumerate(settings.methods)}
    pairs = synthetic_pairs(frame, settings)
    images = settings.images.methods if settings.images else ()
    methods_on_images = {method: number for number, method in enumerate(images)}

    def key(row: Any) -> tuple[int, int, int, int, str]:
        if row.kind == IMAGES and settings.images is not None:
            place = settings.images.generators.index(row.pair.removeprefix(celeba64.PREFIX))
            number = methods_on_images.get((row.amortization, row.solver), 0)
            return 3, place, 0, number, row.cell
        if row.kind in (COLOR, STARTS):
            return (4 if row.kind == COLOR else 5), 0, 0, 0, row.cell
        if row.kind == "synthetic":
            return 2, pairs.index(row.pair), _place(row.cell, settings.plane.cells), 0, row.cell
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


def synthetic_pairs(frame: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Return the pairs on the plane, in the order of their first cells."""
    cells = synthetic_part(frame).drop_duplicates("cell").itertuples(index=False)
    ordered = sorted(cells, key=lambda row: _place(row.cell, settings.plane.cells))
    return list(dict.fromkeys(str(row.pair) for row in ordered))


def _place(name: Any, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)


def _pair(row: Mapping[str, Any] | pd.Series) -> str:
    """Name a cell's pair for LaTeX; the benchmark's by its dimension."""
    benchmark = row["kind"] in ("hd", BASELINES)
    return rf"$n={row['dimension']}$" if benchmark else escape(words(row["pair"]))


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
    are filled.

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
    groups: list[Group] = []
    cells = {row["cell"]: row for row in frame.drop_duplicates("cell").to_dict("records")}
    filling = False
    for name in order:
        row = cells[name]
        if row["kind"] == "hd":
            title = rf"$n = {row['dimension']}$, {escape(potential_words(row['potential']))}"
        elif row["kind"] == BASELINES:
            title = rf"$n = {row['dimension']}$, the benchmark's own methods"
        elif row["kind"] in (IMAGES, COLOR, STARTS):
            title = escape(words(row["pair"]))
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
    sections: dict[str, list[dict[str, str]]] = {title: [] for title, _ in captions.SECTIONS}
    overview: list[dict[str, str]] = []
    for number, path in enumerate(drawn, start=1):
        name = f"drawn-{number}.pdf"
        beside[name] = path
        title = _section(path, captions.SYNTHETIC_SECTION)
        kind = "half page" if path.stem in captions.HALF_PAGE else "figure"
        text = f"{captions.caption(path, captions.FIGURES)} {_made(frame, settings, title, path)}"
        first = path.stem == captions.OVERVIEW
        (overview if first else sections[title]).append(
            {"kind": kind, "file": name, "caption": text}
        )
    for number, path in enumerate(tables, start=1):
        name = f"table-{number}.tex"
        beside[name] = path
        title = _section(path, captions.TABLE_SECTION)
        text = f"{captions.caption(path, captions.TABLES)} {_made(frame, settings, title, path)}"
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
        warnings=warnings(frame, settings),
        overview=overview,
        summary=summary,
        facts=facts(frame, settings, made),
        sections=sections,
        introductions=captions.INTRODUCTIONS,
        runs=run_rows(frame, settings),
        diverged=diverged_lines(frame, settings),
        groups=shown_groups,
    )
    return text, beside


def _section(path: Path, other: str) -> str:
    """Return the title of the section that a table or figure stands in."""
    return next((title for title, names in captions.SECTIONS if path.stem in names), other)


def _made(frame: pd.DataFrame, settings: ReportSettings, section: str, path: Path) -> str:
    """Name the preset, and the devices of the cells that a table or figure shows, for a caption."""
    kinds = {captions.SYNTHETIC_SECTION: "synthetic", captions.IMAGE_SECTION: IMAGES}
    kinds |= {captions.COLOR_SECTION: COLOR, captions.STARTS_SECTION: STARTS}
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


def _short(commit: str) -> str:
    """Shorten a commit; `+` behind it says that files differed from it."""
    return commit[:12] + (" with uncommitted changes" if commit.endswith("+") else "")


def _number(value: Any, form: str) -> str:
    number = float(value)
    return format(number, form) if math.isfinite(number) else "--"


@dataclass(frozen=True, kw_only=True)
class Files:
    """What the report is made of.

    Attributes:
        tables: .tex tables, in order.
        metrics: tidy metrics of the HD cells.
        synthetic: those of the cells on the plane.
        images: those of the CelebA64 cells; none for a preset without them.
        baselines: those of the benchmark's own methods; none for a preset without them.
        color: those of colour transport; none for a preset without them.
        starts: those of Meta OT between discrete measures; none for a preset without them.
        curves: curves_CELL.pdf of all cells.
        figures: all other figures, in order.
        verdict, claims: .csv of each.
    """

    tables: Sequence[Path]
    metrics: Sequence[Path]
    synthetic: Sequence[Path]
    images: Sequence[Path]
    baselines: Sequence[Path]
    color: Sequence[Path]
    starts: Sequence[Path]
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
    frame = read_metrics(
        files.metrics, files.synthetic, files.images, files.baselines, files.color, files.starts
    )
    made = origin(os.environ, frame)
    judged = verdict.read(files.verdict)
    summary = verdict_table.summary(judged, verdict.read(files.claims, ("claim", "verdict")))
    text, beside = document(
        frame, settings, files.tables, files.curves, files.figures, made, summary
    )
    build_pdf(text, beside, pdf, made.date_epoch)
    if tex is not None:
        write_text(tex, text)
    log.info("%s: written", pdf)

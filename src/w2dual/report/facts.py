"""What the report says of the cells as a whole: its first page, and the boxes on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual import provenance
from w2dual.config.names import method_words, own_method_words, words
from w2dual.records import InputError
from w2dual.report.latex import escape
from w2dual.report.systems import SYSTEMS
from w2dual.report.systems.base import methods_in_words
from w2dual.report.tables import celeba64 as celeba64_tables
from w2dual.report.tables.synthetic import SyntheticSettings
from w2dual.results import aggregate, celeba64
from w2dual.results.celeba64 import ImageSettings
from w2dual.results.measured import synthetic
from w2dual.results.measured.hd import MEASURED as HD
from w2dual.results.summary import (
    Budget,
    TableSettings,
    batch_in_words,
    range_in_words,
    seeds_in_words,
    steps_in_words,
)

IMAGES = "celeba64"
"""Kind of the cells on images, in the column `kind`."""
BASELINES = "baselines"
"""Kind of the cells of the benchmark's own methods."""
IMAGE_BASELINES = "celeba64_baselines"
"""Kind of the cells of these on images."""
_MEASURED = {"hd": HD, IMAGES: HD, BASELINES: HD, "synthetic": synthetic.MEASURED}
_MEASURED |= {system.kind: system.measured for system in SYSTEMS}
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
        baselines_batch_sizes: of the benchmark's own methods, each once.
    """

    potentials: tuple[str, ...]
    plane: SyntheticPart
    images: ImageSettings | None
    baselines_batch_sizes: tuple[int, ...] = ()

    @classmethod
    def _flat(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        found = super()._flat(record)
        if "plane" in found:
            found["plane"] = asdict(SyntheticPart.from_json(found["plane"], "plane"))
        if found.get("images") is not None:
            found["images"] = asdict(ImageSettings.from_json(found["images"], "images"))
        return found


def read_metrics(
    hd: Sequence[Path],
    synthetic: Sequence[Path],
    images: Sequence[Path] = (),
    baselines: Sequence[Path] = (),
    systems: Mapping[str, Sequence[Path]] | None = None,
) -> pd.DataFrame:
    """Read tidy metrics from files of all kinds of cells, which a column `kind` tells apart.

    Args:
        hd: of the benchmark.
        synthetic: of the cells on the plane.
        images: of CelebA64.
        baselines: of the benchmark's own methods.
        systems: of the other systems, by their kind.

    Raises:
        InputError: a file cannot be read, or two hold the same seed of a cell.
    """
    files = [(path, "hd") for path in hd] + [(path, "synthetic") for path in synthetic]
    files += [(path, IMAGES) for path in images] + [(path, BASELINES) for path in baselines]
    files += [(path, kind) for kind, paths in (systems or {}).items() for path in paths]
    parts = [aggregate.read(path, _MEASURED[kind]).assign(kind=kind) for path, kind in files]
    frame = pd.concat(parts, ignore_index=True)
    on_images = (frame["kind"] == BASELINES) & frame["pair"].str.startswith(celeba64.PREFIX)
    frame["kind"] = frame["kind"].mask(on_images, IMAGE_BASELINES)
    twice = frame[frame.duplicated(["cell", "seed"])]
    if not twice.empty:
        raise InputError(
            f"report: duplicate cell {twice['cell'].iloc[0]} in "
            + ", ".join(str(path) for path, _ in files)
        )
    return frame


def image_part(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the CelebA64 cells."""
    return frame[frame["kind"] == IMAGES]


def hd_part(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the HD benchmark, without those of the benchmark's own methods."""
    return frame[frame["kind"] == "hd"]


def baselines_part(frame: pd.DataFrame, kind: str = BASELINES) -> pd.DataFrame:
    """Return the rows of the benchmark's own methods; those on images are another kind."""
    return frame[frame["kind"] == kind]


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
        ("Budget", _budget(settings)),
        ("Dimensions", ", ".join(str(n) for n in settings.dimensions)),
        ("Potentials", ", ".join(words(p) for p in settings.potentials)),
        ("Methods", f"{len(settings.methods)} (amortization loss + solver): {methods}"),
        ("Cells", _cells_and_runs(hd_part(frame))),
        ("Evaluation", f"on {settings.evaluation_samples:,} fresh samples of each measure"),
        *(("Measures", line) for line in measures_lines(hd_part(frame))),
        *_baselines_facts(frame, settings.baselines_batch_sizes),
        ("Pairs on the plane", ", ".join(words(pair) for pair in pairs)),
        ("Cells there", _cells_and_runs(synthetic_part(frame))),
        (
            "Budget there",
            f"{_budget(plane)}; evaluation on "
            f"{plane.evaluation_samples:,} fresh samples of each measure",
        ),
        *_image_facts(frame, settings),
        *_system_facts(frame),
        ("Training device", ", ".join(sorted({str(d) for d in frame["device"].dropna()}))),
        ("Training time", f"{hours:.2g} hours of jobs, compilation and pre-training included"),
        ("Trained by commit", ", ".join(map(_short, commits)) or "unknown"),
        ("Report by commit", _short(made.commit)),
    ]
    return [(escape(name), escape(value)) for name, value in rows]


def _budget(settings: Budget) -> str:
    """Say in words what was spent on the cells of a grid."""
    spent = f"{steps_in_words(settings)} training iterations"
    spent += f" at batch size {batch_in_words(settings)}"
    return f"{spent}, {seeds_in_words(settings)} per cell"


def _baselines_facts(
    frame: pd.DataFrame, batch_sizes: Sequence[int], kind: str = BASELINES
) -> list[tuple[str, str]]:
    part = baselines_part(frame, kind)
    of_images = kind == IMAGE_BASELINES
    if part.empty:
        return []
    methods = part.drop_duplicates(["amortization", "solver"])
    names = [
        own_method_words(*method)
        for method in zip(methods["amortization"], methods["solver"], strict=True)
    ]
    return [
        (
            f"The benchmark's own methods{' on images' if of_images else ''}",
            f"{len(names)}: {', '.join(names)}",
        ),
        ("Cells there", _cells_and_runs(part)),
        ("Budget there", _baselines_budget(part, batch_sizes)),
        *(("Measures there", line) for line in measures_lines(part) if not of_images),
    ]


def _baselines_budget(part: pd.DataFrame, batch_sizes: Sequence[int] = ()) -> str:
    """Say in words what was spent on cells whose budgets differ: as their metrics have it."""
    steps = part[part["status"] == "finished"]["steps"].astype(int)
    seeds = part.groupby("cell")["seed"].nunique()
    spent = f"{range_in_words(steps)} training iterations" if len(steps) else ""
    spent += f" at batch size {range_in_words(batch_sizes)}" if spent and batch_sizes else ""
    spent += ", " if spent else ""
    return f"{spent}{range_in_words(seeds)} seed{'s' if seeds.max() > 1 else ''} per cell"


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
            f"{_budget(images)}; evaluation on {images.evaluation_samples:,} fresh images",
        ),
        *_baselines_facts(frame, (), IMAGE_BASELINES),
    ]


def systems_in_words(frame: pd.DataFrame) -> str:
    """Name the systems beside the paper's own that have cells; empty without any."""
    return ", ".join(system.title for system in SYSTEMS if not system.part(frame).empty)


def _system_facts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for system in SYSTEMS:
        part = system.part(frame)
        if not part.empty:
            found += [
                (system.title, methods_in_words(part)),
                *system.facts(part),
                ("Cells there", _cells_and_runs(part)),
                ("Budget there", _baselines_budget(part)),
            ]
    return found


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
            f"{steps_in_words(settings)} iterations and {seeds_in_words(settings)} per "
            f"cell, on the plane {steps_in_words(settings.plane)} and "
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
    for system in SYSTEMS:
        part = system.part(frame)
        found += [] if part.empty else system.warnings(part)
    return found


def _on_images(settings: ReportSettings) -> str:
    images = settings.images
    if images is None:
        return ""
    return f", on images {steps_in_words(images)} and {seeds_in_words(images)}"


def _of_baselines(frame: pd.DataFrame) -> str:
    found = ""
    for kind, where in ((BASELINES, ""), (IMAGE_BASELINES, " on images")):
        part = baselines_part(frame, kind)
        if not part.empty:
            found += f"; of the benchmark's own methods{where} {_baselines_budget(part)}"
    return found


def synthetic_pairs(frame: pd.DataFrame, settings: ReportSettings) -> list[str]:
    """Return the pairs on the plane, in the order of their first cells."""
    cells = synthetic_part(frame).drop_duplicates("cell").itertuples(index=False)
    ordered = sorted(cells, key=lambda row: position(row.cell, settings.plane.cells))
    return list(dict.fromkeys(str(row.pair) for row in ordered))


def position(name: Any, names: Sequence[str]) -> int:
    """Return where a name stands; one that is not there stands last."""
    return names.index(name) if name in names else len(names)


def _short(commit: str) -> str:
    """Shorten a commit; `+` behind it says that files differed from it."""
    return commit[:12] + (" with uncommitted changes" if commit.endswith("+") else "")

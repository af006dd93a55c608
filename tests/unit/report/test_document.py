"""The report: what its first page says, what it refuses, and that LaTeX makes a PDF of it."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from tests.unit import verdict_data
from tests.unit.report.report_data import MADE, PLANE, SOLVERS, loaded, settings
from tests.unit.results.test_aggregate import (
    expected,
    record,
    seed,
    write,
)

from w2dual.config.systems import ADDITIONS
from w2dual.jobs import report as report_job
from w2dual.plots import style
from w2dual.plots.accuracy import FIGURES as ACCURACY
from w2dual.plots.meta_sinkhorn import FIGURES as START_FIGURES
from w2dual.records import InputError
from w2dual.report import captions, contents, facts, latex, runs
from w2dual.report import document as report
from w2dual.report.systems import BY_KIND, SYSTEMS
from w2dual.report.tables.celeba64 import TABLES as IMAGE_TABLES
from w2dual.report.tables.costs import QUANTITIES
from w2dual.report.tables.meta_color import TABLES as COLOR_TABLES
from w2dual.report.tables.meta_sinkhorn import TABLES as START_TABLES
from w2dual.report.tables.settings import TABLES as SETTINGS
from w2dual.results import claims, verdict
from w2dual.results.aggregate import aggregate


def drawn(*paths: Path) -> list[Path]:
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, 1])
    for path in paths:
        with style.style():
            style.save(figure, path, path.with_suffix(".png"))
    return list(paths)


@pytest.fixture
def figures(tmp_path: Path) -> list[Path]:
    cells = [f"hd2-mlp-objective-{solver}" for solver in SOLVERS]
    cells += [PLANE[0], PLANE[2], PLANE[1]]
    return drawn(*(tmp_path / f"curves_{cell}.pdf" for cell in cells))


@pytest.fixture
def plane(tmp_path: Path) -> list[Path]:
    return drawn(*(tmp_path / f"{name}.pdf" for name in ("transport", "my_own", "overview")))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "hd_mlp.tex"
    path.write_text("\\begin{tabular}{l}\\toprule x \\\\\\bottomrule\\end{tabular}\n", "utf-8")
    return path


def test_first_page_says_the_budget_in_words(
    frame: pd.DataFrame, figures: list[Path], plane: list[Path], table: Path
) -> None:
    text, beside = report.document(frame, loaded(), [table], figures, plane, MADE)
    first = text[: text.index("The runs")]
    for said in (
        r"smoke: 50\% of \{a\} test",
        "2,000 training iterations at batch size 256, 2 seeds per cell",
        "2, with 4 training runs, 1 of them diverged",
        "on 4,096 fresh samples",
        "the published weights, from a local mirror",
        r"cpu: a\_b \& c",
        "14 November 2023",
        "dddddddddddd",
        "cccccccccccc with uncommitted changes",
        r"\textbf{Reduced budget.}",
        "Pairs on the plane & \\raggedright moon, 8 Gaussians",
        "3, with 6 training runs, 1 of them diverged",
        "3,000 training iterations at batch size 512, 2 seeds per cell; evaluation on 1,024 fresh",
        "2,000 iterations and 2 seeds per cell, on the plane 3,000 and 2 seeds",
    ):
        assert said in first
    assert sorted(beside) == [
        *(f"drawn-{number}.pdf" for number in range(1, 4)),
        *(f"figure-{number}.pdf" for number in range(4, 9)),
        "table-1.tex",
    ]
    assert "What to look at" in contents.TABLES["hd_mlp"]
    assert contents.TABLES["hd_mlp"] in text


def test_overview_stands_on_the_first_page_and_the_rest_in_their_section(
    frame: pd.DataFrame, figures: list[Path], plane: list[Path], table: Path
) -> None:
    text, beside = report.document(frame, loaded(), [table], figures, plane, MADE)
    assert [beside[f"drawn-{number}.pdf"] for number in (1, 2, 3)] == plane
    order = ["drawn-3.pdf", "How this was made", "table-1.tex", "Couplings on the plane}"]
    order += [
        "drawn-1.pdf",
        contents.FIGURES["transport"],
        "drawn-2.pdf",
        "{my own. Preset",
        "The runs",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert contents.FIGURES["overview"] in text[places[0] : places[1]]
    text, _ = report.document(frame, loaded(), [table], figures, plane[2:], MADE)
    assert "section*{Couplings" not in text
    assert "section*{How conjugates are found}" not in text


def test_every_figure_and_table_has_a_caption_that_says_what_to_look_at() -> None:
    config = yaml.safe_load((Path(__file__).parents[3] / "config.yaml").read_text("utf-8"))
    studies = {f"conjugation_hd_{potential}" for potential in config["hd"]["potentials"]}
    assert set(contents.FIGURES) == {
        *config["synthetic"]["figures"],
        *ACCURACY,
        *studies,
        "verdict_hd",
        "celeba64_samples",
        "conjugation_celeba64",
        "lagrangian_paths",
        "metric_fields",
        "metric_paths",
        *START_FIGURES,
        "meta_color",
    }
    tables = {f"hd_{potential}" for potential in config["hd"]["potentials"]}
    tables |= {"lbfgs_line_search", "wolfe_vs_armijo", "verdict_hd", "claims"}
    tables |= {"hd_baselines", "trivial_maps", "synthetic", *QUANTITIES, *SETTINGS}
    tables |= {*IMAGE_TABLES, "claims_celeba64", *START_TABLES, *COLOR_TABLES}
    tables |= {"lagrangian", "claims_lagrangian", "metric_recovery"}
    assert set(contents.TABLES) == tables
    for text in (contents.FIGURES | contents.TABLES).values():
        assert "What to look at" in " ".join(text.split())


def test_the_report_has_a_part_for_each_system_in_the_configs_order() -> None:
    assert [system.kind for system in SYSTEMS] == list(ADDITIONS)
    assert {system.section for system in SYSTEMS} <= dict(contents.SECTIONS).keys()
    for system in SYSTEMS:
        shown = {*ADDITIONS[system.kind].tables, *ADDITIONS[system.kind].figures}
        assert shown <= set(dict(contents.SECTIONS)[system.section])


def test_images_have_their_facts_their_order_and_a_box(frame: pd.DataFrame) -> None:
    images = {
        **{key: settings()["plane"][key] for key in ("preset", "budget")},
        "generators": ["early"],
        "dimensions": [3 * 16 * 16],
        "methods": settings()["methods"],
        "decimals": 2,
        "diverged_above": 100.0,
        "verdict": {"alpha": 0.05, "margin_fraction": 0.25, "margin_floor": 0.02, "min_seeds": 5},
    }
    mine = facts.ReportSettings.from_json(settings(images=images))
    rows = frame[frame["kind"] == "hd"].copy()
    rows["cell"] = rows["cell"].str.replace("hd2-mlp", "celeba64_early-conv")
    rows = rows.assign(kind="celeba64", pair="celeba64_early", measures_source="generated")
    both = pd.concat([frame, rows], ignore_index=True)
    found = dict(facts.facts(both, mine, MADE))
    assert "early: generated here" in found["CelebA64"]
    assert "Stand-in images" in " ".join(facts.warnings(both, mine))
    assert r"$16\times16$" in " ".join(facts.warnings(both, mine))
    assert runs.cell_order(both, mine)[-2:] == [
        f"celeba64_early-conv-objective-{solver}" for solver in SOLVERS
    ]
    assert runs.run_rows(both, mine)[-1][0] == "CelebA64, early"
    curves = [Path(f"curves_{cell}.pdf") for cell in runs.cell_order(both, mine)]
    with_images, _ = report.document(both, mine, [], curves, [], MADE)
    assert "in high dimensions and on images, and couplings on the plane" in with_images
    assert "A third part is on the benchmark's image pairs" in with_images
    plain, _ = report.document(frame, loaded(), [], curves[:-2], [], MADE)
    assert "in high dimensions, and couplings on the plane" in plain
    assert "A third part" not in plain


def test_the_benchmarks_own_methods_have_their_own_facts(
    frame: pd.DataFrame, figures: list[Path], tmp_path: Path
) -> None:
    seeds = [seed(0) | {"steps": 20_001}, seed(1) | {"steps": 50_001}]
    own: list[dict[str, Any]] = [record("none") | {"seeds": [one]} for one in seeds]
    for one, name in zip(own, ("w2", "mm_r"), strict=True):
        number = one["seeds"][0]["seed"]
        one["cell"] |= {
            "name": f"hd2-{name}",
            "amortization": name,
            "settings": {"seeds": [number]},
        }
        one["measures"] |= {"source": "generated"}
        one["provenance"] |= {"device": "another"}
    out = tmp_path / "own.csv"
    aggregate(write(tmp_path, *own), expected(*own), out)
    hd, on_plane = tmp_path / "hd.csv", tmp_path / "synthetic.csv"
    both = facts.read_metrics([hd], [on_plane], baselines=[out])
    found = facts.facts(both, loaded(baselines_batch_sizes=[64, 1024]), MADE)
    assert ("Cells", "2, with 4 training runs, 1 of them diverged") in found
    assert ("Cells there", "2, with 2 training runs, 0 of them diverged") in found
    spent = "20,001 to 50,001 training iterations at batch size 64 to 1,024, 1 seed per cell"
    assert ("Budget there", spent) in found
    assert dict(found)["The benchmark's own methods"] == "2: MM:R, W2"
    assert dict(found)["Measures"].endswith("the published weights, from a local mirror")
    assert dict(found)["Measures there"].startswith("n = 2: generated here")
    reduced, generated = facts.warnings(both, loaded())
    assert "own methods 20,001 to 50,001 training iterations" in reduced
    assert "$n = 2$" in generated
    assert runs.cell_order(both, loaded())[2:4] == ["hd2-mm_r", "hd2-w2"]
    assert [row[0] for row in runs.run_rows(both, loaded())[:4]] == ["$n=2$"] * 4
    curves = [*figures, *(tmp_path / f"curves_hd2-{name}.pdf" for name in ("w2", "mm_r"))]
    _, group, *_ = report.figure_groups(curves, both, loaded())
    assert group.title == "$n = 2$, the benchmark's own methods"
    tables = [tmp_path / f"{name}.tex" for name in ("hd_baselines", "hd_mlp")]
    text, _ = report.document(both, loaded(), tables, curves, [], MADE)
    assert contents.TABLES["hd_baselines"] + " Preset smoke; trained on another." in text
    assert contents.TABLES["hd_mlp"] + r" Preset smoke; trained on cpu: a\_b \& c." in text
    assert "own methods" not in str(facts.facts(frame, loaded(), MADE))


NOT_GIVEN = (captions.IMAGE_SECTION, BY_KIND["meta_color"].section)


def test_sections_stand_in_the_order_of_an_evaluation(
    frame: pd.DataFrame, figures: list[Path], plane: list[Path], tmp_path: Path
) -> None:
    count = len(SETTINGS)
    names = [*SETTINGS, "synthetic", *QUANTITIES, "hd_own", "trivial_maps", "claims"]
    tables, count = [tmp_path / f"{name}.tex" for name in names], len(SETTINGS)
    studies = [tmp_path / f"conjugation_hd_{potential}.pdf" for potential in ("icnn", "mlp")]
    cost, by_dimension, by_seed = (tmp_path / f"{name}.pdf" for name in ACCURACY)
    verdict_figure = tmp_path / "verdict_hd.pdf"
    figures_given = [verdict_figure, cost, by_dimension, by_seed, *studies, *plane]
    text, beside = report.document(frame, loaded(), tables, figures, figures_given, MADE)
    shown = [
        beside[name]
        for name in re.findall(r"(?:input|includegraphics.*?|figurefile)\{(.*?)\}", text)
        if name in beside
    ]
    count = len(SETTINGS)
    order = [
        tables[-1],
        verdict_figure,
        *tables[-3:-1],
        by_dimension,
        by_seed,
        *tables[count + 1 : -3],
        cost,
        *studies,
        tables[count],
    ]
    places = [shown.index(path) for path in [*order, plane[0], plane[1], *tables[:count]]]
    assert places == sorted(places)
    assert places[-1] < shown.index(figures[0])
    titles = re.findall(r"section\*\{(.*?)\}", text)
    others = (captions.IMAGE_SECTION, *(system.section for system in SYSTEMS))  # none were given
    assert [title for title in titles if title in dict(contents.SECTIONS)] == [
        title for title, _ in contents.SECTIONS if title not in others
    ]
    for title, introduction in contents.INTRODUCTIONS.items():
        if title in others:
            continue
        assert text.index(title + "}") < text.index(introduction)
    assert (
        contents.FIGURES["accuracy_vs_cost"] + r" Preset smoke; trained on cpu: a\_b \& c." in text
    )


def test_captions_sections_name_tables_that_have_a_caption() -> None:
    named = [name for _, names in contents.SECTIONS for name in names]
    assert set(named) <= contents.TABLES.keys() | contents.FIGURES.keys()
    assert len(named) == len(set(named))


def test_figures_are_those_of_the_cells(
    frame: pd.DataFrame, figures: list[Path], tmp_path: Path
) -> None:
    hd, moon, gauss = report.figure_groups(figures[::-1], frame, loaded())
    assert hd == report.Group("$n = 2$, MLP potential", figures[:2], new_page=True)
    assert moon == report.Group("On the plane: moon", figures[2:4], new_page=True)
    assert gauss == report.Group("On the plane: 8 Gaussians", figures[4:], new_page=False)
    with pytest.raises(InputError, match="no figure of training curves for hd2-mlp-objective-none"):
        report.figure_groups(figures[1:], frame, loaded())
    with pytest.raises(InputError, match="of no cell of the metrics: .*curves_other"):
        report.figure_groups([*figures, tmp_path / "curves_other.pdf"], frame, loaded())
    with pytest.raises(InputError, match="already has a figure"):
        report.figure_groups([*figures, figures[0]], frame, loaded())


def test_other_preset_is_refused(
    frame: pd.DataFrame, figures: list[Path], plane: list[Path], table: Path
) -> None:
    other = loaded(preset={"name": "paper", "label": "", "reduced": False})
    with pytest.raises(InputError, match="come from preset smoke, the settings are those of paper"):
        report.document(frame, other, [table], figures, plane, MADE)


def test_missing_latex_names_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="latexmk texlive-latex-base"):
        latex.build_pdf("", {}, tmp_path / "x.pdf", 0)
    script = Path(__file__).parents[3] / "scripts" / "install_tex.sh"
    assert f"debian_packages=({' '.join(latex.DEBIAN_PACKAGES)})" in script.read_text("utf-8")


@pytest.mark.tex
def test_report_to_pdf_twice_the_same(
    frame: pd.DataFrame,
    figures: list[Path],
    plane: list[Path],
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not frame.empty
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    parser = argparse.ArgumentParser()
    report_job.add_arguments(parser)
    given = verdict_data.settings(reduced=True)
    rows = verdict.cell_rows(verdict_data.as_published(), verdict_data.PUBLISHED, given)
    judged = verdict.judge(rows, given)
    judged.to_csv(tmp_path / "verdict.csv")
    claims.judge(judged, given).to_csv(tmp_path / "claims.csv")
    for name in ("a", "b"):
        command = ["--settings", json.dumps(settings()), "--tables", str(table)]
        command += ["--metrics", str(tmp_path / "hd.csv"), "--curves", *map(str, figures)]
        command += ["--synthetic", str(tmp_path / "synthetic.csv"), "--figures", *map(str, plane)]
        command += ["--verdict", str(tmp_path / "verdict.csv")]
        command += ["--claims", str(tmp_path / "claims.csv")]
        command += ["--pdf", str(tmp_path / f"{name}.pdf"), "--tex", str(tmp_path / f"{name}.tex")]
        report_job.main(parser.parse_args(command))
    first = (tmp_path / "a.pdf").read_bytes()
    assert first.startswith(b"%PDF")
    assert first == (tmp_path / "b.pdf").read_bytes()
    text = (tmp_path / "a.tex").read_text(encoding="utf-8")
    assert "Reduced budget" in text
    assert "no cell can be called reproduced" in text
    assert text.index("Verdict.") < text.index("How this was made")


@pytest.mark.tex
def test_latex_error_is_shown_and_leaves_no_pdf(tmp_path: Path) -> None:
    document = "\\documentclass{article}\\begin{document}\n\\input{table.tex}\n\\end{document}\n"
    with pytest.raises(InputError, match=r"table.tex:1: Undefined control sequence"):
        latex.build_pdf(document, {"table.tex": "\\oops\n"}, tmp_path / "x.pdf", 0)
    with pytest.raises(InputError, match=r"gone.tex: no such file"):
        latex.build_pdf(document, {"table.tex": tmp_path / "gone.tex"}, tmp_path / "x.pdf", 0)
    assert list(tmp_path.iterdir()) == []

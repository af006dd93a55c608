"""The report: what its first page says, what it refuses, and that LaTeX makes a PDF of it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_aggregate import expected, record, seed, write

from w2dual import latex, report
from w2dual.aggregate import aggregate
from w2dual.plots import style
from w2dual.records import InputError

MADE = report.Origin("d" * 40, 1_700_000_000)
SOLVERS = ("none", "lbfgs")


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "preset": {"name": "smoke", "label": "50% of {a} test", "reduced": True},
        "dimensions": [2],
        "potentials": ["mlp"],
        "methods": [{"amortization": "objective", "solver": solver} for solver in SOLVERS],
        "budget": {"iterations": 2000, "batch_size": 256, "seeds": [0, 1]}
        | {"evaluation_samples": 4096},
    } | changes


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    records = [record(solver) for solver in SOLVERS]
    records[0]["seeds"][1] = seed(1, None, "diverged")
    for one in records:
        one["provenance"] |= {"device": "cpu: a_b & c", "git_commit": "c" * 40 + "+"}
    return aggregate(write(tmp_path, *records), expected(*records), tmp_path / "hd.csv")


@pytest.fixture
def figures(tmp_path: Path) -> list[Path]:
    paths = []
    for solver in SOLVERS:
        figure = Figure(figsize=(1, 1))
        figure.add_subplot().plot([0, 1])
        paths.append(tmp_path / f"curves_hd2-mlp-objective-{solver}.pdf")
        with style.style():
            style.save(figure, paths[-1], paths[-1].with_suffix(".png"))
    return paths


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "hd_mlp.tex"
    path.write_text("\\begin{tabular}{l}\\toprule x \\\\\\bottomrule\\end{tabular}\n", "utf-8")
    return path


def loaded(**changes: Any) -> report.ReportSettings:
    return report.ReportSettings.from_json(settings(**changes))


def test_first_page_says_the_budget_in_words(
    frame: pd.DataFrame, figures: list[Path], table: Path
) -> None:
    text, beside = report.document(frame, loaded(), [table], figures, MADE)
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
    ):
        assert said in first
    assert sorted(beside) == ["figure-1.pdf", "figure-2.pdf", "table-1.tex"]
    assert "What to look at" in report.CAPTIONS["hd_mlp"]
    assert report.CAPTIONS["hd_mlp"] in text


def test_box_only_where_it_is_due(frame: pd.DataFrame) -> None:
    full = loaded(preset={"name": "smoke", "label": "", "reduced": False})
    assert report.warnings(frame, full) == []
    (only,) = report.warnings(frame.assign(measures_source="generated"), full)
    assert "Measures generated anew" in only
    assert "$n = 2$" in only


def test_run_rows_follow_the_methods_order(frame: pd.DataFrame) -> None:
    rows = report.run_rows(frame, loaded())
    assert [row[3] for row in rows] == ["None", "L-{}BFGS"]
    assert [row[4] for row in rows] == ["1/2", "2/2"]
    assert [row[8] for row in rows] == ["--", r"90.0\%"]


def test_figures_are_those_of_the_cells(
    frame: pd.DataFrame, figures: list[Path], tmp_path: Path
) -> None:
    ((title, paths),) = report.figure_groups(figures[::-1], frame, loaded())
    assert title == "$n = 2$, MLP potential"
    assert paths == figures
    with pytest.raises(InputError, match="no figure of training curves for hd2-mlp-objective-none"):
        report.figure_groups(figures[1:], frame, loaded())
    with pytest.raises(InputError, match="of no cell of the metrics: .*curves_other"):
        report.figure_groups([*figures, tmp_path / "curves_other.pdf"], frame, loaded())
    with pytest.raises(InputError, match="already has a figure"):
        report.figure_groups([*figures, figures[0]], frame, loaded())


def test_other_preset_is_refused(frame: pd.DataFrame, figures: list[Path], table: Path) -> None:
    other = loaded(preset={"name": "paper", "label": "", "reduced": False})
    with pytest.raises(InputError, match="come from preset smoke, the settings are those of paper"):
        report.document(frame, other, [table], figures, MADE)


def test_date_is_given_by_the_environment_first(frame: pd.DataFrame) -> None:
    assert report.origin({"SOURCE_DATE_EPOCH": "86400"}, frame).date_epoch == 86400
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH is 'now'"):
        report.origin({"SOURCE_DATE_EPOCH": "now"}, frame)


def test_date_without_git_is_that_of_the_last_job(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_git_head", lambda: ("unknown", None))
    assert report.origin({}, frame) == report.Origin("unknown", 1_767_225_600)


def test_missing_latex_names_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="latexmk texlive-latex-base"):
        latex.build_pdf("", {}, tmp_path / "x.pdf", 0)
    script = Path(__file__).parents[2] / "scripts" / "install_tex.sh"
    assert f"debian_packages=({' '.join(latex.DEBIAN_PACKAGES)})" in script.read_text("utf-8")


def test_metrics_come_in_several_files_without_overlap(frame: pd.DataFrame, tmp_path: Path) -> None:
    for solver in SOLVERS:
        frame[frame["solver"] == solver].to_csv(tmp_path / f"{solver}.csv", index=False)
    parts = [tmp_path / f"{solver}.csv" for solver in SOLVERS]
    assert len(report.read_metrics(parts)) == len(frame) == 4
    with pytest.raises(InputError, match="cell hd2-mlp-objective-none stands twice"):
        report.read_metrics([*parts, parts[0]])


@pytest.mark.tex
def test_report_to_pdf_twice_the_same(
    frame: pd.DataFrame,
    figures: list[Path],
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not frame.empty
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    for name in ("a", "b"):
        command = ["--settings", json.dumps(settings()), "--tables", str(table)]
        command += ["--metrics", str(tmp_path / "hd.csv"), "--figures", *map(str, figures)]
        command += ["--pdf", str(tmp_path / f"{name}.pdf"), "--tex", str(tmp_path / f"{name}.tex")]
        report.main(parser.parse_args(command))
    first = (tmp_path / "a.pdf").read_bytes()
    assert first.startswith(b"%PDF")
    assert first == (tmp_path / "b.pdf").read_bytes()
    assert "Reduced budget" in (tmp_path / "a.tex").read_text(encoding="utf-8")


@pytest.mark.tex
def test_latex_error_is_shown_and_leaves_no_pdf(tmp_path: Path) -> None:
    document = "\\documentclass{article}\\begin{document}\n\\input{table.tex}\n\\end{document}\n"
    with pytest.raises(InputError, match=r"table.tex:1: Undefined control sequence"):
        latex.build_pdf(document, {"table.tex": "\\oops\n"}, tmp_path / "x.pdf", 0)
    with pytest.raises(InputError, match=r"gone.tex: no such file"):
        latex.build_pdf(document, {"table.tex": tmp_path / "gone.tex"}, tmp_path / "x.pdf", 0)
    assert list(tmp_path.iterdir()) == []

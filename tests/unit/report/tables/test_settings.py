"""Tables of hyperparameters: what they take from the config that ran, and from its comments."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from w2dual.config.reader import load, read
from w2dual.jobs import hyperparameters as hyperparameters_job
from w2dual.records import InputError
from w2dual.report.latex import build_pdf
from w2dual.report.tables import settings
from w2dual.report.tables.settings import Comment, comments, number

ROOT = Path(__file__).parents[4]
CONFIG = ROOT / "config.yaml"
PAPER = read([CONFIG])
SMOKE = load([CONFIG, ROOT / "presets" / "smoke.yaml"])
DOCUMENT = (
    "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage[margin=18mm,a4paper]{geometry}"
    "\\usepackage{array,booktabs,graphicx}\\begin{document}\n%s\\end{document}\n"
)
PAGE = (
    "\\setbox1=\\vbox{\\input{%s.tex}}\n"
    "\\ifdim\\dimexpr\\ht1+\\dp1\\relax>.92\\textheight\\errmessage{taller than a page}\\fi\n"
    "\\noindent\\box1\\newpage\n"
)


def rows(table: str, config: dict[str, Any] = PAPER) -> pd.DataFrame:
    return settings.rows_of(config, PAPER, comments(CONFIG.read_text("utf-8")), table)


def one(frame: pd.DataFrame, group: str, setting: str) -> dict[str, Any]:
    found = frame[(frame["group"] == group) & (frame["setting"] == setting)]
    assert len(found) == 1, (group, setting)
    return {str(key): value for key, value in found.iloc[0].items()}


def test_comments_are_found_by_the_keys_they_stand_at() -> None:
    said = comments(
        "# A head [paper 9].\n"
        "a:            # of all [ours]\n"
        "  b: 1        # seconds; `b` [paper table 4] [w2ot x.yaml]\n"
        "  c: {d: 2, e: 3}  # both\n"
        "  f: '# none'\n"
        "  g: [0, 1] # a list, [max(2n,64)] [OTT-JAX's default]\n"
    )
    assert said == {
        ("a",): Comment("of all", "ours"),
        ("a", "b"): Comment("seconds; b", "paper table 4; w2ot x.yaml"),
        ("a", "c"): Comment("both", ""),
        ("a", "g"): Comment("a list, [max(2n,64)]", "OTT-JAX's default"),
    }


def test_values_meaning_and_source_of_the_paper() -> None:
    frame = rows("hyperparameters_hd")
    assert not frame["changed"].any()
    batch = one(frame, "Training", "batch size")
    assert (batch["value"], batch["meaning"], batch["source"]) == (
        "1,024",
        "points per step",
        "paper table 4",
    )
    assert one(frame, "Training", "learning rate")["value"] == "5 × 10^-4"
    widths = one(frame, "Training", "hidden")["value"]
    assert widths.startswith("64, 64, 32 for n = 2, 4, 8, 16, 32; 128, 128, 64 for n = 64; ")
    assert one(frame, "Amortization loss Cycle", "weight")["value"] == "the dimension n"
    assert one(frame, "Potential ICNN", "")["source"] == "paper B.3; w2ot models/icnn.py"
    assert one(frame, "Grid", "seeds")["value"] == "0, …, 9"
    tolerance = one(frame, "Conjugate solver L-BFGS", "gradient tolerance")
    assert (tolerance["value"], tolerance["meaning"]) == ("0.1", "stop at max|grad J| below this")
    # Solvers that no cell of the section uses are not its settings.
    assert "Conjugate solver L-BFGS (high precision)" not in set(frame["group"])


@pytest.mark.parametrize("section", ["hd", "baselines", "synthetic"])
def test_every_number_of_the_section_is_shown(section: str) -> None:
    frame = rows(f"hyperparameters_{section}")
    for part in ("training", "pretraining", "evaluation"):
        group = {"pretraining": "Pre-training"}.get(part, part.capitalize())
        for key in PAPER[section][part]:
            one(frame, group, key.replace("_", " "))


def test_what_a_preset_set_is_marked_and_shown_as_it_ran() -> None:
    frame = rows("hyperparameters_hd", SMOKE)
    batch = one(frame, "Training", "batch size")
    assert (batch["value"], batch["changed"]) == ("128", True)
    assert not one(frame, "Training", "learning rate")["changed"]
    assert one(frame, "Training", "hidden")["value"] == "64, 64, 32 for n = 2"
    tex = settings.tex_of(frame, "hyperparameters_hd", SMOKE)
    assert r"batch size$^{\dagger}$ & 128 & points per step & paper table 4 \\" in tex
    assert r"learning rate & 5 \ensuremath{\times} 10$^{-4}$" in tex
    assert r"\textbf{Reduced budget}: preset smoke" in tex
    assert "set by the preset" in tex


def test_a_grid_of_the_presets_own_has_no_words_of_another_grid() -> None:
    mine = one(rows("hyperparameters_synthetic"), "Grid 2", "pairs")
    assert mine["meaning"] == ""
    paper = one(rows("hyperparameters_synthetic"), "Grid 1", "hidden")
    assert paper["source"] == "w2ot dual_trainer/icnn.yaml, nn.yaml"
    smoke = one(rows("hyperparameters_synthetic", SMOKE), "Grid 1", "hidden")
    assert (smoke["value"], smoke["source"], smoke["changed"]) == ("64, 64", "", True)


def test_potentials_that_read_alike_are_told_apart() -> None:
    groups = set(rows("hyperparameters_synthetic")["group"])
    assert "Potential MLP, leaky ReLU (mlp_leaky)" in groups
    assert "Potential MLP, leaky ReLU (mlp_image)" in groups
    assert "Potential ICNN, softplus" in groups


def test_celeba64_has_a_model_and_a_cycle_weight_of_its_own() -> None:
    frame = rows("hyperparameters_celeba64")
    assert one(frame, "Grid", "cycle weight")["value"] == "10,000"
    assert one(frame, "Potential ConvNet", "strides")["value"] == "2, 2, 2, 2, 2, 1"
    assert list(frame["group"]).count("Amortization model") == 1
    assert one(frame, "Training", "batch size")["meaning"] == "images per step"
    assert not frame["group"].str.startswith("Amortization loss").any()
    tex = settings.tex_of(frame, "hyperparameters_celeba64", PAPER)
    assert "Reduced budget" not in tex
    assert "have no cells" not in tex


def test_the_benchmarks_own_methods_have_their_own_steps_and_no_model() -> None:
    frame = rows("hyperparameters_baselines")
    assert not frame["changed"].any()
    assert one(frame, "Training", "iterations")["value"] == "100,001"
    assert one(frame, "Method W2", "iterations")["value"] == "250,001"
    assert one(frame, "Method QC", "batch size")["value"] == "64"
    assert one(frame, "Method MM", "")["source"] == "benchmark MM_test_hd_benchmark.ipynb"
    assert one(frame, "Training", "b2")["source"] == "PyTorch's default"
    assert list(frame["group"]).count("Training") == len(PAPER["baselines"]["training"]) + 1
    assert "Amortization model" not in set(frame["group"])  # none of them has one


def test_a_section_without_cells_says_so() -> None:
    table = "hyperparameters_celeba64"
    none = PAPER | {"celeba64": PAPER["celeba64"] | {"generators": []}}
    assert "have no cells in this preset" in settings.tex_of(rows(table, none), table, none)
    plane = {"grids": [{"pairs": ["a"], "methods": []}, {"pairs": [], "methods": [{}]}]}
    assert not settings.has_cells(plane)
    assert settings.has_cells(plane | {"grids": [{"pairs": ["a"], "methods": [{}]}]})


@pytest.mark.parametrize(
    ("value", "shown"),
    [(250001, "250,001"), (0.5, "0.5"), (5e-4, "5 × 10^-4"), (1e5, "100,000"), (0.001, "0.001")]
    + [(2.220446049250313e-9, "2.22 × 10^-9"), (0, "0"), (1.5, "1.5"), (0.0, "0")],
)
def test_numbers_as_people_read_them(value: float, shown: str) -> None:
    assert number(value) == shown


def test_missing_section_is_named() -> None:
    lacking = {key: value for key, value in PAPER.items() if key != "celeba64"}
    with pytest.raises(InputError, match="no section `celeba64`"):
        rows("hyperparameters_celeba64", lacking)


@pytest.mark.tex
def test_job_writes_tables_that_fit_a_page_each(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    hyperparameters_job.add_arguments(parser)
    for table in settings.TABLES:
        out = [tmp_path / f"{table}.{ending}" for ending in ("tex", "csv")]
        command = [table, "--config", json.dumps(PAPER), "--base", str(CONFIG)]
        command += ["--tex", str(out[0]), "--csv", str(out[1])]
        hyperparameters_job.main(parser.parse_args(command))
        assert pd.read_csv(out[1])["preset"].eq("paper").all(), table
    pages = "".join(PAGE % table for table in settings.TABLES)
    files = {f"{table}.tex": tmp_path / f"{table}.tex" for table in settings.TABLES}
    build_pdf(DOCUMENT % pages, files, tmp_path / "tables.pdf", 0)

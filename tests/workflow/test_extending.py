"""docs/extending.md, followed to the letter: its files, its YAML, its command, its rows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from .conftest import ROOT, Checkout, copy_checkout

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BUDGET = """\
measures:
  benchmark:
    sources: [mirror, generated]
    moment_samples: 1024
    generated: {iterations: 20, batch_size: 32, pretraining_iterations: 5}
hd:
  seeds: [0]
  training: {batch_size: 32, iterations: 4, hidden: [8]}
  pretraining: {iterations: 4, min_iterations: 2}
  evaluation: {samples: 64, history_every: 4, history_samples: 32}
  logging: {every: 4}
synthetic:
  seeds: [0]
  training: {batch_size: 32, iterations: 4, model_hidden: [8]}
  pretraining: {iterations: 4, min_iterations: 2}
  evaluation: {samples: 16, history_every: 4, history_samples: 8}
  logging: {every: 4}
"""
"""Less than the page's, since only the rows count."""

pytestmark = [pytest.mark.slow, pytest.mark.long]


def blocks(language: str) -> list[tuple[str, str]]:
    """The page's fenced blocks of a language: what stands behind its name, and the content."""
    found = re.findall(rf"^```{language}([^\n]*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [(info.strip(), content) for info, content in found]


def write_files(checkout: Checkout) -> list[str]:
    """Write what the page says to write; return the files' names."""
    names = []
    for info, content in blocks("python"):
        name = info.removeprefix("file=")
        assert not (checkout.path / name).exists(), f"{name}: the checkout has it already"
        (checkout.path / name).write_text(content, encoding="utf-8")
        names.append(name)
    yaml = "".join(content for info, content in blocks("yaml") if not info)
    for info, content in blocks("yaml"):
        if info:
            (checkout.path / info.removeprefix("file=")).write_text(content, encoding="utf-8")
    (checkout.path / "presets" / "mine.yaml").write_text(yaml, encoding="utf-8")
    (checkout.path / "presets" / "budget.yaml").write_text(BUDGET, encoding="utf-8")
    return names


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_checkout(tmp_path_factory.mktemp("extending") / "checkout")
    write_files(checkout)
    (_, commands), *_ = blocks("sh")
    program, *arguments = shlex.split(commands)
    assert program == "snakemake"
    at = arguments.index("presets/mine.yaml") + 1
    run = checkout.snakemake(
        *arguments[:at], "presets/budget.yaml", "--show-failed-logs", *arguments[at:]
    )
    assert run.returncode == 0, run.stdout
    return checkout


def table(checkout: Checkout, name: str) -> pd.DataFrame:
    path = checkout.path / "runs" / "mine" / "tables" / f"{name}.csv"
    return pd.read_csv(path, keep_default_na=False)


def test_page_names_each_file_in_its_text_too() -> None:
    assert len(blocks("python")) == 5
    for info, _ in blocks("python"):
        assert f"File `{info.removeprefix('file=')}`:" in PAGE


def test_new_methods_and_potential_have_rows_beside_the_quoted_ones(extended: Checkout) -> None:
    rows = table(extended, "hd_ridges")
    ours = rows[rows["source"] == "ours"]
    assert list(zip(ours["amortization"], ours["solver"], strict=True)) == [
        ("huber", "lbfgs"),
        ("regression", "descent"),
        ("minimax", "none"),
    ]
    assert (rows["source"] == "quoted").any()
    assert (pd.to_numeric(ours["mean"]) > 0).all()
    assert (pd.to_numeric(ours["diverged_seeds"]) == 0).all()
    tex = (extended.path / "runs" / "mine" / "tables" / "hd_ridges.tex").read_text("utf-8")
    assert " & huber & L-{}BFGS & " in tex
    assert " & Regression & descent & " in tex
    assert " & minimax & None & " in tex


def test_new_pair_has_a_row(extended: Checkout) -> None:
    rows = table(extended, "synthetic")
    assert set(zip(rows["pair"], rows["potential"], strict=True)) == {("square", "ridges")}
    assert (pd.to_numeric(rows[rows["quantity"] == "w2_forward"]["mean"]) > 0).all()


def test_what_is_finished_does_not_train_again_for_another_module(extended: Checkout) -> None:
    package = extended.path / "src" / "w2dual"
    source = (package / "conjugate" / "descent.py").read_text("utf-8")
    for room in ("conjugate", "potentials", "amortization", "training/methods"):
        (package / room / "other.py").write_text(source, "utf-8")
    (package / "measures" / "pairs" / "other.py").write_text(source, "utf-8")
    presets = [f"presets/{name}.yaml" for name in ("smoke", "mine", "budget")]
    run = extended.snakemake(
        *("--cores", "1", "--dry-run", "--configfile", *presets),
        *("--", "tables/hd_ridges.tex", "tables/synthetic.tex"),
    )
    assert "Nothing to be done" in run.stdout, run.stdout


def python(checkout: Checkout, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout.path,
        env=os.environ | {"PYTHONPATH": str(checkout.path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_examples_pass_the_checks_that_the_page_names(extended: Checkout) -> None:
    _, (_, commands), *_ = blocks("sh")
    lines = commands.splitlines()
    assert [shlex.split(line)[5] for line in lines] == [
        *("descent", "huber", "ridges", "minimax", "square"),
    ]
    for line in lines:
        name, *arguments = shlex.split(line)
        run = python(extended, arguments)
        assert (name, run.returncode) == ("python", 0), run.stdout + run.stderr
        assert "FAILED" not in run.stdout
        assert run.stdout.count("  passed  ") >= 7


def test_a_preset_adds_a_method_to_the_papers(extended: Checkout) -> None:
    listed = []
    for added in ([], ["presets/compared.yaml"]):
        files = ["config.yaml", "presets/smoke.yaml", *added]
        run = python(extended, ["-m", "w2dual", "cells", "--configfile", *files])
        assert run.returncode == 0, run.stderr
        listed.append(set(run.stdout.split()))
    before, after = listed
    assert before < after
    assert after - before == {"hd2-icnn-huber-lbfgs", "hd2-mlp-huber-lbfgs"}


def test_unknown_kind_stops_before_the_first_job(extended: Checkout) -> None:
    presets = [f"presets/{name}.yaml" for name in ("smoke", "mine", "budget")]
    wrong = extended.path / "presets" / "wrong.yaml"
    wrong.write_text("solvers: {descent: {kind: descnet}}\n", "utf-8")
    run = extended.snakemake(
        *("--cores", "1", "--configfile", *presets, "presets/wrong.yaml"),
        *("--", "tables/hd_ridges.tex"),
    )
    assert run.returncode != 0
    assert "`solvers.descent.kind`: there is no module w2dual.conjugate.descnet" in run.stdout
    assert "add src/w2dual/conjugate/descnet.py" in run.stdout
    assert "Traceback" not in run.stdout


def test_page_and_readme_name_what_there_is() -> None:
    for name in re.findall(r"`((?:src|tests|presets|docs)/[\w/]+\.\w+)`", PAGE):
        own = any(name == info.removeprefix("file=") for info, _ in blocks("python"))
        there = ROOT / (Path(name).parent if Path(name).stem == "NAME" else Path(name))
        assert own or name == "presets/mine.yaml" or there.exists(), name
    assert "docs/extending.md" in (ROOT / "README.md").read_text("utf-8")

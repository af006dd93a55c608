"""What the workflow plans, and what it refuses to plan."""

import time
from pathlib import Path

import pytest

from .conftest import Checkout, copy_checkout
from .plan import planned, trained


def test_paper_config_plans_every_cell_of_both_tables_in_time(checkout: Checkout) -> None:
    started = time.monotonic()
    run = checkout.snakemake("--dry-run")
    elapsed_s = time.monotonic() - started
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout)["train"] == 128
    assert len(trained(run.stdout)) == 128
    # 10 s are promised on an idle machine, where it takes 4; a test machine may be busy.
    assert elapsed_s < 30


def test_one_table_plans_its_own_cells_alone(checkout: Checkout) -> None:
    run = checkout.snakemake("--dry-run", "tables/hd_mlp.tex")
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {"prepare": 8, "train": 64, "aggregate": 1, "table": 1}
    assert all("-mlp-" in cell for cell in trained(run.stdout))


def test_preset_plans_the_same_rows_in_a_folder_of_its_own(checkout: Checkout) -> None:
    run = checkout.snakemake(
        "--dry-run", "--configfile", "presets/smoke.yaml", "--", "tables/hd_mlp.tex"
    )
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {"prepare": 1, "train": 8, "aggregate": 1, "table": 1}
    assert (checkout.path / "runs" / "smoke").is_dir()
    assert not (checkout.path / "results").exists()


def test_lint(checkout: Checkout) -> None:
    run = checkout.snakemake("--lint")
    assert run.returncode == 0, run.stdout
    assert "Lints for" not in run.stdout


@pytest.mark.parametrize(
    ("yaml", "named"),
    [
        pytest.param("hd: {training: {iteration: 5}}", "hd.training.iteration", id="unknown-key"),
        pytest.param("tables: {decimals: two}", "tables.decimals", id="wrong-type"),
        pytest.param("hd: {dimensions: [2, 3]}", "hd.dimensions", id="no-such-dimension"),
        pytest.param(
            "hd: {methods: [{amortization: regression, solver: none}]}",
            "hd.methods",
            id="regression-without-solver",
        ),
    ],
)
def test_bad_config_stops_before_the_first_job_and_names_the_key(
    checkout: Checkout, tmp_path: Path, yaml: str, named: str
) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text(yaml + "\n")
    run = checkout.snakemake("--cores", "1", "--configfile", str(config))
    assert run.returncode != 0
    assert f"`{named}" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (checkout.path / "results").exists()


def test_missing_module_is_named(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    (checkout.path / "src" / "w2dual" / "dual.py").unlink()
    run = checkout.snakemake("--dry-run")
    assert run.returncode != 0
    assert "src/w2dual/dual.py: the checkout has no such file" in run.stdout

"""The workflow in folders whose names a shell or a pattern would take for something else."""

from pathlib import Path

from tests.workflow.conftest import Checkout, copy_checkout

HARD = """it's a [w2] "dual" $HOME;x (a&b) *"""


def plan(checkout: Checkout) -> str:
    done = checkout.snakemake("--dry-run", "--configfile", "presets/smoke.yaml", "--", "all")
    return done.stdout


def test_a_folder_with_brackets_quotes_and_spaces(tmp_path: Path):
    said = plan(copy_checkout(tmp_path / HARD))
    assert "Setting evaluation.pdf" in said, said[-2000:]


def test_a_folder_with_a_brace_is_refused(tmp_path: Path):
    said = plan(copy_checkout(tmp_path / "{x}"))
    assert "Snakemake runs in no path with a brace; move the checkout" in said

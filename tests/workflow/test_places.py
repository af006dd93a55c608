"""A finished run that is reached by another path: nothing trains again."""

import shutil
from pathlib import Path

from .conftest import copy_checkout
from .plan import trained

CELL = "hd2-mlp-regression-lbfgs"
FILES = (
    "results/measures/hd2.safetensors",
    *(f"results/train/{CELL}/{name}" for name in ("metrics.json", "history.csv")),
    f"results/train/{CELL}/params.safetensors",
)
SMOKE = ("--configfile", "presets/smoke.yaml", "--cores", "1")
TARGET = f"results/train/{CELL}/metrics.json"
NOTHING = "Nothing to be done"


def test_a_finished_run_is_finished_by_whichever_path_it_is_reached(tmp_path: Path) -> None:
    """Moved to another disk and linked; named by `--directory`; with a new clone of the source."""
    checkout = copy_checkout(tmp_path / "checkout")
    run = checkout.path / "runs" / "smoke"
    for name in FILES:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("made by hand")
    done = checkout.snakemake(*SMOKE, "--touch", "--forceall", "--", TARGET)
    assert done.returncode == 0, done.stdout
    assert "3 of 3 steps" in done.stdout, done.stdout  # so that there is a record to compare with

    disk = tmp_path / "disk" / "of" / "runs"
    shutil.move(checkout.path / "runs", disk)
    (checkout.path / "runs").symlink_to(disk)
    linked = checkout.snakemake(*SMOKE, "--dry-run", "--", TARGET)
    assert NOTHING in linked.stdout, linked.stdout

    clone = copy_checkout(tmp_path / "elsewhere" / "clone")
    for path in (clone.path / "src").rglob("*.py"):
        path.touch()
    there = ("--directory", str(disk / "smoke"))
    named = clone.snakemake(*SMOKE, "--dry-run", *there, "--", TARGET)
    assert NOTHING in named.stdout, named.stdout

    # Content, and nothing else, is a reason.
    module = clone.path / "src" / "w2dual" / "training" / "run.py"
    module.write_text(module.read_text("utf-8") + "\nADDED = 1\n")
    edited = clone.snakemake(*SMOKE, "--dry-run", *there, "--", TARGET)
    assert trained(edited.stdout) == {CELL}, edited.stdout

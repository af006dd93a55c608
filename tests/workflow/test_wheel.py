"""A wheel built from the repository, in an environment that has no checkout: its commands work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from .conftest import copy_checkout

pytestmark = [pytest.mark.slow, pytest.mark.long]

CELL = "gauss8-icnn_leaky-regression-lbfgs_high_precision"


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to run commands in."""

    programs: Path
    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `w2dual` as a user would."""
        return self.program("w2dual", *arguments)

    def program(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        dropped = ("JAX_NUMPY_RANK_PROMOTION", "PYTHONPATH")
        return subprocess.run(
            [self.programs / name, *arguments],
            cwd=self.folder,
            env={key: value for key, value in os.environ.items() if key not in dropped},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment that sees the packages of this one, but not its editable w2dual.

    A line of a .pth file adds a folder to the path without reading the .pth files in it.
    """
    root = tmp_path_factory.mktemp("wheel")
    checkout = copy_checkout(root / "checkout")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*build, "--wheel-dir", root, checkout.path], check=True)
    (wheel,) = root.glob("w2dual-*.whl")
    venv.create(root / "env", with_pip=False)
    python = root / "env" / "bin" / "python"
    subprocess.run(
        [*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True
    )
    (site,) = (root / "env").glob("lib/python*/site-packages")
    seen = dict.fromkeys(sysconfig.get_paths()[name] for name in ("purelib", "platlib"))
    (site / "libraries.pth").write_text("".join(f"{path}\n" for path in seen), encoding="utf-8")
    (root / "empty").mkdir()
    return Installed(python.parent, root / "empty")


@pytest.fixture(scope="module")
def trained(installed: Installed) -> Path:
    """A tiny cell, made and trained by commands alone: the folder of its files."""
    record = installed.run("cells", CELL)
    assert record.returncode == 0, record.stderr
    cell = json.loads(record.stdout)
    del cell["hash"]
    settings = cell["settings"]
    settings["seeds"] = [0]
    settings["potential"]["hidden"] = settings["amortization_model"]["hidden"] = [8]
    settings["training"] |= {"batch_size": 32, "iterations": 4}
    settings["pretraining"] |= {"iterations": 4, "min_iterations": 2}
    settings["evaluation"] |= {"samples": 16, "history_every": 4, "history_samples": 8}
    settings["logging"] = {"every": 4}
    (installed.folder / "cell.json").write_text(json.dumps(cell), encoding="utf-8")
    laws = {"kind": "synthetic", "source": "gauss_1_small", "target": "gauss_8"}
    prepared = installed.run(
        *("prepare", "--pair", "gauss8", "--settings", json.dumps(laws)),
        *("--out", "gauss8.safetensors"),
    )
    assert prepared.returncode == 0, prepared.stderr
    run = installed.run(
        *("train", "--cell", "cell.json", "--measures", "gauss8.safetensors"),
        *("--preset", '{"name": "wheel", "label": "by hand", "reduced": true}'),
        *(
            "--metrics",
            "metrics.json",
            "--history",
            "history.csv",
            "--params",
            "params.safetensors",
        ),
    )
    assert run.returncode == 0, run.stderr
    return installed.folder


def test_it_is_the_wheel_that_runs(installed: Installed) -> None:
    said = installed.program("python", "-c", "import w2dual; print(w2dual.__file__)")
    assert Path(said.stdout.strip()).is_relative_to(installed.programs.parent), said.stderr


def test_cells_of_the_project_are_listed_without_a_config(installed: Installed) -> None:
    listed = installed.run("cells")
    assert listed.returncode == 0, listed.stderr
    assert {CELL, "hd256-mlp-regression-adam"} <= set(listed.stdout.split())
    assert "config.yaml is not in this folder; " in listed.stderr
    assert "w2dual/shipped/config.yaml is read" in listed.stderr


def test_a_config_of_ones_own_is_read_in_its_place(installed: Installed, trained: Path) -> None:
    own = trained / "config.yaml"
    shipped = next((installed.programs.parent).glob("lib/*/site-packages/w2dual/shipped"))
    text = (shipped / "config.yaml").read_text(encoding="utf-8")
    own.write_text(text.replace("dimensions: [2, 4, 8, 16, 32, 64, 128, 256]", "dimensions: [2]"))
    try:
        listed = installed.run("cells")
    finally:
        own.unlink()
    assert listed.returncode == 0, listed.stderr
    assert "hd2-mlp-regression-adam" in listed.stdout
    assert "hd256" not in listed.stdout
    assert "is not in this folder" not in listed.stderr


def test_a_cell_trains_and_pushes_points(installed: Installed, trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["cell"]["name"] == CELL
    np.save(trained / "mine.npy", np.zeros((3, 2), np.float32))
    run = installed.run(
        *("push", "--map", "forward", "--params", "params.safetensors"),
        *("--points", "mine.npy", "--out", "moved.npy"),
    )
    assert run.returncode == 0, run.stderr
    assert np.load(trained / "moved.npy").shape == (3, 2)


def test_modules_are_checked(installed: Installed) -> None:
    run = installed.run("check", "amortization", "cycle")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("  passed  ") == 8


def test_what_a_run_costs_is_estimated(installed: Installed) -> None:
    run = installed.run("estimate", "--device", "CPU: AMD EPYC")
    assert run.returncode == 0, run.stderr
    assert "w2dual/shipped/reference/costs.csv is read" in run.stderr


def test_published_values_are_at_hand(installed: Installed) -> None:
    said = installed.program(
        "python", "-c", "from w2dual.config import places; print(places.own('config.yaml'))"
    )
    (shipped,) = installed.programs.parent.glob("lib/*/site-packages/w2dual/shipped")
    assert Path(said.stdout.strip()) == shipped / "config.yaml"
    assert (shipped / "tables" / "published" / "hd_mlp.csv").is_file()

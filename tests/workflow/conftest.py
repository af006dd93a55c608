"""Copies of the checkout, and Snakemake in them, so that the working tree stays untouched."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout's files, tracked or not, without what git ignores."""

    path: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake at the copy's root; standard output and error come as one text."""
        # What a user's shell has: not the strictness of these tests, nor the checkout's package.
        dropped = ("JAX_NUMPY_RANK_PROMOTION", "PYTHONPATH", "SNAKEMAKE_PROFILE")
        environment = {key: value for key, value in os.environ.items() if key not in dropped}
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def copy_checkout(to: Path) -> Checkout:
    """Copy the checkout's files to a folder that does not exist yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():  # not one that was deleted and is still in git's index
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return Checkout(to)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy for tests that plan and run nothing."""
    return copy_checkout(tmp_path_factory.mktemp("plan") / "checkout")

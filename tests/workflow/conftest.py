"""Copies of the checkout, and Snakemake in them, so that the working tree stays untouched."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.workflow import forked

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout's files, tracked or not, without what git ignores."""

    path: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake at the copy's root; standard output and error come as one text."""
        return forked.snakemake(arguments, self.path, self._environment())

    def started(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Do the same in a process of its own, as a user does; it takes a second or two more."""
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.path,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        """What a user's shell has: not the strictness of these tests, nor their package."""
        dropped = ("JAX_NUMPY_RANK_PROMOTION", "PYTHONPATH", "SNAKEMAKE_PROFILE")
        return {key: value for key, value in os.environ.items() if key not in dropped}


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

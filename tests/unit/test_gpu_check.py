"""The script of the GPU's checks: what its exit code says of the commands that it runs."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_check.sh"
NOTHING = {"EQUALITY": "", "STEP": "", "SPEED": "", "TRAIN": ""}
PYTHON = """#!/bin/sh
case "$*" in
    *broken*) exit 3 ;;
    *lost*) exit 2 ;;
    *stopped*) exit 124 ;;
esac
"""


def run(folder: Path, **cases: str) -> tuple[int, str]:
    """Return the exit code of all checks, each of a name that a stand-in for Python acts on."""
    python = folder / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    given = {"PYTHON": str(python), "PATH": os.environ["PATH"], "TMPDIR": str(folder)}
    done = subprocess.run(
        ["bash", str(SCRIPT), str(folder), str(folder / "out")],
        env=given | NOTHING | cases,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("cases", "code"),
    [
        ({"EQUALITY": "sound", "TRAIN": "hd2-sound"}, 0),
        ({"EQUALITY": "lost sound", "STEP": "broken", "SPEED": "lost"}, 3),
        ({"TRAIN": "hd2-broken hd2-sound"}, 3),
        ({"EQUALITY": "stopped", "STEP": "lost"}, 124),  # as `timeout` says of a check
        ({"TRAIN": "hd2-stopped"}, 0),  # of a cell that resumes at the next call
    ],
)
def test_the_code_is_the_worst_of_all_commands(tmp_path: Path, cases: dict[str, str], code: int):
    found, said = run(tmp_path, **cases)
    assert found == code
    assert said.splitlines()[-1].endswith("done")  # what follows a failure runs all the same

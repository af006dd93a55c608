"""The pinned environments."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ENVS = Path(__file__).parents[2] / "envs"
LOCKS = ["cpu", "cuda12", "cuda13", "tools", "data"]


def versions(lock: str) -> dict[str, str]:
    return dict(
        re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", (ENVS / f"{lock}.txt").read_text(), re.M)
    )


def test_conda_environment_follows_the_lock() -> None:
    run = subprocess.run(
        [sys.executable, ENVS / "export_conda.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_no_host_is_recorded(lock: str) -> None:
    text = (ENVS / f"{lock}.txt").read_text()
    pins = re.findall(r"^\S+==\S+", text, re.M)
    hashed = re.findall(r"^\S+==.*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.M)
    assert pins
    assert len(hashed) == len(pins)
    assert "//" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("lock", ["cuda12", "cuda13", "tools"])
def test_locks_agree_with_the_cpu_lock(lock: str) -> None:
    cpu, other = versions("cpu"), versions(lock)
    shared = cpu.keys() & other.keys()
    assert shared
    assert {name: other[name] for name in shared} == {name: cpu[name] for name in shared}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_what_is_asked_for(lock: str) -> None:
    lines = (ENVS / f"{lock}.in").read_text().splitlines()
    asked = [re.match(r"[a-z0-9-]+", line) for line in lines if not line.startswith(("#", "-"))]
    assert {match[0] for match in asked if match} <= versions(lock).keys()

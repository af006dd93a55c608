"""Strict numerics on the CPU, programs compiled once, files in memory, and what is left out."""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests import fast, in_memory

from w2dual import environment

# Before any test module imports JAX.
os.environ["JAX_PLATFORMS"] = "cpu"
# Stricter than the jobs that users start.
os.environ["JAX_NUMPY_RANK_PROMOTION"] = environment.OURS["jax_numpy_rank_promotion"] = "raise"
environment.settle()
os.environ["MPLBACKEND"] = "agg"
# Tests compile much and run little: a step compiles five times as fast as with level 0 alone.
_QUICK = {
    "xla_backend_optimization_level": "0",
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": "1",
}
os.environ.setdefault("XLA_FLAGS", " ".join(f"--{key}={value}" for key, value in _QUICK.items()))
_FILES: Path | None = None
# What one process of a run has compiled, the others load: workers of pytest-xdist, which inherit
# the folder, and the jobs that tests start.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _FILES = in_memory.settle()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="w2dual-programs-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# Tracing makes many objects that live; to look through all of them again and again is a 20th of it.
gc.set_threshold(100_000, 50, 100)

_REASONS = {
    "benchmark_weights": "W2BENCHMARK_MIRROR is not set, so the published weights are not at hand",
    "tex": "latexmk is not installed (scripts/install_tex.sh)",
    "crate": "there is no .venv-crate (`make test` makes it)",
    "long": "`make test-long` runs them",
}
_LEFT_OUT = pytest.StashKey[dict[str, int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make check`."""
    words = "leave out files that import JAX (tests/fast.py), and tests marked `slow`"
    parser.addoption("--fast", action="store_true", help=words)
    words = "run the tests marked `long`, and no others; they are left out elsewhere"
    parser.addoption("--long", action="store_true", help=words)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --fast, do not even import the files of tests that compile."""
    found = collection_path.is_file() and collection_path.suffix == ".py"
    return (config.getoption("fast") and found and fast.compiles(collection_path)) or None


def _unavailable() -> list[str]:
    present = {
        "benchmark_weights": bool(os.environ.get("W2BENCHMARK_MIRROR")),
        "tex": shutil.which("latexmk") is not None,
        "crate": (Path(__file__).parents[1] / ".venv-crate" / "bin" / "python").exists(),
    }
    return [marker for marker, there in present.items() if not there]


def _place(item: pytest.Item) -> int:
    here = Path(__file__).parent
    places = (i for i, first in enumerate(fast.FIRST) if item.path.is_relative_to(here / first))
    return next(places, len(fast.FIRST))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, and count, tests for which this machine lacks something. Nothing is skipped.

    Of the rest the long ones come first; within a file the order stays.
    """
    items.sort(key=_place)
    if config.getoption("fast"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    wanted = bool(config.getoption("long"))
    others = [item for item in items if bool(item.get_closest_marker("long")) != wanted]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
    config.stash[_LEFT_OUT] = {"long": len(others)} if others and not wanted else {}
    for marker in _unavailable():
        left_out = [item for item in items if item.get_closest_marker(marker)]
        if left_out:
            config.stash[_LEFT_OUT][marker] = len(left_out)
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In a worker of pytest-xdist: hand the counts to the process that writes the summary."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = session.config.stash.get(_LEFT_OUT, {})
    elif _FILES is not None and exitstatus != pytest.ExitCode.OK:
        atexit.unregister(in_memory.remove)  # to be looked at


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the counts of a worker; each worker collects every test, so all have the same."""
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", {})


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out and why."""
    for marker, count in config.stash.get(_LEFT_OUT, {}).items():
        terminalreporter.write_line(f"left out: {count} tests of `{marker}`: {_REASONS[marker]}")

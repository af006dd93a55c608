"""Settings of a cell as config.yaml has them, for tests that change what they are about."""

from pathlib import Path
from typing import Any

from w2dual.config import load

PAPER = load([Path(__file__).parents[2] / "config.yaml"])


def training(**changes: Any) -> dict[str, Any]:
    """The benchmark's `training` of a cell's settings, with other values for some keys."""
    given = {key: value for key, value in PAPER["hd"]["training"].items() if key != "hidden"}
    return _changed(given, changes)


def pretraining(**changes: Any) -> dict[str, Any]:
    """The benchmark's `pretraining`, with other values for some keys."""
    return _changed(PAPER["hd"]["pretraining"], changes)


def solver(name: str = "lbfgs", **changes: Any) -> dict[str, Any]:
    """A conjugate solver, with other values for some keys."""
    return _changed(PAPER["solvers"][name], changes)


def _changed(given: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    assert changes.keys() <= given.keys()
    return given | changes

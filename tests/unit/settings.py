"""Settings of a cell as config.yaml has them, for tests that change what they are about."""

import copy
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from w2dual.config.reader import load
from w2dual.measures import Pair

PUBLISHED = (2, 4, 8, 16, 32, 64, 128)
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


def benchmark(**changes: Any) -> dict[str, Any]:
    """The config's `measures.benchmark`, small, with no mirror and an address nobody answers at."""
    small = {"url": "http://127.0.0.1:9/nothing", "moment_samples": 4096}
    budget = {"iterations": 60, "batch_size": 64, "pretraining_iterations": 60}
    given = copy.deepcopy(PAPER["measures"]["benchmark"])
    return _changed(_changed(given, {**small, "generated": given["generated"] | budget}), changes)


def published_dimensions() -> list[Any]:
    """Dimensions of the published weights, as parameters of a test.

    All are of one network and one formula: all but the least, one between and a large one are
    left to `make test-long`.
    """
    within = (2, 16, 128)
    return [n if n in within else pytest.param(n, marks=pytest.mark.long) for n in PUBLISHED]


def plane_pair(name: str, settings: Mapping[str, Any]) -> Pair:
    """A pair of the config's `measures.synthetic`, prepared and read again."""
    rest = dict(settings)
    kind = rest.pop("kind")
    made = importlib.import_module(f"w2dual.measures.preparation.{kind}").prepare(name, rest)
    return importlib.import_module(f"w2dual.measures.pairs.{kind}").from_arrays(*made)


def _changed(given: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    assert changes.keys() <= given.keys()
    return given | changes

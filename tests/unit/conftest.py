"""Modules of a user's own, for tests of what is said about them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from w2dual import amortization, conjugate, potentials
from w2dual.measures import pairs
from w2dual.paths import obstacles

IMPORTS = """\
from dataclasses import dataclass
from typing import NamedTuple
import jax, jax.numpy as jnp
from flax import linen as nn
from jax import Array
"""


@pytest.fixture
def write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[ModuleType, str], None]]:
    """Yield a function that puts the module `mine` with a text into a package."""

    def into(package: ModuleType, text: str) -> None:
        name = f"{package.__name__}.mine"
        (tmp_path / "mine.py").write_text(IMPORTS + text, encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delattr(package, "mine", raising=False)
        importlib.invalidate_caches()

    yield into
    for package in (amortization, conjugate, potentials, pairs, obstacles):
        sys.modules.pop(f"{package.__name__}.mine", None)

"""What cells are measured by: one module for each system that has figures of its own.

A module has the name of the system's section and defines `MEASURED`, a `base.Measured`; cells of a
section without one are measured as those of `hd`. A line `HEADLINE = "COLUMN"` names the figure of
progress lines, by which a record of such cells is known; it is read without importing the module,
so that a job depends on the module of its own cells alone.
"""

from __future__ import annotations

import importlib

from w2dual import closure
from w2dual.results.measured.base import Measured

_ROOM = "results.measured"
DEFAULT = "hd"


def kinds() -> list[str]:
    """Return the names of the modules."""
    return closure.modules_with(_ROOM, "MEASURED")


def module_of(section: str) -> str:
    """Return the module, within the package, of how a section's cells are measured."""
    return f"{_ROOM}.{section if section in kinds() else DEFAULT}"


def of(section: str) -> Measured:
    """Return how a section's cells are measured."""
    return importlib.import_module(f"w2dual.{module_of(section)}").MEASURED


def headlines() -> dict[str, str]:
    """Return headline -> the name of the module whose cells have it."""
    found = {closure.constant(f"{_ROOM}.{kind}", "HEADLINE"): kind for kind in kinds()}
    return {column: kind for column, kind in found.items() if column is not None}

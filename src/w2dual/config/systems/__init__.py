"""The systems of the evaluation: one module for each, which has the name of its section.

A module defines `SYSTEM`, a `base.System`, and is found by the listing of this package.
"""

from __future__ import annotations

import importlib

from w2dual import closure
from w2dual.config import schema
from w2dual.config.systems.base import Additions, System
from w2dual.records import InputError

EVERY = "SYSTEM"
"""What each module of this package defines; all of these are imported (`closure.every`)."""


def _found() -> dict[str, System]:
    """Return the systems, in the order in which the schema has their sections."""
    names, sections = closure.every("config.systems"), schema.read()["required"]
    if unknown := [name for name in names if name not in sections]:
        raise InputError(
            f"src/w2dual/config/systems/{unknown[0]}.py: the config has no section of that name; "
            "add one to `required` and `properties` of src/w2dual/config/schema.yaml"
        )
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return {name: modules[name].SYSTEM for name in sorted(names, key=sections.index)}


SYSTEMS = _found()
"""Section of the config -> its system."""
ADDITIONS: dict[str, Additions] = {
    name: system.adds for name, system in SYSTEMS.items() if system.adds is not None
}
"""Section of each system beside the paper's own -> what it adds to a workflow."""

"""Systems beside the paper's own cells, and what the report says of each; one module a system."""

import importlib

from w2dual import closure
from w2dual.config.systems import ADDITIONS
from w2dual.report.systems.base import System

EVERY = "SYSTEM"
"""What each module of this package defines; all of these are imported (`closure.every`)."""
SYSTEMS: tuple[System, ...] = tuple(
    importlib.import_module(f"{__name__}.{name}").SYSTEM
    for name in sorted(closure.every("report.systems"), key=list(ADDITIONS).index)
)
"""In the order of the config's sections, whose names they have."""
BY_KIND = {system.kind: system for system in SYSTEMS}

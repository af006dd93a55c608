"""Systems beside the paper's own cells, and what the report says of each; one module a system."""

from w2dual.report.systems import lagrangian, metric_recovery
from w2dual.report.systems.base import System

SYSTEMS: tuple[System, ...] = (lagrangian.SYSTEM, metric_recovery.SYSTEM)
"""In the report's order."""
BY_KIND = {system.kind: system for system in SYSTEMS}

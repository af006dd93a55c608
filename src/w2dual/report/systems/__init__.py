"""Systems beside the paper's own cells, and what the report says of each; one module a system."""

from w2dual.report.systems import lagrangian, meta_color, meta_sinkhorn, metric_recovery
from w2dual.report.systems.base import System

SYSTEMS: tuple[System, ...] = (
    meta_sinkhorn.SYSTEM,
    meta_color.SYSTEM,
    lagrangian.SYSTEM,
    metric_recovery.SYSTEM,
)
"""In the report's order."""
BY_KIND = {system.kind: system for system in SYSTEMS}

"""Costs of paths through a potential: what the report says of their cells."""

from __future__ import annotations

from w2dual.config.names import words
from w2dual.report import captions
from w2dual.report.latex import escape
from w2dual.report.systems.base import Row, System
from w2dual.results import lagrangian


def setting(row: Row) -> str:
    """Name the setting of a cell, for LaTeX: all settings have one pair of measures."""
    return escape(words(lagrangian.setting_of(str(row["cell"]))))


SYSTEM = System(
    kind="lagrangian",
    title="Lagrangian costs",
    section=captions.LAGRANGIAN_SECTION,
    pair=setting,
    group=lambda row: "Lagrangian costs",
)

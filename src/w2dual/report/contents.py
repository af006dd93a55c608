"""The sections of the report: what is in each, and what is said under each table and figure."""

from __future__ import annotations

from w2dual.config.systems import ADDITIONS
from w2dual.report import captions
from w2dual.report.systems import SYSTEMS
from w2dual.report.systems.base import System
from w2dual.report.tables import settings


def _names(system: System) -> tuple[str, ...]:
    """Return the tables and figures of a system's section."""
    adds = ADDITIONS[system.kind]
    return (*adds.tables, *adds.figures, *adds.own_figures)


SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    *captions.SECTIONS,
    *((system.section, _names(system)) for system in SYSTEMS),
    (captions.SETTINGS_SECTION, tuple(settings.TABLES)),
)
"""Titles, in order, with the tables and figures in them."""
INTRODUCTIONS: dict[str, str] = captions.INTRODUCTIONS | {
    system.section: system.introduction for system in SYSTEMS if system.introduction
}
"""What stands between a section's title and its first table or figure."""
TABLES: dict[str, str] = captions.TABLES | {
    name: text for system in SYSTEMS for name, text in system.tables.items()
}
"""Captions of tables."""
FIGURES: dict[str, str] = captions.FIGURES | {
    name: text for system in SYSTEMS for name, text in system.figures.items()
}
"""Captions of figures."""

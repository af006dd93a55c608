"""Colour transport by Meta OT: what the report says of its cells."""

from __future__ import annotations

import pandas as pd

from w2dual.report import captions
from w2dual.report.systems.base import System
from w2dual.report.tables import meta_color as table


def facts(part: pd.DataFrame) -> list[tuple[str, str]]:
    """Say where the images are from."""
    found = [
        f"a stand-in, {table.STAND_INS[source]}" if source in table.STAND_INS else "the user's own"
        for source in sources(part)
    ]
    return [("Images there", ", ".join(found))]


def warnings(part: pd.DataFrame) -> list[str]:
    """Name the images that are a stand-in."""
    return [line for source in sources(part) for line in table.stand_in(source)]


def sources(part: pd.DataFrame) -> list[str]:
    """Return where the images are from, each once."""
    return list(dict.fromkeys(map(str, part["measures_source"])))


SYSTEM = System(
    kind="meta_color",
    title="Colour transport",
    section=captions.COLOR_SECTION,
    facts=facts,
    warnings=warnings,
)

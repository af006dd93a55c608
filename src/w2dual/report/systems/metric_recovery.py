"""Metrics recovered from samples of successive times: what the report says of their cells."""

from __future__ import annotations

import pandas as pd

from w2dual.config.names import words
from w2dual.report import captions
from w2dual.report.systems.base import System

SOURCES = {"generated": "made here", "file": "of a file"}


def facts(part: pd.DataFrame) -> list[tuple[str, str]]:
    """Say which sets there are, and where their samples are from."""
    made = " and ".join(SOURCES[name] for name in sorted(set(part["measures_source"])))
    sets = ", ".join(words(str(name)) for name in part["pair"].unique())
    return [("Samples there", f"{sets}: {made}")]


SYSTEM = System(
    kind="metric_recovery",
    title="Recovered metrics",
    section=captions.RECOVERY_SECTION,
    facts=facts,
)

"""Meta OT between discrete measures: what the report says of its cells."""

from __future__ import annotations

import pandas as pd

from w2dual.config.names import words
from w2dual.report import captions
from w2dual.report.latex import escape
from w2dual.report.systems.base import System

PACKAGED = "packaged"
"""Source of measures that are a stand-in of an installed package."""


def facts(part: pd.DataFrame) -> list[tuple[str, str]]:
    """Say what the measures are made of."""
    data = [
        f"{words(str(row['pair']))}: "
        + ("a stand-in, packaged" if row["measures_source"] == PACKAGED else "the data itself")
        for row in part.drop_duplicates("pair").to_dict("records")
    ]
    return [("Data there", "; ".join(data))]


def warnings(part: pd.DataFrame) -> list[str]:
    """Name the data that a stand-in is used for."""
    stand_ins = part[part["measures_source"] == PACKAGED]["pair"]
    if not len(stand_ins):
        return []
    named = ", ".join(escape(words(str(pair))) for pair in dict.fromkeys(stand_ins))
    return [
        rf"\textbf{{Stand-in data}} of Meta OT for {named}: what an installed package has, as "
        "the tables and figures say. Values there are not comparable with published ones."
    ]


SYSTEM = System(
    kind="meta_sinkhorn",
    title="Meta OT, discrete",
    section=captions.STARTS_SECTION,
    facts=facts,
    warnings=warnings,
)

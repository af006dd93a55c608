"""What the report needs to know of a system beside the paper's own cells, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from w2dual.config.names import words
from w2dual.report.latex import escape
from w2dual.results.measured.base import Measured

Facts = list[tuple[str, str]]
"""Lines of the first page's table: what, and its value, in words."""
Row = Mapping[str, Any]
"""One row of the metrics."""


def pair_words(row: Row) -> str:
    """Name the pair of measures of a cell, for LaTeX."""
    return escape(words(str(row["pair"])))


def nothing(part: pd.DataFrame) -> Sequence[Any]:
    """Return nothing of the cells."""
    del part
    return ()


@dataclass(frozen=True)
class System:
    """One system's part of the report.

    Attributes:
        kind: of its cells, in the column `kind` of the metrics.
        measured: what its cells are measured by.
        title: what the first page calls it.
        section: title of its section.
        tables: captions of its tables, that of its settings too, ready for LaTeX.
        figures: captions of its figures.
        introduction: what stands between the section's title and its first table or figure.
        facts: from its rows to lines of the first page, besides methods, cells and budget.
        warnings: from its rows to what the first page shows in a box, ready for LaTeX.
        pair: from a row to the name of its pair in the table of runs, for LaTeX.
        group: from a row to the title over its cell's training curves, for LaTeX.
    """

    kind: str
    measured: Measured
    title: str
    section: str
    tables: Mapping[str, str]
    figures: Mapping[str, str]
    introduction: str = ""
    facts: Callable[[pd.DataFrame], Sequence[tuple[str, str]]] = nothing
    warnings: Callable[[pd.DataFrame], Sequence[str]] = nothing
    pair: Callable[[Row], str] = pair_words
    group: Callable[[Row], str] = pair_words

    def part(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of its cells."""
        return frame[frame["kind"] == self.kind]


def methods_in_words(part: pd.DataFrame) -> str:
    """Name the methods of some cells, in their order."""
    return "; ".join(dict.fromkeys(words(str(name)) for name in part["amortization"]))

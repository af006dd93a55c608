"""What a section of the config with cells of its own stands for, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from w2dual.config.cells import Cell
from w2dual.config.schema import Config

Pairs = dict[str, Mapping[str, Any]]
"""Name of a pair of measures -> settings of `prepare`."""


def no_cells(config: Config) -> list[Cell]:
    """Return the cells of a section that has none."""
    del config
    return []


def no_pairs(config: Config) -> Pairs:
    """Return the pairs of a section without cells."""
    del config
    return {}


def nothing(config: Config) -> Sequence[str]:
    """Return no names."""
    del config
    return ()


class Page(NamedTuple):
    """How a table is shown in the report of `snakemake --report`."""

    category: str
    label: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What a system beside the paper's own adds to a workflow whose preset has cells of it.

    Attributes:
        words: its cells, for messages.
        tables: name -> page; made by its own rules, in `rules/SECTION.smk`.
        settings: job that makes its tables -> from the config to what that is told, which the
            commands of an archive have to say.
        figures: modules of `plots` that `w2dual figure` draws, each from all its cells.
        own_figures: those that its own rules draw.
        left_out: from the config to the figures that it does not allow.
        category: of `figures` in that report.
        studies: from the config to the raw files of its studies, that its tables are made of.
        curved: whether each of its cells has a figure of training curves.
    """

    words: str
    tables: Mapping[str, Page]
    settings: Mapping[str, Callable[[Config], dict[str, Any]]]
    figures: tuple[str, ...] = ()
    own_figures: tuple[str, ...] = ()
    left_out: Callable[[Config], Collection[str]] = nothing
    category: str = ""
    studies: Callable[[Config], Sequence[str]] = nothing
    curved: bool = True

    def drawn(self, config: Config) -> list[str]:
        """Return the figures that its own rules draw of a config."""
        left_out = self.left_out(config)
        return [name for name in self.own_figures if name not in left_out]


@dataclass(frozen=True)
class System:
    """A section of the config: one module of this package, which has the section's name.

    Attributes:
        check: of a config that has been checked against the schema; raises InputError, which names
            the key, the value and what would be right.
        cells: of a valid config, in the order of their tables.
        pairs: of measures that those cells are of.
        adds: to the workflow, besides cells; None of the paper's own, whose rules name theirs.
    """

    check: Callable[[Config], None]
    cells: Callable[[Config], list[Cell]] = no_cells
    pairs: Callable[[Config], Pairs] = no_pairs
    adds: Additions | None = None

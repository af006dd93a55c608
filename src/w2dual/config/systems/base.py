"""What a section of the config with cells of its own stands for, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class System:
    """A section of the config: one module of this package, which has the section's name.

    Attributes:
        check: of a config that has been checked against the schema; raises InputError, which names
            the key, the value and what would be right.
        cells: of a valid config, in the order of their tables.
        pairs: of measures that those cells are of.
    """

    check: Callable[[Config], None]
    cells: Callable[[Config], list[Cell]] = no_cells
    pairs: Callable[[Config], Pairs] = no_pairs

"""The grid: one cell for each (measures, potential, method) of a config.

Light: neither JAX nor pandas is imported.
"""

from __future__ import annotations

import difflib
import json

from w2dual.config.cells import Cell
from w2dual.config.schema import Config
from w2dual.config.systems import SYSTEMS
from w2dual.records import InputError


def grid(config: Config) -> list[Cell]:
    """Return all cells of a valid config, system by system."""
    return [cell for name in SYSTEMS for cell in cells_in(name, config)]


def cells_in(section: str, config: Config) -> list[Cell]:
    """Return the cells of a section of a valid config, in the order of their tables."""
    return SYSTEMS[section].cells(config)


def benchmark_grid(config: Config) -> list[Cell]:
    """Return the cells whose measures are the benchmark's: of the paper's methods, and its own."""
    return cells_in("hd", config) + cells_in("baselines", config)


def text(config: Config, name: str | None, source: str) -> str:
    """Return the names of a config's cells, a line each, or the record of one, as JSON.

    Args:
        config: resolved.
        name: of the cell; None for the names of all.
        source: where the config is from, for the message.

    Raises:
        InputError: there is no such cell.
    """
    cells = {cell.name: cell for cell in grid(config)}
    if name is None:
        return "".join(f"{known}\n" for known in cells)
    if name not in cells:
        close = difflib.get_close_matches(name, cells, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"there is no cell {name} in {source}{hint}")
    return json.dumps(cells[name].to_json()) + "\n"

"""How a cell is put together: the settings of its row, of its grid and of its measures.

Light: neither JAX nor pandas is imported.
"""

from __future__ import annotations

from typing import Any

from w2dual.config.cells import Cell
from w2dual.config.rows import Row, budget_of, settings_of
from w2dual.config.schema import Config

PLANE = 2
"""Dimension of the synthetic pairs."""


def hidden_widths(hidden: str | list[int], dimension: int) -> list[int]:
    """Return the hidden widths of both networks; `paper` is [max(2n,64), max(2n,64), max(n,32)]."""
    if isinstance(hidden, str):  # the schema admits `paper` alone
        wide = max(2 * dimension, 64)
        return [wide, wide, max(dimension, 32)]
    return list(hidden)


def untrained(bound: float) -> dict[str, Any]:
    """Return the settings of pre-training, which every cell has, where there is none.

    Args:
        bound: of the points that networks are initialised on.
    """
    no_steps = {"iterations": 0, "learning_rate": 0.0, "tolerance": 0.0, "min_iterations": 0}
    return no_steps | {"bound": bound}


def cell_of(
    config: Config,
    section: str,
    pair: str,
    dimension: int,
    potential: str,
    row: Row,
    hidden: list[int] | None = None,
    model_hidden: list[int] | None = None,
) -> Cell:
    """Gather the settings of a cell; those of its grid are the config's `section`.

    Networks with hidden widths have theirs by the grid, others bring all their settings.
    """
    grid_settings = config[section]
    settings = settings_of(config, row, potential, dimension)
    for part, widths in (("potential", hidden), ("amortization_model", model_hidden)):
        if part in settings and widths is not None:
            settings[part] |= {"hidden": widths}
    training = budget_of(config, row, grid_settings, "training")
    settings |= {
        "seeds": grid_settings["seeds"],
        "training": {key: training[key] for key in training if key not in _WIDTHS},
        "pretraining": budget_of(config, row, grid_settings, "pretraining"),
        "evaluation": grid_settings["evaluation"],
        "logging": grid_settings["logging"],
    }
    name = row.cell_name(pair, potential)
    return Cell(name, pair, dimension, potential, row.amortization, row.solver, settings)


_WIDTHS = ("hidden", "model_hidden")
"""Keys of a grid's `training` that are settings of the networks."""

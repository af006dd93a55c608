"""The grid: one cell for each (measures, potential, amortization, conjugate solver) of a config.

Light: neither JAX nor pandas is imported.
"""

from __future__ import annotations

import difflib
import json
from typing import Any

from w2dual.config.cells import Cell
from w2dual.config.reader import Config, methods
from w2dual.records import InputError

PLANE = 2
"""Dimension of the synthetic pairs."""


def hidden_widths(hidden: str | list[int], dimension: int) -> list[int]:
    """Give the hidden widths of both networks; `paper` is [max(2n,64), max(2n,64), max(n,32)]."""
    if isinstance(hidden, str):  # the schema admits `paper` alone
        wide = max(2 * dimension, 64)
        return [wide, wide, max(dimension, 32)]
    return list(hidden)


def grid(config: Config) -> list[Cell]:
    """Give all cells of a valid config: of the HD benchmark, on the plane, then of CelebA64."""
    return hd_grid(config) + synthetic_grid(config) + celeba64_grid(config)


def hd_grid(config: Config) -> list[Cell]:
    """Give the benchmark's cells by potential, then method in the paper's order, then n."""
    return [
        _hd_cell(config, dimension, potential, method)
        for potential in config["hd"]["potentials"]
        for method in methods(config["hd"])
        for dimension in config["hd"]["dimensions"]
    ]


def _hd_cell(config: Config, dimension: int, potential: str, method: dict[str, str]) -> Cell:
    training = dict(config["hd"]["training"])
    hidden = hidden_widths(training.pop("hidden"), dimension)
    pair = f"hd{dimension}"
    return _cell(config, "hd", pair, dimension, potential, method, training, hidden, hidden)


def synthetic_grid(config: Config) -> list[Cell]:
    """Give the cells on the plane, grid by grid: by pair, then potential, then method."""
    return [
        _synthetic_cell(config, pair, potential, method, part["hidden"])
        for part in config["synthetic"]["grids"]
        for pair in part["pairs"]
        for potential in part["potentials"]
        for method in part["methods"]
    ]


def _synthetic_cell(
    config: Config, pair: str, potential: str, method: dict[str, str], hidden: list[int]
) -> Cell:
    training = dict(config["synthetic"]["training"])
    model_hidden = training.pop("model_hidden")
    return _cell(
        config, "synthetic", pair, PLANE, potential, method, training, hidden, model_hidden
    )


def celeba64_grid(config: Config) -> list[Cell]:
    """Give the cells of CelebA64 by potential, then method in the paper's order, then pair."""
    section = config["celeba64"]
    losses = {
        name: loss | ({"weight": section["cycle_weight"]} if loss["kind"] == "cycle" else {})
        for name, loss in config["amortizations"].items()
    }
    cells = []
    for potential in section["potentials"]:
        model = section["amortization_model"] | {"potential": config["potentials"][potential]}
        own = config | {"amortization_model": model, "amortizations": losses}
        for method in methods(section):
            for generator in section["generators"]:
                where = (f"celeba64_{generator}", section["dimension"])
                training = section["training"]
                cells.append(_cell(own, "celeba64", *where, potential, method, training))
    return cells


def _cell(
    config: Config,
    section: str,
    pair: str,
    dimension: int,
    potential: str,
    method: dict[str, str],
    training: dict[str, Any],
    hidden: list[int] | None = None,
    model_hidden: list[int] | None = None,
) -> Cell:
    """Gather the settings of a cell; those of its grid are the config's `section`.

    Networks with hidden widths have theirs by the grid, others bring all their settings.
    """
    grid_settings, amortization, solver = config[section], method["amortization"], method["solver"]
    settings = {
        "potential": config["potentials"][potential] | _widths(hidden),
        "amortization_model": config["amortization_model"] | _widths(model_hidden),
        "amortization": loss_settings(config, amortization, dimension),
        "solver": config["solvers"][solver],
        "seeds": grid_settings["seeds"],
        "training": training,
        "pretraining": grid_settings["pretraining"],
        "evaluation": grid_settings["evaluation"],
        "logging": grid_settings["logging"],
    }
    name = f"{pair}-{potential}-{amortization}-{solver}"
    return Cell(name, pair, dimension, potential, amortization, solver, settings)


def _widths(hidden: list[int] | None) -> dict[str, Any]:
    return {} if hidden is None else {"hidden": hidden}


def loss_settings(config: Config, amortization: str, dimension: int) -> dict[str, Any]:
    """Return the settings of an amortization loss; a weight `dimension` becomes n."""
    loss = dict(config["amortizations"][amortization])
    if loss.get("weight") == "dimension":
        loss["weight"] = float(dimension)
    return loss


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

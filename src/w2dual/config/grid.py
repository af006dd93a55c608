"""The grid: one cell for each (measures, potential, method) of a config.

Light: neither JAX nor pandas is imported.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any

from w2dual.config.cells import Cell
from w2dual.config.reader import (
    Config,
    color_dimension,
    color_encodings,
    color_pair,
    discrete_sizes,
    discrete_tasks,
)
from w2dual.config.rows import OWN, Row, budget_of, potentials, resolve, rows, settings_of
from w2dual.records import InputError

PLANE = 2
"""Dimension of the synthetic pairs."""


def hidden_widths(hidden: str | list[int], dimension: int) -> list[int]:
    """Return the hidden widths of both networks; `paper` is [max(2n,64), max(2n,64), max(n,32)]."""
    if isinstance(hidden, str):  # the schema admits `paper` alone
        wide = max(2 * dimension, 64)
        return [wide, wide, max(dimension, 32)]
    return list(hidden)


def grid(config: Config) -> list[Cell]:
    """Return all cells of a valid config, section by section.

    The paper's systems: the benchmark's, on the plane, of CelebA64. Those of the talk: starts of
    entropic transport, colour transport, Lagrangian costs, recovered metrics.
    """
    on_images = celeba64_grid(config) + celeba64_baselines_grid(config)
    cells = benchmark_grid(config) + synthetic_grid(config) + on_images
    cells += meta_sinkhorn_grid(config) + meta_color_grid(config)
    return cells + lagrangian_grid(config) + metric_recovery_grid(config)


def benchmark_grid(config: Config) -> list[Cell]:
    """Return the cells whose measures are the benchmark's: of the paper's methods, and its own."""
    return hd_grid(config) + baselines_grid(config)


def hd_grid(
    config: Config, wanted: Callable[[int, str, Row], bool] = lambda *_: True
) -> list[Cell]:
    """Return the benchmark's cells by potential, then row of its table, then n.

    Args:
        config: a valid config.
        wanted: of n, potential and row, whether there is to be a cell.
    """
    section = config["hd"]
    return [
        _hd_cell(config, dimension, potential, row)
        for potential in potentials(config, section)
        for row in rows(config, section)
        if potential in row.potentials
        for dimension in section["dimensions"]
        if wanted(dimension, potential, row)
    ]


def baselines_grid(config: Config) -> list[Cell]:
    """Return the cells of the benchmark's own methods, by row of their table, then n."""
    section = config["baselines"]
    return [
        _hd_cell(config, dimension, potential, row, "baselines")
        for row in rows(config, section)
        for potential in row.potentials
        for dimension in section["dimensions"]
    ]


def _hd_cell(config: Config, dimension: int, potential: str, row: Row, section: str = "hd") -> Cell:
    training = budget_of(config, row, config[section], "training")
    hidden = hidden_widths(training["hidden"], dimension)
    return _cell(config, section, f"hd{dimension}", dimension, potential, row, hidden, hidden)


def synthetic_grid(config: Config) -> list[Cell]:
    """Return the cells on the plane, grid by grid: by pair, then potential, then row."""
    model_hidden = config["synthetic"]["training"]["model_hidden"]
    return [
        _cell(
            config,
            "synthetic",
            pair,
            PLANE,
            potential,
            row,
            hidden_widths(budget_of(config, row, {"training": part}, "training")["hidden"], PLANE),
            model_hidden,
        )
        for part in config["synthetic"]["grids"]
        for pair in part["pairs"]
        for potential in potentials(config, part)
        for row in rows(config, part)
        if potential in row.potentials
    ]


def celeba64_grid(config: Config) -> list[Cell]:
    """Return the cells of CelebA64 by potential, then row of its table, then pair."""
    section = config["celeba64"]
    losses = {
        name: loss | ({"weight": section["cycle_weight"]} if loss["kind"] == "cycle" else {})
        for name, loss in config["amortizations"].items()
    }
    cells = []
    for potential in potentials(config, section):
        # Rows of images name no method, which alone could go without one of the config's.
        model = section["amortization_model"] | {"potential": config["potentials"][potential]}
        own = config | {"amortization_model": model, "amortizations": losses}
        cells += [
            _cell(own, "celeba64", f"celeba64_{name}", section["dimension"], potential, row)
            for row in rows(config, section)
            if potential in row.potentials
            for name in section["generators"]
        ]
    return cells


def celeba64_baselines_grid(config: Config) -> list[Cell]:
    """Return the cells of the benchmark's own methods on CelebA64, by row, then pair."""
    section, images = config["celeba64_baselines"], config["celeba64"]
    return [
        _cell(
            config,
            "celeba64_baselines",
            f"celeba64_{name}",
            images["dimension"],
            potential,
            row,
        )
        for row in rows(config, section)
        for potential in row.potentials
        for name in images["generators"]
    ]


def lagrangian_grid(config: Config) -> list[Cell]:
    """Return the cells of Lagrangian costs by row of their table, then setting."""
    section = config["lagrangian"]
    return [
        _lagrangian_cell(config, row, setting, settings)
        for row in rows(config, section)
        for setting, settings in section["settings"].items()
        if settings is not None
    ]


def _lagrangian_cell(config: Config, row: Row, setting: str, chosen: Mapping[str, Any]) -> Cell:
    """Gather the settings of a cell: those of its row, and the obstacle of its setting."""
    section = config["lagrangian"]
    # No network is pre-trained; the bound is that of the points they are initialised on.
    no_steps = {"iterations": 0, "learning_rate": 0.0, "tolerance": 0.0, "min_iterations": 0}
    grid_settings = section | {"pretraining": no_steps | {"bound": chosen["bound"]}}
    potential, hidden = row.potentials[0], section["training"]["hidden"]
    name = row.cell_name(f"lagrangian_{setting}", potential)
    cell = _cell(
        config | {"lagrangian": grid_settings},
        *("lagrangian", section["pair"], PLANE, potential, row, hidden, hidden),
    )
    own = {key: chosen[key] for key in ("strength", "temperature")}
    own |= {key: chosen[key] for key in ("start_strength", "start_temperature")}
    method = cell.settings["method"]
    action = {"action": method["action"] | own} if "action" in method else own
    changed = method | {"bound": chosen["bound"]} | action
    settings = cell.settings | {"method": changed, "obstacle": chosen["obstacle"]}
    return dataclasses.replace(cell, name=name, settings=settings)


def metric_recovery_grid(config: Config) -> list[Cell]:
    """Return the cells that recover a metric, by row of their table, then set."""
    section = config["metric_recovery"]
    return [
        _metric_recovery_cell(config, row, name)
        for row in rows(config, section)
        for name in section["sets"]
    ]


def _metric_recovery_cell(config: Config, row: Row, name: str) -> Cell:
    """Gather the settings of a cell: those of its row, and what its set says of its samples.

    A point is a row through the times, and a step takes all samples; nothing is pre-trained.
    """
    section, chosen = config["metric_recovery"], config["measures"]["snapshots"][name]
    side = max(abs(end) for pair in chosen["bounds"] for end in pair)
    no_steps = {"iterations": 0, "learning_rate": 0.0, "tolerance": 0.0, "min_iterations": 0}
    points = section["evaluation"]["grid"] ** 2
    grid_settings = section | {
        "pretraining": no_steps | {"bound": side},
        "training": section["training"] | {"batch_size": chosen["samples"]},
        "evaluation": section["evaluation"] | {"samples": points, "history_samples": points},
    }
    dimension, hidden = PLANE * (chosen["times"] - 1), section["training"]["hidden"]
    cell = _cell(
        config | {"metric_recovery": grid_settings},
        *("metric_recovery", name, dimension, row.potentials[0], row, hidden, hidden),
    )
    method = cell.settings["method"] | {"bounds": chosen["bounds"]}
    return dataclasses.replace(cell, settings=cell.settings | {"method": method})


UNTRAINED = {
    "iterations": 1,
    "learning_rate": 1.0e-3,
    "bound": 1.0,
    "tolerance": 1.0e-6,
    "min_iterations": 0,
}
"""Settings of pre-training, which every cell has, where there is none."""


def meta_sinkhorn_grid(config: Config) -> list[Cell]:
    """Return the cells of Meta OT between discrete measures, by task, then row of its table."""
    section = {**config["meta_sinkhorn"], "pretraining": UNTRAINED}
    cells = []
    for task in discrete_tasks(config):
        rows_of, columns_of = discrete_sizes(config["measures"]["discrete"][task])
        own = {**config, "meta_sinkhorn": section}
        for row in rows(config, section):
            entry = config["methods"][row.method] | {"targets": columns_of}
            with_size = own | {"methods": config["methods"] | {row.method: entry}}
            cells.append(_cell(with_size, "meta_sinkhorn", task, rows_of, OWN, row))
    return cells


def meta_color_grid(config: Config) -> list[Cell]:
    """Return the cells of colour transport, by row of its table; none where there are no images."""
    palettes = config["measures"]["palettes"]
    cells = []
    for method, encoding in color_encodings(config).items():
        entry = config["methods"][method] | {"points": palettes["points"]}
        own = config | {"methods": config["methods"] | {method: entry}}
        row = resolve(own, config["meta_color"], {"method": method}, "meta_color.methods")
        n = color_dimension(encoding, palettes)
        cells.append(_cell(own, "meta_color", color_pair(encoding), n, OWN, row))
    return cells


def _cell(
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

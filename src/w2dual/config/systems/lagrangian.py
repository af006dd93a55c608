"""Costs of paths through a potential: a cell for each setting and method."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from w2dual.config import schema
from w2dual.config.arguments import budget, spent_on_cells
from w2dual.config.assembly import PLANE, cell_of, untrained
from w2dual.config.cells import Cell, random_map
from w2dual.config.rows import Row, check_known, check_rows, for_name, methods, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import Additions, Page, Pairs, System
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the settings, and that the methods of the rows take their costs."""
    section = config["lagrangian"]
    check_known(config["measures"], "lagrangian.pair", section["pair"], "synthetic", "measures.")
    for name, settings in section["settings"].items():
        if settings is None:
            continue
        where = f"lagrangian.settings.{name}.obstacle"
        schema.check_kind(settings["obstacle"], "obstacles", where)
    for row in check_rows(config, "lagrangian", section):
        entry = config["methods"].get(row.method, {})
        for name in entry.get("by_setting", {}):
            where = f"methods.{row.method}.by_setting"
            check_known(section, where, name, "settings", "lagrangian.")
        cost = entry.get("cost")
        if not row.method or cost not in (None, "action"):
            raise InputError(
                f"config key `lagrangian.methods`: the method `{row.amortization}` has the cost "
                f"{cost!r}; expected one of `methods` whose `cost` is `action`"
            )
        if len(row.potentials) != 1:
            raise InputError(
                f"config key `methods.{row.method}` lacks `potential`, which a row of `lagrangian` "
                "needs"
            )


def cells(config: Config) -> list[Cell]:
    """Return the cells by row of their table, then setting."""
    section = config["lagrangian"]
    return [
        _cell(config, row, setting, settings)
        for row in rows(config, section)
        for setting, settings in section["settings"].items()
        if settings is not None
    ]


def _cell(config: Config, row: Row, setting: str, chosen: Mapping[str, Any]) -> Cell:
    """Gather the settings of a cell: those of its row, and the obstacle of its setting.

    What a method's `by_setting` says of the setting goes before its other settings. A method that
    has no `action` gets the obstacle at full strength alone: it anneals none.
    """
    section = config["lagrangian"]
    # The bound is that of the points that networks are initialised on.
    grid_settings = section | {"pretraining": untrained(chosen["bound"])}
    potential, hidden = row.potentials[0], section["training"]["hidden"]
    name = row.cell_name(f"lagrangian_{setting}", potential)
    cell = cell_of(
        config | {"lagrangian": grid_settings},
        *("lagrangian", section["pair"], PLANE, potential, row, hidden, hidden),
    )
    own = {key: chosen[key] for key in ("strength", "temperature")}
    method = for_name(cell.settings["method"], "by_setting", setting)
    if "action" in method:
        own |= {key: chosen[key] for key in ("start_strength", "start_temperature")}
        own = {"action": method["action"] | own}
    changed = method | {"bound": chosen["bound"]} | own
    settings = cell.settings | {"method": changed, "obstacle": chosen["obstacle"]}
    return dataclasses.replace(cell, name=name, settings=settings)


def pairs(config: Config) -> Pairs:
    """Return the one pair of all settings."""
    name = config["lagrangian"]["pair"]
    known = config["measures"]["synthetic"]
    return {name: known[name]} if methods(config["lagrangian"]) else {}


def table(config: Config) -> dict[str, Any]:
    """Return how to print the table of Lagrangian costs, and how its numbers were made."""
    section = config["lagrangian"]
    evaluation, own = section["evaluation"], rows(config, section)
    return {
        "settings": [name for name, chosen in section["settings"].items() if chosen is not None],
        "methods": [row.amortization for row in own],
        "random": [row.amortization for row in own if random_map(row.kind)],
        "published_samples": evaluation["published_samples"],
        "published_epsilon": evaluation["published_epsilon"],
        "cost_samples": evaluation["cost_samples"],
        "alpha": config["verdict"]["alpha"],
        "preset": config["preset"],
        "budget": budget(section, spent_on_cells(cells(config))),
    }


ADDS = Additions(
    words="cells of Lagrangian costs",
    tables={
        "lagrangian": Page(
            "Lagrangian costs",
            "errors and costs",
            "Marginal errors of maps of Lagrangian costs, next to the published values and to the "
            "floor of a perfect map, and what paths cost.",
        ),
        "claims_lagrangian": Page(
            "Lagrangian costs",
            "claims",
            "What the talk says of Lagrangian costs, with the comparisons that support or "
            "contradict it.",
        ),
    },
    settings={"lagrangian-table": table},
    figures=("lagrangian_paths",),
    category="Lagrangian costs",
)
SYSTEM = System(check, cells, pairs, ADDS)

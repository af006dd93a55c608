"""Costs of paths through a potential: a cell for each setting and method."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from w2dual.config import schema
from w2dual.config.assembly import PLANE, cell_of, untrained
from w2dual.config.cells import Cell
from w2dual.config.rows import Row, check_known, check_rows, methods, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import Pairs, System
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
        cost = config["methods"].get(row.method, {}).get("cost")
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
    """Gather the settings of a cell: those of its row, and the obstacle of its setting."""
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
    own |= {key: chosen[key] for key in ("start_strength", "start_temperature")}
    method = cell.settings["method"]
    action = {"action": method["action"] | own} if "action" in method else own
    changed = method | {"bound": chosen["bound"]} | action
    settings = cell.settings | {"method": changed, "obstacle": chosen["obstacle"]}
    return dataclasses.replace(cell, name=name, settings=settings)


def pairs(config: Config) -> Pairs:
    """Return the one pair of all settings."""
    name = config["lagrangian"]["pair"]
    known = config["measures"]["synthetic"]
    return {name: known[name]} if methods(config["lagrangian"]) else {}


SYSTEM = System(check, cells, pairs)

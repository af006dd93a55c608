"""Recovery of the metric that a population moves under, from samples at successive times."""

from __future__ import annotations

import dataclasses

from w2dual.config.assembly import PLANE, cell_of, untrained
from w2dual.config.cells import Cell
from w2dual.config.rows import Row, check_known, check_rows, methods, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import Pairs, System
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the sets whose metrics are recovered, and that each method of a row learns one."""
    section, measures = config["metric_recovery"], config["measures"]
    for key in ("sets", "weights"):
        for name in section[key]:
            check_known(measures, f"metric_recovery.{key}", name, "snapshots", "measures.")
    for name, settings in measures["snapshots"].items():
        where = f"config key `measures.snapshots.{name}"
        if name in measures["synthetic"]:
            raise InputError(f"{where}`: `measures.synthetic` has the same name; take another")
        if not all(low < high for low, high in settings["bounds"]):
            raise InputError(
                f"{where}.bounds`: {settings['bounds']} hold no rectangle; expected "
                "[[low, high], [low, high]]"
            )
    for row in check_rows(config, "metric_recovery", section):
        if not row.method or len(row.potentials) != 1:
            raise InputError(
                f"config key `metric_recovery.methods`: {row.amortization} names no potential of "
                "its own; expected one of `methods` that does, such as `metric_recovery`"
            )


def cells(config: Config) -> list[Cell]:
    """Return the cells by row of their table, then set."""
    section = config["metric_recovery"]
    return [_cell(config, row, name) for row in rows(config, section) for name in section["sets"]]


def _cell(config: Config, row: Row, name: str) -> Cell:
    """Gather the settings of a cell: those of its row, and what its set says of its samples.

    A point is a row through the times, and a step takes all samples; nothing is pre-trained.
    """
    section, chosen = config["metric_recovery"], config["measures"]["snapshots"][name]
    side = max(abs(end) for pair in chosen["bounds"] for end in pair)
    points = section["evaluation"]["grid"] ** 2
    grid_settings = section | {
        "pretraining": untrained(side),
        "training": section["training"] | {"batch_size": chosen["samples"]},
        "evaluation": section["evaluation"] | {"samples": points, "history_samples": points},
    }
    dimension, hidden = PLANE * (chosen["times"] - 1), section["training"]["hidden"]
    cell = cell_of(
        config | {"metric_recovery": grid_settings},
        *("metric_recovery", name, dimension, row.potentials[0], row, hidden, hidden),
    )
    method = cell.settings["method"] | {"bounds": chosen["bounds"]}
    return dataclasses.replace(cell, settings=cell.settings | {"method": method})


def pairs(config: Config) -> Pairs:
    """Return the sets of samples."""
    section, known = config["metric_recovery"], config["measures"]["snapshots"]
    names = section["sets"] if methods(section) else ()
    return {name: {"kind": "snapshots"} | known[name] for name in names}


SYSTEM = System(check, cells, pairs)

"""Recovery of the metric that a population moves under, from samples at successive times."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from w2dual.config.arguments import budget, spent_on_cells
from w2dual.config.assembly import PLANE, cell_of, untrained
from w2dual.config.cells import Cell
from w2dual.config.rows import Row, check_known, check_rows, for_name, methods, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import Additions, Page, Pairs, System
from w2dual.records import InputError

BASELINE = "scarvelis"
"""Kind of method whose rows are of those that the talk's claim compares with."""


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
        for name in config["methods"][row.method].get("by_set", {}):
            check_known(measures, f"methods.{row.method}.by_set", name, "snapshots", "measures.")


def cells(config: Config) -> list[Cell]:
    """Return the cells by row of their table, then set."""
    section = config["metric_recovery"]
    return [_cell(config, row, name) for row in rows(config, section) for name in section["sets"]]


def _cell(config: Config, row: Row, name: str) -> Cell:
    """Gather the settings of a cell: those of its row, and what its set says of its samples.

    A point is a row through the times, and a step takes all samples; nothing is pre-trained. What a
    method's `by_set` says of the set goes before its other settings and its training's.
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
    method = for_name(cell.settings["method"], "by_set", name) | {"bounds": chosen["bounds"]}
    training = cell.settings["training"] | method.pop("training", {})
    settings = cell.settings | {"method": method, "training": training}
    return dataclasses.replace(cell, settings=settings)


def pairs(config: Config) -> Pairs:
    """Return the sets of samples."""
    section, known = config["metric_recovery"], config["measures"]["snapshots"]
    names = section["sets"] if methods(section) else ()
    return {name: {"kind": "snapshots"} | known[name] for name in names}


def table(config: Config) -> dict[str, Any]:
    """Return how to print the table of recovered metrics, and how its numbers were made."""
    section = config["metric_recovery"]
    sets = {name: config["measures"]["snapshots"][name] for name in section["sets"]}
    own, trained, steps = rows(config, section), cells(config), {}
    for cell in trained:
        steps.setdefault(cell.amortization, {})[cell.pair] = cell.training.iterations
    most = max(chosen["samples"] for chosen in sets.values())
    common = {
        "training": section["training"] | {"batch_size": most},
        "evaluation": {"samples": section["evaluation"]["grid"] ** 2},
    }
    return {
        "sets": list(sets),
        "methods": [row.amortization for row in own],
        "baselines": [row.amortization for row in own if row.kind == BASELINE],
        "steps": steps,
        "grid": section["evaluation"]["grid"],
        "preset": config["preset"],
        "budget": budget(section | common, spent_on_cells(trained)),
    }


def scored_weights(config: Config) -> dict[str, str]:
    """Return the weights of others' metrics that a config names, by their set."""
    section = config["metric_recovery"]
    named = {name: path for name, path in section["weights"].items() if path is not None}
    return {name: named[name] for name in section["sets"] if name in named}


def studies(config: Config) -> list[str]:
    """Return the file of scores of others' metrics, where weights are named."""
    return ["results/scores/metric_recovery.csv"] if scored_weights(config) else []


def score_metrics(config: Config, files: Mapping[str, str]) -> dict[str, Any]:
    """Return what scores weights of others' metrics; `files` are those of each set."""
    keys = ("truth", "bounds")
    sets = {
        name: {"file": path} | {key: config["measures"]["snapshots"][name][key] for key in keys}
        for name, path in files.items()
    }
    return {"sets": sets, "grid": config["metric_recovery"]["evaluation"]["grid"]}


ADDS = Additions(
    words="cells that recover a metric",
    tables={
        "metric_recovery": Page(
            "Lagrangian costs",
            "recovered metrics",
            "Alignment of recovered metrics with the true ones, next to the published scores and "
            "to chance.",
        ),
    },
    settings={"metric-recovery-table": table},
    figures=("metric_fields", "metric_paths"),
    category="Lagrangian costs",
    studies=studies,
    curved=False,
)
SYSTEM = System(check, cells, pairs, ADDS)

"""What the config gives each job, as plain values: the parameters of the rules.

Only what a job reads is in its value, so that a change of anything else reruns nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from w2dual.config import places
from w2dual.config.cells import Cell, conjugates
from w2dual.config.rows import Row, budget_of, potentials, rows
from w2dual.config.schema import Config

Training = Mapping[str, Any]
Spent = tuple[str, str, Training]
"""How tables tell a row apart, by its loss and its solver; and its `training`."""
_SPENT = ("iterations", "batch_size", "seeds_at_once")


def budget(grid: Mapping[str, Any], spent: Iterable[Spent]) -> dict[str, Any]:
    """Return how much was spent on the cells of a grid.

    Args:
        grid: of the config.
        spent: on each of its rows or cells. They are part of it, each once, unless all of them have
            what the grid has.
    """
    found = {
        **_spent(grid["training"]),
        "seeds": grid["seeds"],
        "evaluation_samples": grid["evaluation"]["samples"],
    }
    own = [
        {"amortization": amortization, "solver": solver} | _spent(training)
        for amortization, solver, training in spent
    ]
    if any(row.get(key) != found.get(key) for row in own for key in _SPENT):
        found["row_budgets"] = [row for place, row in enumerate(own) if row not in own[:place]]
    return found


def _spent(training: Training) -> dict[str, Any]:
    """Return what of a training tables say, without `seeds_at_once` where it is all seeds."""
    return {key: training[key] for key in _SPENT if training.get(key) is not None}


def spent_on_rows(
    config: Config, section: Mapping[str, Any], found: Iterable[Row]
) -> Iterator[Spent]:
    """Return what is spent on rows of a section of the config."""
    for row in found:
        yield row.amortization, row.solver, budget_of(config, row, section, "training")


def spent_on_cells(cells: Iterable[Cell]) -> Iterator[Spent]:
    """Return what is spent on cells."""
    for cell in cells:
        yield cell.amortization, cell.solver, cell.settings["training"]


def _budget(config: Config, section: str) -> dict[str, Any]:
    """Return how much was spent on the cells of a section of rows."""
    grid = config[section]
    return budget(grid, spent_on_rows(config, grid, rows(config, grid)))


def table(config: Config) -> dict[str, Any]:
    """Return how to print a table of the benchmark, and how its numbers were made."""
    return {
        "dimensions": config["hd"]["dimensions"],
        "methods": _rows(config, "hd"),
        "decimals": config["tables"]["decimals"],
        "diverged_above": config["tables"]["diverged_above"],
        "preset": config["preset"],
        "budget": _budget(config, "hd"),
    }


def baselines_table(config: Config) -> dict[str, Any]:
    """Return how to print and judge the benchmark's own methods, and how they were trained."""
    section = config["baselines"]
    return verdict(config) | {
        "dimensions": section["dimensions"],
        "methods": _rows(config, "baselines"),
        "budget": _budget(config, "baselines"),
    }


def _rows(config: Config, section: str) -> list[dict[str, Any]]:
    """Return how a table tells its rows apart, and of those not in all tables which have them."""
    tables = potentials(config, config[section])
    found = []
    for row in rows(config, config[section]):
        record: dict[str, Any] = {"amortization": row.amortization, "solver": row.solver}
        if list(row.potentials) != tables:
            record["potentials"] = list(row.potentials)
        found.append(record)
    return found


def _own_rows(config: Config, section: str) -> list[dict[str, str]]:
    """Return how a table tells the cells of the benchmark's own methods apart."""
    return [
        {"potential": potential, "amortization": row.amortization, "solver": row.solver}
        for row in rows(config, config[section])
        for potential in row.potentials
    ]


def synthetic_table(config: Config) -> dict[str, Any]:
    """Return how to print the table of the plane, and how its numbers were made."""
    section = config["synthetic"]
    own = [row for part in section["grids"] for row in rows(config, part)]
    return {
        "epsilon": section["evaluation"]["epsilon"],
        "preset": config["preset"],
        "budget": budget(section, spent_on_rows(config, section, own)),
    }


def settings_table(config: Config, section: str) -> dict[str, Any]:
    """Return the part of the config that a table of settings shows, and the preset's name."""
    shared = ("preset", "potentials", "amortization_model", "amortizations", "solvers")
    shown = {key: value for key, value in config[section].items() if key != "figures"}
    own = {"methods": config["methods"]} if config.get("methods") else {}
    return places.named_alone({key: config[key] for key in shared} | own | {section: shown})


def verdict(config: Config) -> dict[str, Any]:
    """Return how the cells are judged, and the table's settings."""
    return table(config) | {"verdict": config["verdict"]}


def celeba64_table(config: Config) -> dict[str, Any]:
    """Return how to print the tables of CelebA64 and judge its cells; how its numbers were made."""
    section = config["celeba64"]
    return {
        "generators": section["generators"],
        "dimensions": [section["dimension"]],
        "methods": _rows(config, "celeba64"),
        "decimals": config["tables"]["decimals"],
        "diverged_above": config["tables"]["diverged_above"],
        "preset": config["preset"],
        "budget": _budget(config, "celeba64"),
        "verdict": config["verdict"],
        "baselines": {
            "methods": _own_rows(config, "celeba64_baselines"),
            "seeds": config["celeba64_baselines"]["seeds"],
        },
    }


def report(config: Config, synthetic_cells: Sequence[str]) -> dict[str, Any]:
    """Return what the first page says, and the order of the cells."""
    plane = synthetic_table(config) | {"cells": list(synthetic_cells)}
    images = celeba64_table(config) if config["celeba64"]["generators"] else None
    own = config["baselines"]
    trainings = [budget_of(config, row, own, "training") for row in rows(config, own)]
    return table(config) | {
        "potentials": potentials(config, config["hd"]),
        "plane": plane,
        "images": images,
        "baselines_batch_sizes": sorted({training["batch_size"] for training in trainings}),
    }


def conjugation_study(config: Config, section: str = "hd") -> dict[str, Any]:
    """Return what the study of a cell's conjugations needs; the cell is of a section's grid.

    Of images it takes as many as the history's evaluations: L-BFGS keeps 20 of each.
    """
    study = config["conjugation"]
    samples = "history_samples" if section == "celeba64" else "samples"
    return {
        "lbfgs": config["solvers"][study["lbfgs"]],
        "adam": config["solvers"][study["adam"]],
        "points": study["points"],
        "samples": config[section]["evaluation"][samples],
    }


def line_search(config: Config, name: str) -> dict[str, Any]:
    """Return what a study of line searches needs, `lbfgs_line_search` or `wolfe_vs_armijo`."""
    study = config["conjugation"]
    settings = study["line_search" if name == "lbfgs_line_search" else name]
    chosen = {key: settings[key] for key in settings if key not in ("dimension", "potential")}
    return chosen | study["timing"] | {"lbfgs": config["solvers"][study["lbfgs"]]}


def cells_of_figure(figure: Mapping[str, Any], cells: Iterable[Cell]) -> list[str]:
    """Return the cells that a figure shows: of each of its pairs the first with its potential.

    Its cells are of the method `dual`, not reversed: figures draw its potentials and conjugates.
    """
    known = [
        cell
        for cell in cells
        if cell.potential == figure["potential"] and conjugates(cell.settings)
    ]
    return [next(cell.name for cell in known if cell.pair == pair) for pair in figure["pairs"]]


FILES = {"images": ("source", "target"), "snapshots": ("file",)}
"""Kind of pair -> its settings that name files."""


def image_files(pair: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that a pair is made of, as the config names them, by their setting."""
    return {key: pair[key] for key in FILES.get(pair["kind"], ()) if pair[key] is not None}


def trains(pair: Mapping[str, Any]) -> bool:
    """Return whether preparing a pair takes a GPU: to train one, or for images' moments."""
    return "generated" in pair.get("sources", []) or pair["kind"] == "celeba64"

"""What the config gives each job, as plain values: the parameters of the rules.

Only what a job reads is in its value, so that a change of anything else reruns nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from w2dual.config.cells import Cell, conjugates, random_map
from w2dual.config.reader import Config, discrete_tasks
from w2dual.config.rows import budget_of, potentials, rows


def budget(grid: Mapping[str, Any]) -> dict[str, Any]:
    """Return how much was spent on the cells of a grid."""
    return {
        "iterations": grid["training"]["iterations"],
        "batch_size": grid["training"]["batch_size"],
        "seeds": grid["seeds"],
        "evaluation_samples": grid["evaluation"]["samples"],
    }


def table(config: Config) -> dict[str, Any]:
    """Return how to print a table of the benchmark, and how its numbers were made."""
    return {
        "dimensions": config["hd"]["dimensions"],
        "methods": _rows(config, "hd"),
        "decimals": config["tables"]["decimals"],
        "diverged_above": config["tables"]["diverged_above"],
        "preset": config["preset"],
        "budget": budget(config["hd"]),
    }


def baselines_table(config: Config) -> dict[str, Any]:
    """Return how to print and judge the benchmark's own methods, and how they were trained."""
    section = config["baselines"]
    return verdict(config) | {
        "dimensions": section["dimensions"],
        "methods": _rows(config, "baselines"),
        "budget": budget(section),
    }


def _rows(config: Config, section: str) -> list[dict[str, Any]]:
    """Return how a table tells its rows apart, and which tables have them, unless all have."""
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
    return {
        "epsilon": config["synthetic"]["evaluation"]["epsilon"],
        "preset": config["preset"],
        "budget": budget(config["synthetic"]),
    }


def settings_table(config: Config, section: str) -> dict[str, Any]:
    """Return the part of the config that a table of settings shows, and the preset's name."""
    shared = ("preset", "potentials", "amortization_model", "amortizations", "solvers")
    shown = {key: value for key, value in config[section].items() if key != "figures"}
    own = {"methods": config["methods"]} if config.get("methods") else {}
    return {key: config[key] for key in shared} | own | {section: shown}


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
        "budget": budget(section),
        "verdict": config["verdict"],
        "baselines": {
            "methods": _own_rows(config, "celeba64_baselines"),
            "seeds": config["celeba64_baselines"]["seeds"],
        },
    }


def lagrangian_table(config: Config) -> dict[str, Any]:
    """Return how to print the table of Lagrangian costs, and how its numbers were made."""
    section = config["lagrangian"]
    evaluation, own = section["evaluation"], rows(config, section)
    # What all rows have in common, where they have; the table says the steps of each.
    spent = [budget_of(config, row, section, "training") for row in own]
    training = (
        spent[0] if spent and all(item == spent[0] for item in spent) else section["training"]
    )
    return {
        "settings": [name for name, chosen in section["settings"].items() if chosen is not None],
        "methods": [row.amortization for row in own],
        "random": [row.amortization for row in own if random_map(row.kind)],
        "published_samples": evaluation["published_samples"],
        "published_epsilon": evaluation["published_epsilon"],
        "cost_samples": evaluation["cost_samples"],
        "alpha": config["verdict"]["alpha"],
        "preset": config["preset"],
        "budget": budget(section | {"training": training}),
    }


def metric_recovery_table(config: Config) -> dict[str, Any]:
    """Return how to print the table of recovered metrics, and how its numbers were made."""
    section = config["metric_recovery"]
    sets = {name: config["measures"]["snapshots"][name] for name in section["sets"]}
    return {
        "sets": list(sets),
        "methods": [row.amortization for row in rows(config, section)],
        "grid": section["evaluation"]["grid"],
        "preset": config["preset"],
        "budget": {
            "iterations": section["training"]["iterations"],
            "batch_size": max(chosen["samples"] for chosen in sets.values()),
            "seeds": section["seeds"],
            "evaluation_samples": section["evaluation"]["grid"] ** 2,
        },
    }


def scored_weights(config: Config) -> dict[str, str]:
    """Return the weights of others' metrics that a config names, by their set."""
    section = config["metric_recovery"]
    named = {name: path for name, path in section["weights"].items() if path is not None}
    return {name: named[name] for name in section["sets"] if name in named}


def score_metrics(config: Config, files: Mapping[str, str]) -> dict[str, Any]:
    """Return what scores weights of others' metrics; `files` are those of each set."""
    keys = ("truth", "bounds")
    sets = {
        name: {"file": path} | {key: config["measures"]["snapshots"][name][key] for key in keys}
        for name, path in files.items()
    }
    return {"sets": sets, "grid": config["metric_recovery"]["evaluation"]["grid"]}


def color_table(config: Config, cells: Sequence[str]) -> dict[str, Any]:
    """Return how to print the tables of colour transport, and how its numbers were made."""
    section = config["meta_color"]
    return {
        "cells": list(cells),
        "steps": section["finetuning"]["steps"],
        "alpha": config["verdict"]["alpha"],
        "preset": config["preset"],
        "budget": budget(section),
    }


def color_study(config: Config) -> dict[str, Any]:
    """Return how predictions for held-out pairs of images are fine-tuned."""
    settings = config["meta_color"]["finetuning"]
    return settings | {"solver": config["solvers"][settings["solver"]]}


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


def start_study(config: Config, task: str) -> dict[str, Any]:
    """Return what the study of starts needs for one task."""
    study = config["meta_sinkhorn"]["study"]
    finetuners = {
        name: given
        if "solver" not in given
        else given | {"solver": config["solvers"][given["solver"]]}
        for name, given in study["finetuners"].items()
    }
    same = ("shown", "seed", "tolerances", "check_every")
    return {key: study[key] for key in same} | {
        "task": task,
        "pairs": study["pairs"][task],
        "max_iterations": {
            name: most for name, most in study["max_iterations"][task].items() if most is not None
        },
        "traced": study["traced"][task],
        "finetuners": finetuners,
    }


def start_table(config: Config) -> dict[str, Any]:
    """Return how to print the tables of starts, and how their numbers were made."""
    section = config["meta_sinkhorn"]
    study = section["study"]
    return {
        "tasks": discrete_tasks(config),
        "methods": [entry["method"] for entry in section["methods"]],
        "tolerances": study["tolerances"],
        "check_every": study["check_every"],
        "preset": config["preset"],
        "iterations": section["training"]["iterations"],
        "finetuners": list(study["finetuners"]),
    }


def start_figures(config: Config, tasks: Sequence[str]) -> list[str]:
    """Return the figures of starts that the tasks allow."""
    kinds = [config["measures"]["discrete"][task]["kind"] for task in tasks]
    found = ["meta_errors"] if tasks else []
    found += ["meta_interpolation"] if kinds.count("grid_images") == 1 else []
    return found + (["meta_sphere"] if kinds.count("sphere") == 1 else [])


FILES = {"images": ("source", "target"), "snapshots": ("file",)}
"""Kind of pair -> its settings that name files."""


def image_files(pair: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that a pair is made of, as the config names them, by their setting."""
    return {key: pair[key] for key in FILES.get(pair["kind"], ()) if pair[key] is not None}


def trains(pair: Mapping[str, Any]) -> bool:
    """Return whether preparing a pair takes a GPU: to train one, or for images' moments."""
    return "generated" in pair.get("sources", []) or pair["kind"] == "celeba64"

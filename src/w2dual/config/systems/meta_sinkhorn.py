"""Meta OT between discrete measures: starts of entropic transport, by solvers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from w2dual.config.assembly import cell_of, untrained
from w2dual.config.cells import Cell
from w2dual.config.rows import OWN, check_known, check_rows, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import Additions, Page, Pairs, System
from w2dual.records import InputError

META_DUAL = "meta_dual"
"""The kind of method that its cells train by."""


def check(config: Config) -> None:
    """Check the laws over measures, the rows, and the study of starts."""
    section, laws = config["meta_sinkhorn"], config["measures"]["discrete"]
    if clash := [name for name in laws if name in config["measures"]["synthetic"]]:
        raise InputError(
            f"config key `measures.discrete.{clash[0]}`: `measures.synthetic` has the same name"
        )
    for index, entry in enumerate(section["methods"]):
        where = f"meta_sinkhorn.methods.{index}.method"
        check_known(config, where, entry["method"], "methods")
        kind = config["methods"][entry["method"]]["kind"]
        if kind != META_DUAL:
            raise InputError(
                f"config key `{where}`: `methods.{entry['method']}` is of the kind `{kind}`; "
                f"expected one of the kind `{META_DUAL}`, which predicts dual potentials"
            )
    check_rows(config, "meta_sinkhorn", section)
    study = section["study"]
    for task in section["tasks"]:
        check_known(config["measures"], "meta_sinkhorn.tasks", task, "discrete", "measures.")
        for key in ("pairs", "traced", "max_iterations"):
            check_known(study, f"meta_sinkhorn.study.{key}", task, key, "meta_sinkhorn.study.")
        for name in study["max_iterations"][task]:
            where = f"meta_sinkhorn.study.max_iterations.{task}"
            check_known(study, where, name, "finetuners", "meta_sinkhorn.study.")
    for name, given in study["finetuners"].items():
        if given["kind"] == "lbfgs":
            where = f"meta_sinkhorn.study.finetuners.{name}.solver"
            check_known(config, where, given["solver"], "solvers")
            kind = config["solvers"][given["solver"]]["kind"]
            if kind != "lbfgs":
                raise InputError(
                    f"config key `{where}`: solver `{given['solver']}` is of kind `{kind}`; "
                    "expected one of kind `lbfgs`"
                )
    for task in section["tasks"]:
        if study["shown"] > study["pairs"][task]:
            raise InputError(
                f"config key `meta_sinkhorn.study.shown`: {study['shown']} is more than "
                f"`meta_sinkhorn.study.pairs.{task}` = {study['pairs'][task]}"
            )
    for name, law in laws.items():
        if "packaged" in law["sources"] and not config["preset"]["reduced"]:
            raise InputError(
                f"config key `measures.discrete.{name}.sources`: a preset at full budget "
                "(`preset.reduced: false`) admits no `packaged` stand-in; take it out, or mark "
                "the preset as reduced"
            )


def tasks(config: Config) -> list[str]:
    """Return the tasks of Meta OT that there are data of: not one whose raster is not named.

    There are none without a method.
    """
    laws = config["measures"]["discrete"]
    if not config["meta_sinkhorn"]["methods"]:
        return []
    return [
        task
        for task in config["meta_sinkhorn"]["tasks"]
        if laws[task]["sources"] != ["folder"]
        or laws[task].get("folder", laws[task].get("raster")) is not None
    ]


def _sizes(law: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many points the source and the target of a law over measures have."""
    if law["kind"] == "grid_images":
        return law["side"] ** 2, law["side"] ** 2
    return law["supply"], law["demand"]


def cells(config: Config) -> list[Cell]:
    """Return the cells by task, then row of their table."""
    # The numbers say nothing, of no steps, and are what the cells' hashes are of.
    recorded = {"iterations": 1, "learning_rate": 1.0e-3, "tolerance": 1.0e-6}
    section = {**config["meta_sinkhorn"], "pretraining": untrained(1.0) | recorded}
    found = []
    for task in tasks(config):
        rows_of, columns_of = _sizes(config["measures"]["discrete"][task])
        own = {**config, "meta_sinkhorn": section}
        for row in rows(config, section):
            entry = config["methods"][row.method] | {"targets": columns_of}
            with_size = own | {"methods": config["methods"] | {row.method: entry}}
            found.append(cell_of(with_size, "meta_sinkhorn", task, rows_of, OWN, row))
    return found


def pairs(config: Config) -> Pairs:
    """Return the laws over measures of all tasks."""
    return {task: dict(config["measures"]["discrete"][task]) for task in tasks(config)}


def study(config: Config, task: str) -> dict[str, Any]:
    """Return what the study of starts needs for one task."""
    settings = config["meta_sinkhorn"]["study"]
    finetuners = {
        name: given
        if "solver" not in given
        else given | {"solver": config["solvers"][given["solver"]]}
        for name, given in settings["finetuners"].items()
    }
    same = ("shown", "seed", "tolerances", "check_every")
    return {key: settings[key] for key in same} | {
        "task": task,
        "pairs": settings["pairs"][task],
        "max_iterations": {
            name: most
            for name, most in settings["max_iterations"][task].items()
            if most is not None
        },
        "traced": settings["traced"][task],
        "finetuners": finetuners,
    }


def table(config: Config) -> dict[str, Any]:
    """Return how to print the tables of starts, and how their numbers were made."""
    section = config["meta_sinkhorn"]
    settings = section["study"]
    return {
        "tasks": tasks(config),
        "methods": [entry["method"] for entry in section["methods"]],
        "tolerances": settings["tolerances"],
        "check_every": settings["check_every"],
        "preset": config["preset"],
        "iterations": section["training"]["iterations"],
        "finetuners": list(settings["finetuners"]),
    }


def left_out(config: Config) -> list[str]:
    """Return the figures of which there is not one task that they are of."""
    kinds = [config["measures"]["discrete"][task]["kind"] for task in tasks(config)]
    of = {"meta_interpolation": "grid_images", "meta_sphere": "sphere"}
    return [name for name, kind in of.items() if kinds.count(kind) != 1]


def studies(config: Config) -> list[str]:
    """Return the files of the studies, two for each task."""
    endings = ("csv", "safetensors")
    return [f"results/meta_sinkhorn/{task}.{end}" for task in tasks(config) for end in endings]


ADDS = Additions(
    words="cells of Meta OT between discrete measures",
    tables={
        "meta_ot_sinkhorn": Page(
            "Tables",
            "Meta OT, starts",
            "Starts of solvers of entropic transport on held-out pairs of measures: iterations and "
            "kernel products to each tolerance with bootstrap intervals, what is saved against "
            "zeros, and times of this device. The data may be a stand-in, which the column data "
            "says.",
        ),
        "claims_meta_ot": Page(
            "Verdict",
            "Meta OT, starts, claims",
            "What the published tables show and what a start can save, on the same pairs of "
            "measures.",
        ),
    },
    settings={"meta-sinkhorn-table": table},
    own_figures=("meta_errors", "meta_interpolation", "meta_sphere"),
    left_out=left_out,
    studies=studies,
)
SYSTEM = System(check, cells, pairs, ADDS)

"""Colour transport by Meta OT, between palettes of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from w2dual.config.arguments import budget, spent_on_cells
from w2dual.config.assembly import cell_of
from w2dual.config.cells import Cell, encoding_of
from w2dual.config.rows import OWN, check_known, check_rows, resolve
from w2dual.config.schema import Config
from w2dual.config.systems.base import Additions, Page, Pairs, System
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the rows, whose methods encode images; the study; and what images there may be."""
    section, palettes = config["meta_color"], config["measures"]["palettes"]
    for index, entry in enumerate(section["methods"]):
        where = f"meta_color.methods.{index}.method"
        check_known(config, where, entry["method"], "methods")
        settings = config["methods"][entry["method"]]
        if "encoder" not in settings:
            raise InputError(
                f"config key `{where}`: `methods.{entry['method']}`, of the kind "
                f"`{settings['kind']}`, has no `encoder` of images; name one of `meta_w2gn`"
            )
        try:
            encoding_of(settings["encoder"])
        except InputError as error:
            raise InputError(f"config key `methods.{entry['method']}.encoder`: {error}") from error
    check_rows(config, "meta_color", section)
    check_known(config, "meta_color.finetuning.solver", section["finetuning"]["solver"], "solvers")
    if config["solvers"][section["finetuning"]["solver"]]["kind"] == "none":
        raise InputError("config key `meta_color.finetuning.solver`: names no solver; take lbfgs")
    for key in ("samples", "history_samples"):
        if section["evaluation"][key] != palettes["test_points"]:
            raise InputError(
                f"config key `meta_color.evaluation.{key}`: {section['evaluation'][key]} is not "
                f"`measures.palettes.test_points` = {palettes['test_points']}, all of which count"
            )
    if section["finetuning"]["steps"] % section["finetuning"]["log_every"]:
        raise InputError(
            "config key `meta_color.finetuning.steps`: is not a multiple of `log_every`"
        )
    stand_ins = [name for name in palettes["sources"] if name != "folder"]
    if stand_ins and not config["preset"]["reduced"]:
        raise InputError(
            "config key `measures.palettes.sources`: a preset at full budget (`preset.reduced: "
            f"false`) admits no stand-in, {', '.join(stand_ins)}; take it out, or mark the preset "
            "as reduced"
        )


def encodings(config: Config) -> dict[str, str]:
    """Return the methods of colour transport, each with what it takes of an image.

    There are none where no images are: neither a folder of the user's nor a stand-in.
    """
    palettes = config["measures"]["palettes"]
    if palettes["sources"] == ["folder"] and palettes["folder"] is None:
        return {}
    names = [entry["method"] for entry in config["meta_color"]["methods"]]
    return {name: encoding_of(config["methods"][name]["encoder"]) for name in names}


def _pair(encoding: str) -> str:
    """Return the name of the law over images whose points have an encoding."""
    return f"palettes_{encoding}"


def _dimension(encoding: str, palettes: Mapping[str, Any]) -> int:
    """Return how many numbers an image is, as a point of that law (`measures.pairs.palettes`)."""
    encoded = palettes["bins"] ** 3 if encoding == "histogram" else 3 * palettes["side"] ** 2
    return 2 + encoded + 3 * palettes["points"]


def cells(config: Config) -> list[Cell]:
    """Return the cells by row of their table; none where there are no images."""
    palettes = config["measures"]["palettes"]
    found = []
    for method, encoding in encodings(config).items():
        entry = config["methods"][method] | {"points": palettes["points"]}
        own = config | {"methods": config["methods"] | {method: entry}}
        row = resolve(own, config["meta_color"], {"method": method}, "meta_color.methods")
        n = _dimension(encoding, palettes)
        found.append(cell_of(own, "meta_color", _pair(encoding), n, OWN, row))
    return found


def pairs(config: Config) -> Pairs:
    """Return a law over images for each encoding of them."""
    palettes = {"kind": "palettes"} | config["measures"]["palettes"]
    return {
        _pair(encoding): palettes | {"encoding": encoding}
        for encoding in encodings(config).values()
    }


def table(config: Config) -> dict[str, Any]:
    """Return how to print the tables of colour transport, and how its numbers were made."""
    section = config["meta_color"]
    return {
        "cells": [cell.name for cell in cells(config)],
        "steps": section["finetuning"]["steps"],
        "alpha": config["verdict"]["alpha"],
        "preset": config["preset"],
        "budget": budget(section, spent_on_cells(cells(config))),
    }


def study(config: Config) -> dict[str, Any]:
    """Return how predictions for held-out pairs of images are fine-tuned."""
    settings = config["meta_color"]["finetuning"]
    return settings | {"solver": config["solvers"][settings["solver"]]}


def studies(config: Config) -> list[str]:
    """Return the files of the studies, one for each cell."""
    return [f"results/color/{cell.name}.safetensors" for cell in cells(config)]


ADDS = Additions(
    words="cells of colour transport",
    tables={
        "meta_ot_color": Page(
            "Tables",
            "Meta OT, colour",
            "Colour transport on held-out pairs of images: values of the dual with converged "
            "conjugates by updates, normalised as published and as gap to the exact cost, with the "
            "published values. The images may be a stand-in, which the column measures_source "
            "says.",
        ),
        "claims_meta_ot_color": Page(
            "Verdict",
            "Meta OT, colour, claims",
            "What the published table and figure of colour transport show, checked pair by pair.",
        ),
    },
    settings={"color-table": table},
    own_figures=("meta_color",),
    studies=studies,
)
SYSTEM = System(check, cells, pairs, ADDS)

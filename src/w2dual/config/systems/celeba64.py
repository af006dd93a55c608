"""The cells on images of CelebA64."""

from __future__ import annotations

from w2dual.config.assembly import cell_of
from w2dual.config.cells import Cell
from w2dual.config.places import CELEBA64_GENERATOR
from w2dual.config.rows import check_rows, potentials, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import Pairs, System
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the rows, and what images there may be."""
    check_rows(config, "celeba64", config["celeba64"])
    sources = config["measures"]["celeba64"]["sources"]
    size, section = config["measures"]["celeba64"]["generated"]["size"], config["celeba64"]
    if section["generators"] and "generated" in sources and section["dimension"] != 3 * size**2:
        raise InputError(
            f"config key `celeba64.dimension`: {section['dimension']} is not that of the images "
            f"that `measures.celeba64` may generate, {3 * size**2} numbers of {size} x {size} "
            "pixels in 3 colours; change one of them"
        )
    if not config["preset"]["reduced"] and "generated" in sources:
        raise InputError(
            "config key `measures.celeba64.sources`: a preset at full budget "
            "(`preset.reduced: false`) admits no `generated` pair of images; take `generated` "
            "out, or mark the preset as reduced"
        )


def cells(config: Config) -> list[Cell]:
    """Return the cells by potential, then row of its table, then pair."""
    section = config["celeba64"]
    losses = {
        name: loss | ({"weight": section["cycle_weight"]} if loss["kind"] == "cycle" else {})
        for name, loss in config["amortizations"].items()
    }
    found = []
    for potential in potentials(config, section):
        # Rows of images name no method, which alone could go without one of the config's.
        model = section["amortization_model"] | {"potential": config["potentials"][potential]}
        own = config | {"amortization_model": model, "amortizations": losses}
        found += [
            cell_of(own, "celeba64", f"celeba64_{name}", section["dimension"], potential, row)
            for row in rows(config, section)
            if potential in row.potentials
            for name in section["generators"]
        ]
    return found


def pairs(config: Config) -> Pairs:
    """Return the pairs and, if there are any, the generator that they share."""
    # One published repository, one mirror of it.
    published = {key: config["measures"]["benchmark"][key] for key in ("mirror", "url")}
    settings = {"kind": "celeba64"} | config["measures"]["celeba64"] | published
    names = [f"celeba64_{which}" for which in config["celeba64"]["generators"]]
    return {name: dict(settings) for name in ([CELEBA64_GENERATOR, *names] if names else [])}


SYSTEM = System(check, cells, pairs)

"""The cells of the benchmark's own methods on images of CelebA64."""

from __future__ import annotations

from w2dual.config.assembly import cell_of
from w2dual.config.cells import Cell
from w2dual.config.rows import cell_names, check_rows, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import System
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the rows, whose cells must have other names than those of `celeba64`."""
    there = cell_names("celeba64_N", check_rows(config, "celeba64", config["celeba64"]))
    own = check_rows(config, "celeba64_baselines", config["celeba64_baselines"])
    if twice := [name for name in cell_names("celeba64_N", own) if name in there]:
        raise InputError(
            f"config key `celeba64_baselines.methods`: `celeba64.methods` has cells of the same "
            f"names, {', '.join(twice)}; leave out one of each two"
        )


def cells(config: Config) -> list[Cell]:
    """Return the cells by row, then pair."""
    section, images = config["celeba64_baselines"], config["celeba64"]
    return [
        cell_of(
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


# Their pairs are those of `celeba64`.
SYSTEM = System(check, cells)

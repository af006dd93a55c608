"""The benchmark's cells of its own methods, and of others beside the paper's."""

from __future__ import annotations

from w2dual.config.cells import Cell
from w2dual.config.rows import cell_names, check_rows, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import System
from w2dual.config.systems.hd import benchmark_cell, benchmark_pairs, check_dimensions
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the rows, whose cells must have other names than those of `hd`."""
    there = cell_names("hdN", check_rows(config, "hd", config["hd"]))
    own = cell_names("hdN", check_rows(config, "baselines", config["baselines"]))
    if twice := [name for name in own if name in there]:
        raise InputError(
            f"config key `baselines.methods`: `hd.methods` has cells of the same names, "
            f"{', '.join(twice)}; leave out one of each two"
        )
    check_dimensions(config, "baselines")


def cells(config: Config) -> list[Cell]:
    """Return the cells by row of their table, then n."""
    section = config["baselines"]
    return [
        benchmark_cell(config, "baselines", dimension, potential, row)
        for row in rows(config, section)
        for potential in row.potentials
        for dimension in section["dimensions"]
    ]


SYSTEM = System(check, cells, lambda config: benchmark_pairs(config, "baselines"))

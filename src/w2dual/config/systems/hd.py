"""The benchmark's cells of the paper's methods, in high dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from w2dual.config.assembly import cell_of, hidden_widths
from w2dual.config.cells import Cell
from w2dual.config.rows import Row, budget_of, check_rows, methods, potentials, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import Pairs, System
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the rows, and that there are pairs for them."""
    check_rows(config, "hd", config["hd"])
    check_dimensions(config, "hd")


def check_dimensions(config: Config, section: str) -> None:
    """Check that there are measures of a section's dimensions, and where they are from.

    Raises:
        InputError: there are none of one, or a preset at full budget might generate those of a
            published one.
    """
    benchmark = config["measures"]["benchmark"]
    published = benchmark["published_dimensions"]
    at_hand = [n for n in _dimensions(config[section]) if n in published]
    if at_hand and not config["preset"]["reduced"] and "generated" in benchmark["sources"]:
        raise InputError(
            "config key `measures.benchmark.sources`: a preset at full budget "
            "(`preset.reduced: false`) admits no `generated` pair for the published dimensions "
            f"{at_hand} of `{section}.dimensions`; take `generated` out, or mark the preset as "
            "reduced"
        )
    for dimension in _dimensions(config[section]):
        if dimension not in published and "generated" not in benchmark["sources"]:
            raise InputError(
                f"config key `{section}.dimensions`: the benchmark has no weights for "
                f"n = {dimension} (it has {', '.join(map(str, published))}); take one of these, or "
                "add `generated` to `measures.benchmark.sources` to train a new pair"
            )


def _dimensions(grid: Mapping[str, Any]) -> list[int]:
    """Return the dimensions that a grid has cells of."""
    return grid["dimensions"] if methods(grid) else []


def cells(config: Config) -> list[Cell]:
    """Return the cells by potential, then row of their table, then n."""
    section = config["hd"]
    return [
        benchmark_cell(config, "hd", dimension, potential, row)
        for potential in potentials(config, section)
        for row in rows(config, section)
        if potential in row.potentials
        for dimension in section["dimensions"]
    ]


def benchmark_cell(config: Config, section: str, dimension: int, potential: str, row: Row) -> Cell:
    """Return a cell of a section whose measures are the benchmark's."""
    training = budget_of(config, row, config[section], "training")
    hidden = hidden_widths(training["hidden"], dimension)
    return cell_of(config, section, f"hd{dimension}", dimension, potential, row, hidden, hidden)


def benchmark_pairs(config: Config, section: str) -> Pairs:
    """Return the benchmark's pairs that a section has cells of."""
    benchmark = {"kind": "benchmark"} | config["measures"]["benchmark"]
    return {f"hd{dimension}": benchmark for dimension in _dimensions(config[section])}


SYSTEM = System(check, cells, lambda config: benchmark_pairs(config, "hd"))

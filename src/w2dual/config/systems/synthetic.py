"""The cells on the plane."""

from __future__ import annotations

from w2dual.config import kinds
from w2dual.config.assembly import PLANE, cell_of, hidden_widths
from w2dual.config.cells import DUAL, Cell
from w2dual.config.rows import budget_of, cell_names, check_known, check_rows, potentials, rows
from w2dual.config.schema import Config
from w2dual.config.systems.base import Pairs, System
from w2dual.records import InputError


def check(config: Config) -> None:
    """Check the rows and pairs of each grid, and that figures are of cells that there are."""
    seen: dict[str, int] = {}
    drawn: set[tuple[str, str]] = set()
    for index, part in enumerate(config["synthetic"]["grids"]):
        where = f"synthetic.grids.{index}"
        found = check_rows(config, where, part)
        for pair in part["pairs"]:
            check_known(config["measures"], f"{where}.pairs", pair, "synthetic", "measures.")
            for cell in cell_names(pair, found):
                if seen.setdefault(cell, index) != index:
                    raise InputError(
                        f"config key `{where}`: the cell {cell} is already in "
                        f"`synthetic.grids.{seen[cell]}`"
                    )
            drawn |= {(pair, name) for row in found if row.conjugates for name in row.potentials}
    for name, figure in config["synthetic"]["figures"].items():
        for pair in figure["pairs"] if figure else ():
            if (pair, figure["potential"]) not in drawn:
                raise InputError(
                    f"config key `synthetic.figures.{name}`: no grid of `synthetic.grids` has a "
                    f"cell of the pair `{pair}` with the potential `{figure['potential']}` that "
                    f"the method `{DUAL}` trains, not `reversed`"
                )
    for name, settings in config["measures"]["synthetic"].items():
        kinds.check("measures.synthetic", f"measures.synthetic.{name}", settings["kind"])


def cells(config: Config) -> list[Cell]:
    """Return the cells grid by grid: by pair, then potential, then row."""
    model_hidden = config["synthetic"]["training"]["model_hidden"]
    return [
        cell_of(
            config,
            "synthetic",
            pair,
            PLANE,
            potential,
            row,
            hidden_widths(budget_of(config, row, {"training": part}, "training")["hidden"], PLANE),
            model_hidden,
        )
        for part in config["synthetic"]["grids"]
        for pair in part["pairs"]
        for potential in potentials(config, part)
        for row in rows(config, part)
        if potential in row.potentials
    ]


def pairs(config: Config) -> Pairs:
    """Return the pairs of all grids."""
    known = config["measures"]["synthetic"]
    return {name: known[name] for part in config["synthetic"]["grids"] for name in part["pairs"]}


SYSTEM = System(check, cells, pairs)

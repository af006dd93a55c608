"""Which cells of the benchmark the studies of conjugation look at. Light: no JAX.

The config names them under `conjugation`. What the grid of a preset lacks is replaced by the
nearest that it has: the largest dimensions, the first method with both a loss and a solver, the
first potential. Figures and tables name the cells that they show.
"""

from __future__ import annotations

from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in
from w2dual.config.rows import rows
from w2dual.config.schema import Config


def dimensions(config: Config) -> list[int]:
    """Return the dimensions that stand side by side, in ascending order."""
    wanted, there = config["conjugation"]["dimensions"], config["hd"]["dimensions"]
    found = [n for n in there if n in wanted]
    return sorted(found) or sorted(there)[-len(wanted) :]


def method(config: Config, section: str = "hd") -> tuple[str, str] | None:
    """Return the (amortization, solver) whose cells are studied; None where there is none."""
    wanted = config["conjugation"]["method"]
    amortized = [
        (row.amortization, row.solver)
        for row in rows(config, config[section])
        if row.conjugates
        and config["amortizations"][row.parts["amortization"]]["kind"] != "none"
        and config["solvers"][row.parts["solver"]]["kind"] != "none"
    ]
    first = (wanted["amortization"], wanted["solver"])
    return first if first in amortized else next(iter(amortized), None)


def studied(config: Config) -> dict[str, list[Cell]]:
    """Return the cells of each potential, by dimension; nothing where no method has both parts."""
    wanted, sizes = method(config), dimensions(config)
    of_all = [
        cell
        for cell in cells_in("hd", config)
        if (cell.amortization, cell.solver) == wanted and cell.dimension in sizes
    ]
    found: dict[str, list[Cell]] = {}
    for potential in config["hd"]["potentials"]:
        cells = [cell for cell in of_all if cell.potential == potential]
        if cells:
            found[potential] = sorted(cells, key=lambda cell: cell.dimension)
    return found


def studied_images(config: Config) -> list[Cell]:
    """Return the cells of CelebA64 that are studied, one for each pair and side by side.

    They are of the first potential, by the method of `conjugation.method`, else by the first that
    has both a loss and a solver; nothing where there is none.
    """
    return [
        cell
        for cell in cells_in("celeba64", config)
        if cell.potential == config["celeba64"]["potentials"][0]
        and (cell.amortization, cell.solver) == method(config, "celeba64")
    ]


def line_search_cell(config: Config) -> Cell | None:
    """Return the one cell on which line searches are compared; None where nothing is studied."""
    wanted, cells = config["conjugation"]["line_search"], studied(config)
    if not cells:
        return None
    potential = wanted["potential"] if wanted["potential"] in cells else next(iter(cells))
    there = config["hd"]["dimensions"]
    dimension = wanted["dimension"] if wanted["dimension"] in there else max(there)
    chosen = (dimension, potential, cells[potential][0].amortization, cells[potential][0].solver)
    return next(
        cell
        for cell in cells_in("hd", config)
        if (cell.dimension, cell.potential, cell.amortization, cell.solver) == chosen
    )

"""What a cell's training costs, from measured seconds per step. Light: JAX is not imported.

A cell takes compile_s + pretraining steps * s/step + iterations * s/step. Each of the three is
measured, or made from measurements of the same method on the same device:

    between and beyond dimensions   log-log: a straight line through (log n, log cost)
    between numbers of seeds        affine: a + b * seeds
    another batch size              proportional, for what is paid at each step

Nothing else is filled in: what cannot be had that way is unknown, with the reason.
"""

from __future__ import annotations

import enum
import heapq
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from w2dual.cluster.costs import PAPER_WIDTHS, Cost, Figures, method_of
from w2dual.config.cells import DUAL, Cell, method_kind
from w2dual.config.reader import Config
from w2dual.records import InputError

OWN_ROW = "its own row"


class Basis(enum.IntEnum):
    """Where an estimate comes from, best first; what is made in several ways has its weakest."""

    MEASURED = 0
    INTERPOLATED = 1
    SCALED = 2
    EXTRAPOLATED = 3
    ASSUMED = 4
    UNKNOWN = 5

    @property
    def word(self) -> str:
        """The word that stands in the output."""
        return self.name.lower()


# ---------------------------------------------------------------- one cell


class Found(NamedTuple):
    """Figures of a cell, how they were come by, and the measurements behind them."""

    figures: Figures
    basis: Basis
    notes: tuple[str, ...]
    rows: tuple[Cost, ...]

    def made(self, basis: Basis, note: str) -> Found:
        """Say of the figures that one more way led to them."""
        notes = *(item for item in self.notes if item != OWN_ROW), note
        return self._replace(basis=max(self.basis, basis), notes=notes)


@dataclass(frozen=True)
class Estimate:
    """What a cell costs; `found` is None where that is unknown, and `reason` says why."""

    cell: Cell
    found: Found | None
    reason: str = ""

    @property
    def basis(self) -> Basis:
        """Where the estimate comes from."""
        return Basis.UNKNOWN if self.found is None else self.found.basis

    @property
    def based_on(self) -> str:
        """What the estimate was made from, in words."""
        return self.reason if self.found is None else "; ".join(self.found.notes)

    def pretraining_s(self) -> float:
        """Seconds of pre-training, which may end early: at most."""
        steps = self.cell.pretraining.iterations
        return steps * self._figures().pretraining_ms_per_step / 1000

    def training_s(self, of: str = "ms_per_step") -> float:
        """Seconds of all training steps, by the median, `_low` or `_high` time of one."""
        return self.cell.training.iterations * getattr(self._figures(), of) / 1000

    def seconds(self, of: str = "ms_per_step") -> float:
        """Seconds from the start of compilation to the last step; without evaluations."""
        return self._figures().compile_s + self.pretraining_s() + self.training_s(of)

    def _figures(self) -> Figures:
        if self.found is None:
            raise ValueError(f"the cost of {self.cell.name} is unknown: {self.reason}")
        return self.found.figures


def estimate(cell: Cell, costs: Sequence[Cost], assume: tuple[str, str] | None = None) -> Estimate:
    """Estimate one cell from the measurements of one device.

    Args:
        cell: the cell.
        costs: measurements of one device, and for a CPU of one number of threads.
        assume: amortization and solver that stand for a method whose cost is unknown.
    """
    method = method_of(cell)
    found, reason = _of_method(cell, costs, method)
    if found is None and assume is not None:
        stand_in = method | {"amortization": assume[0], "solver": assume[1]}
        found, _ = _of_method(cell, costs, stand_in)
        if found is not None:
            note = f"assumed to cost as {assume[0]} + {assume[1]} ({reason})"
            found = found.made(Basis.ASSUMED, note)
    return Estimate(cell, found, reason)


def _of_method(
    cell: Cell, costs: Sequence[Cost], method: Mapping[str, str]
) -> tuple[Found | None, str]:
    rows = [c for c in costs if all(getattr(c, key) == value for key, value in method.items())]
    words = f"{method['potential']}, {method['amortization']}"
    if method_kind(cell.settings) == DUAL:  # else the method's name says it all
        words += f" + {method['solver']}"
    if not rows:
        widths = "" if method["hidden"] == PAPER_WIDTHS else f" with widths {method['hidden']}"
        return None, f"{words}{widths}: not measured"
    batch_size = cell.training.batch_size
    seeds = len(cell.seeds)
    # The batch size asked for first, then the nearest; of two as near, the larger.
    batch_sizes = sorted(
        {row.batch_size for row in rows},
        key=lambda size: (abs(math.log(size / batch_size)), -size),
    )
    for measured in batch_sizes:
        same = [row for row in rows if row.batch_size == measured]
        if found := _at_dimension(same, cell.dimension, seeds):
            if measured != batch_size:
                found = _scale_batch(found, measured, batch_size)
            return found, ""
    counts = ", ".join(map(str, sorted({row.seeds for row in rows})))
    dimensions = ", ".join(map(str, sorted({row.dimension for row in rows})))
    return None, (
        f"{words}: measured for {counts} seed(s) at n = {dimensions}, from which no line leads "
        f"here, to {seeds} seed(s); that takes two dimensions, or two numbers of seeds"
    )


def _scale_batch(found: Found, measured: int, batch_size: int) -> Found:
    factor = batch_size / measured
    note = f"batch {batch_size} in proportion to {measured}"
    by_step = [factor * value for value in found.figures]
    figures = Figures(*by_step)._replace(compile_s=found.figures.compile_s)
    return found._replace(figures=figures).made(Basis.SCALED, note)


def _at_dimension(rows: Sequence[Cost], dimension: int, seeds: int) -> Found | None:
    """Figures in one dimension, by a line through the two nearest on a log-log scale."""
    at = {}
    for n in sorted({row.dimension for row in rows}):
        if found := _at_seeds([row for row in rows if row.dimension == n], seeds):
            at[n] = found
    if dimension in at:
        return at[dimension]
    if len(at) < 2:
        return None
    low, high = _neighbours(list(at), dimension)
    weight = math.log(dimension / low) / math.log(high / low)
    figures = Figures(
        *(_on_line(a, b, weight) for a, b in zip(at[low].figures, at[high].figures, strict=True))
    )
    found = Found(
        figures=figures,
        basis=max(at[low].basis, at[high].basis),
        notes=tuple(dict.fromkeys(at[low].notes + at[high].notes)),
        rows=at[low].rows + at[high].rows,
    )
    if low < dimension < high:
        return found.made(Basis.INTERPOLATED, f"between n = {low} and {high}")
    return found.made(Basis.EXTRAPOLATED, f"slope of n = {low} to {high}")


def _on_line(low: float, high: float, weight: float) -> float:
    """Return exp of the line through two logarithms; of a figure that may be 0, the larger one."""
    if low == 0 or high == 0:
        return max(low, high)
    return math.exp((1 - weight) * math.log(low) + weight * math.log(high))


def _at_seeds(rows: Sequence[Cost], seeds: int) -> Found | None:
    """Figures for a number of seeds, by a line through the two nearest."""
    by_count = {row.seeds: row for row in rows}
    if seeds in by_count:
        row = by_count[seeds]
        return Found(row.figures, Basis.MEASURED, (OWN_ROW,), (row,))
    if len(by_count) < 2:
        return None
    low, high = _neighbours(sorted(by_count), seeds)
    weight = (seeds - low) / (high - low)
    first, last = by_count[low], by_count[high]
    line = [a + weight * (b - a) for a, b in zip(first.figures, last.figures, strict=True)]
    if line[0] <= 0:
        return None
    # What is paid once hardly depends on the seeds; noise in it must not lead below nothing.
    least = map(min, first.figures, last.figures)
    figures = Figures(*(a if a > 0 else b for a, b in zip(line, least, strict=True)))
    basis = Basis.SCALED if low < seeds < high else Basis.EXTRAPOLATED
    note = f"{seeds} seed(s) on the line of {low} and {high}"
    return Found(figures, basis, (note,), (first, last))


def _neighbours(sorted_values: Sequence[int], value: int) -> tuple[int, int]:
    """Return the two values around one, or the two nearest to it at an end."""
    right = min(max(bisect_left(sorted_values, value), 1), len(sorted_values) - 1)
    return sorted_values[right - 1], sorted_values[right]


# ---------------------------------------------------------------- all cells


def makespan(seconds: Iterable[float], devices: int) -> float:
    """Return the time until all jobs are done, if each free device takes the longest job left."""
    free_at = [0.0] * devices
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def runtime_min(estimates: Iterable[Estimate], headroom: float) -> dict[int, int]:
    """Suggest minutes for each dimension: its longest known cell times headroom, up to a 5."""
    longest: dict[int, float] = {}
    for item in estimates:
        if item.found is not None:
            n = item.cell.dimension
            longest[n] = max(longest.get(n, 0.0), item.seconds())
    return {n: 5 * math.ceil(headroom * longest[n] / 300) for n in sorted(longest)}


def method(text: str, config: Config) -> tuple[str, str]:
    """Read LOSS,SOLVER, both names of the config.

    Raises:
        InputError: it is not two names, or the config has no such.
    """
    names = text.split(",")
    if len(names) != 2:
        raise InputError(f"method {text!r}: expected a loss and a solver, as in regression,lbfgs")
    for name, section in zip(names, ("amortizations", "solvers"), strict=True):
        if name not in config[section]:
            known = ", ".join(config[section])
            raise InputError(f"method {text!r}: no `{name}` under `{section}`; there are {known}")
    return names[0], names[1]

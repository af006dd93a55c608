"""What evaluates a cell, of whatever kind: named figures for each seed on fresh samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Key

from w2dual.config.cells import Cell
from w2dual.evaluation import conjugation_time
from w2dual.measures import Pair
from w2dual.records import finite
from w2dual.training.health import SOLVED
from w2dual.training.methods import Conjugating, Method
from w2dual.training.watch import Headline

COUNTS = "conjugate_status_counts"
"""The field of an evaluation that is not one number a seed; not every kind has it."""


@dataclass(frozen=True)
class CellEvaluation:
    """What evaluates one cell on its measures (`watch.Evaluation`).

    Attributes:
        method: what is trained.
        pair: the measures.
        cell: the cell.
        headline: the figure for progress lines.
        columns: fields of an evaluation that go into the history.
        errors: which of them are errors, of which the smallest of a history is kept.
        evaluator: from parameters, a key a seed, the pair and a number of samples to a named tuple
            of arrays with a leading axis of seeds.
    """

    method: Method[Any]
    pair: Pair
    cell: Cell
    headline: Headline
    columns: tuple[str, ...]
    errors: tuple[str, ...]
    evaluator: Callable[[Any, Key[Array, " seeds"], Any, int], Any]

    def evaluate(self, params: Any, keys: Key[Array, " seeds"], samples: int) -> Any:
        """Return a number for each seed in each field, on fresh samples."""
        return self.evaluator(params, keys, self.pair, samples)

    def record(self, values: Any, index: int, diverged: bool) -> dict[str, Any]:
        """Return the figures of a seed, None where there is no number, and the statuses."""
        figures = {
            name: None if diverged else finite(float(getattr(values, name)[index]))
            for name in values._fields
            if name != COUNTS
        }
        if COUNTS not in values._fields:
            return figures
        counts = getattr(values, COUNTS)[index]
        solved = has_solver(self.method)
        statuses = {s.name.lower(): int(counts[s]) if solved else 0 for s in SOLVED}
        return figures | {"conjugate_status": statuses}

    def timing(self, params: Any) -> dict[str, Any]:
        """Return how long it takes to conjugate a batch."""
        return conjugation_time.measure(
            self.method,
            params,
            self.pair,
            self.cell.seeds,
            self.cell.training.batch_size,
        )


def has_solver(method: Method[Any]) -> bool:
    """Return whether a method's conjugates are found by a solver."""
    return isinstance(method, Conjugating) and method.solver is not None

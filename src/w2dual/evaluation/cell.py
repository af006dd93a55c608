"""How good a cell's maps are: against the optimal map where it is known, else by samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Key

from w2dual.config.cells import Cell
from w2dual.config.settings import SyntheticEvaluationSettings
from w2dual.evaluation import conjugation_time, l2_uvp
from w2dual.evaluation import samples as transport_metrics
from w2dual.evaluation.samples import ENDS
from w2dual.measures import Pair, SolvedPair
from w2dual.records import InputError, finite
from w2dual.training.incidents import SOLVED
from w2dual.training.methods import Conjugating, Method
from w2dual.training.watch import Headline

COUNTS = "conjugate_status_counts"
"""The field of an evaluation that is not one number a seed."""


@dataclass(frozen=True)
class CellEvaluation:
    """What evaluates one cell on its measures (`watch.Evaluation`)."""

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
        counts = getattr(values, COUNTS)[index]
        solved = _has_solver(self.method)
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


def make(method: Method[Any], pair: Pair, cell: Cell) -> CellEvaluation:
    """Build what evaluates a cell.

    Args:
        method: what is trained.
        pair: the measures.
        cell: the cell; its `evaluation` says on how many samples.

    Raises:
        InputError: the measures have no known map, and the cell's settings no `epsilon`.
    """
    settings = cell.evaluation
    common = ("dual_objective", "conjugate_iterations_mean")
    common = common if isinstance(method, Conjugating) else ()
    if isinstance(pair, SolvedPair):
        most = max(settings.history_samples, settings.samples)
        errors = ("l2_uvp_forward_percent", "l2_uvp_inverse_percent")
        columns = (*errors, "cosine_forward", "cosine_inverse", *common)
        if _has_solver(method):  # without one there is no optimum to be above
            columns += ("amortization_gap_mean",)
        if isinstance(method, Conjugating):
            columns += ("start_gradient_norm_mean",)
        headline = Headline("l2_uvp_forward_percent", "L2-UVP %")
        evaluator = l2_uvp.evaluator(method, most, settings.block)
    else:
        if not isinstance(settings, SyntheticEvaluationSettings):
            raise InputError(
                f"cell {cell.name}: `settings.evaluation` lacks `epsilon`, which measures without "
                "a known map are evaluated with"
            )
        kinds = ("sinkhorn", "w2", "monge_gap", "cycle")
        columns = (*(f"{name}_{end}" for name in kinds for end in ENDS), *common)
        errors = ("w2_forward", "w2_inverse")
        headline = Headline("w2_forward", "W2 squared")
        evaluator = transport_metrics.evaluator(method, settings.epsilon)
    return CellEvaluation(method, pair, cell, headline, columns, errors, evaluator)


def _has_solver(method: Method[Any]) -> bool:
    return isinstance(method, Conjugating) and method.solver is not None

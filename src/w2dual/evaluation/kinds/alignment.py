"""How well a learned metric is aligned with the one that the population moved under."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.backend import jit
from w2dual.config.cells import Cell, method_kind
from w2dual.config.settings import AlignmentEvaluationSettings
from w2dual.evaluation.base import CellEvaluation
from w2dual.measures import Pair
from w2dual.measures.pairs.snapshots import SnapshotPair
from w2dual.measures.snapshots import alignment
from w2dual.measures.snapshots.truths import TRUTHS
from w2dual.records import InputError
from w2dual.training.methods import Method
from w2dual.training.watch import Headline


@runtime_checkable
class LearnsMetric(Protocol):
    """What a method needs to be evaluated so."""

    def directions(
        self, params: Any, x: Float[Array, "seeds points 2"]
    ) -> Float[Array, "seeds points 2"]:
        """Return the direction that each seed's metric is cheapest along, of any length."""
        ...


class Alignment(NamedTuple):
    """Of each seed."""

    alignment: Float[np.ndarray, " seeds"]


def make(method: Method[Any], pair: Pair, cell: Cell) -> CellEvaluation:
    """Build what evaluates a cell: the mean of |<v_true, v_learned>| over a grid.

    Raises:
        InputError: the method learns no metric, the pair has no true one, or the cell's settings
            say nothing of a grid.
    """
    if not isinstance(method, LearnsMetric):
        raise InputError(
            f"cell {cell.name}: the method `{method_kind(cell.settings)}` learns no metric, which "
            "is what cells on samples of successive times are judged by; take `metric_recovery`"
        )
    if not isinstance(pair, SnapshotPair):
        raise InputError(
            f"cell {cell.name}: its measures are no samples of successive times; expected a pair "
            "of the kind `snapshots`"
        )
    if not isinstance(cell.evaluation, AlignmentEvaluationSettings):
        raise InputError(f"cell {cell.name}: `settings.evaluation` lacks `grid`")
    points = alignment.grid(np.asarray(pair.low), np.asarray(pair.high), cell.evaluation.grid)
    true = np.asarray(TRUTHS[pair.truth](jnp.asarray(points)))
    places = jnp.asarray(points)

    def of_seeds(params: Any) -> Array:
        seeds = jax.tree.leaves(params)[0].shape[0]
        return method.directions(params, jnp.broadcast_to(places[None], (seeds, *places.shape)))

    directions = jit(of_seeds)

    def evaluator(params: Any, keys: Key[Array, " seeds"], pair: Any, samples: int) -> Alignment:
        del keys, pair, samples  # nothing is drawn
        return Alignment(alignment.of_directions(true, np.asarray(directions(params))))

    return CellEvaluation(
        method, pair, cell, Headline("alignment", "alignment"), ("alignment",), (), evaluator
    )

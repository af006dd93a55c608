"""How good a cell's maps are: as its method or its pair asks for, where one does.

Else against the optimal map where it is known, or by samples.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from w2dual.config.cells import EVALUATION, EVALUATIONS, Cell, method_evaluation
from w2dual.config.settings import SyntheticEvaluationSettings
from w2dual.evaluation import l2_uvp
from w2dual.evaluation import samples as transport_metrics
from w2dual.evaluation.base import CellEvaluation, has_solver
from w2dual.evaluation.samples import ENDS
from w2dual.measures import Pair, SolvedPair
from w2dual.records import InputError
from w2dual.training.methods import Conjugating, Method
from w2dual.training.watch import Headline


def make(method: Method[Any], pair: Pair, cell: Cell) -> CellEvaluation:
    """Build what evaluates a cell.

    Args:
        method: what is trained.
        pair: the measures.
        cell: the cell; its `evaluation` says on how many samples.

    Raises:
        InputError: the measures have no known map, and the cell's settings no `epsilon`.
    """
    of_pair = getattr(sys.modules[type(pair).__module__], EVALUATION, None)
    if kind := method_evaluation(cell.settings) or of_pair:
        return importlib.import_module(f"w2dual.{EVALUATIONS}.{kind}").make(method, pair, cell)
    settings = cell.evaluation
    common = ("dual_objective", "conjugate_iterations_mean")
    common = common if isinstance(method, Conjugating) else ()
    if isinstance(pair, SolvedPair):
        most = max(settings.history_samples, settings.samples)
        errors = ("l2_uvp_forward_percent", "l2_uvp_inverse_percent")
        columns = (*errors, "cosine_forward", "cosine_inverse", *common)
        if has_solver(method):  # without one there is no optimum to be above
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

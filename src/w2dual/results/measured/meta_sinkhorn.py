"""Cells of Meta OT between discrete measures: the marginals' error of a predicted start."""

from __future__ import annotations

from w2dual.results.measured.base import Curves, Measured

HEADLINE = "first_error"
MEASURED = Measured(
    metrics=("marginal_error", HEADLINE, "dual_objective"),
    best=("marginal_error", HEADLINE),
    curves=Curves(
        HEADLINE,
        "marginal_error",
        "error of the marginals",
        labels=("after one iteration", "as predicted"),
    ),
)

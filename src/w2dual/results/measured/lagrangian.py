"""Cells of Lagrangian costs: errors of the marginals, and what paths cost."""

from __future__ import annotations

from w2dual.results.measured.base import CONJUGATE, Curves, Measured

HEADLINE = "w2"
MEASURED = Measured(
    metrics=(
        *("w2", "w2_floor", "published", "published_floor", "cost", "cost_reference"),
        *("own_cost", "path_gap", "inside_fraction", "w2_expected", "published_expected"),
        *("cost_expected", "inside_fraction_expected", "dual_objective", *CONJUGATE),
    ),
    curves=Curves(
        HEADLINE,
        "published",
        "squared distance",
        floors=("w2_floor", "published_floor"),
        labels=("squared W2", "entropic, few samples"),
    ),
)

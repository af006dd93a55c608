"""Cells of colour transport: gaps of the dual on held-out pairs of images, and cycles."""

from __future__ import annotations

from w2dual.results.measured.base import Curves, Measured

HEADLINE = "dual_gap_forward_percent"
BOTH = (HEADLINE, "dual_gap_inverse_percent")
MEASURED = Measured(
    metrics=(*BOTH, "cycle_forward", "cycle_inverse"),
    best=BOTH,
    curves=Curves(*BOTH, "gap of the dual (% of W2²)"),
)

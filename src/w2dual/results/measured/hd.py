"""Cells whose optimal map is known: L2-UVP and the cosine of both maps."""

from __future__ import annotations

from w2dual.results.measured.base import CONJUGATE, Curves, Measured

HEADLINE = "l2_uvp_forward_percent"
BOTH = (HEADLINE, "l2_uvp_inverse_percent")
MEASURED = Measured(
    metrics=(*BOTH, "cosine_forward", "cosine_inverse", "dual_objective", *CONJUGATE),
    best=BOTH,
    curves=Curves(*BOTH, "L²-UVP (%)"),
)

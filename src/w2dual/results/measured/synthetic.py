"""Cells without a known map: distances of samples both ways, each with its floor."""

from __future__ import annotations

from w2dual.results.measured.base import CONJUGATE, Curves, Measured

HEADLINE = "w2_forward"
MEASURED = Measured(
    metrics=(
        *(
            f"{name}_{end}"
            for name in ("sinkhorn", "sinkhorn_floor", "w2", "w2_floor")
            + ("cost", "monge_gap", "cycle")
            for end in ("forward", "inverse")
        ),
        "dual_objective",
        *CONJUGATE,
    ),
    curves=Curves(
        HEADLINE, "w2_inverse", "squared W2", floors=("w2_floor_forward", "w2_floor_inverse")
    ),
)

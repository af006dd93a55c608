"""Cells that learn a metric: its alignment with the true one. They have no figure of curves."""

from __future__ import annotations

from w2dual.results.measured.base import Measured

MEASURED = Measured(metrics=("alignment",))

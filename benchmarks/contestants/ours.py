"""w2dual's fused training loop, as `w2dual train` runs it, for one seed."""

from __future__ import annotations

import time
from typing import Any

import jax
import numpy as np

from benchmarks.case import Case


class FusedLoop:
    """`loop.compile_loop`: sampling, conjugation and update of many steps in one program."""

    def __init__(self, case: Case) -> None:
        """Take the case's compiled loop."""
        self.case = case

    def block(self, steps: int) -> float:
        """Take steps from the warm state; return the seconds they took."""
        state = self.case.fresh_state()
        started = time.perf_counter()
        jax.block_until_ready(self.case.loop(state, steps))
        return time.perf_counter() - started

    def facts(self) -> dict[str, Any]:
        """Return the state of the conjugation at the warm state."""
        y, _ = self.case.points()
        result = self.case.conjugate(y)
        norms = np.asarray(result.gradient_norm)
        return {
            "iterations_mean": float(np.mean(result.iterations)),
            "iterations_max": int(np.max(result.iterations)),
            "evaluations_mean": float(np.mean(result.evaluations)),
            "gradient_norm_median": float(np.median(norms)),
            "gradient_norm_max": float(np.max(norms)),
        }

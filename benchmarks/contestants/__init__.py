"""The implementations that are timed, behind two interfaces: training steps, and conjugations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Array, Float, Int

LABELS = {
    "all_cores": "w2dual, all cores",
    "ours": "w2dual, one device",
    "plain": "plain loop",
    "ott": "OTT-JAX",
    "jaxopt_zoom": "jaxopt, zoom",
    "jaxopt_backtracking": "jaxopt, backtracking",
    "optimistix": "optimistix",
}
STEPS = ("all_cores", "ours", "plain", "ott")
CONJUGATIONS = ("ours", "plain", "jaxopt_zoom", "jaxopt_backtracking", "optimistix")
REFERENCES = ("all_cores", "ours")
"""Ratios are to the first of these that takes part."""


class StepContestant(Protocol):
    """An implementation of a training step."""

    def block(self, steps: int) -> float:
        """Take steps from the warm state, the same one each time; return the seconds they took."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what the results file is to say of it, besides times."""
        ...


@dataclass(frozen=True)
class Conjugation:
    """An implementation of conjugation.

    Attributes:
        solve: compiled (parameters of f without seeds, y, start) -> (x_hat, iterations).
    """

    solve: Callable[
        [Any, Float[Array, "batch n"], Float[Array, "batch n"]],
        tuple[Float[Array, "batch n"], Int[Array, " batch"]],
    ]

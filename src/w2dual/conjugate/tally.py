"""How the conjugates of some points fared: statuses counted, and in words.

A conjugate that did not converge is a result, and whoever uses it says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from w2dual.conjugate import ConjugateResult, Status

GUESS = "guess"
"""In the place of a status, where no solver has looked at a point."""
_WORDS = {
    Status.RUNNING: "not finished",
    Status.ITERATION_LIMIT: "at the iteration limit",
    Status.STALLED: "stalled",
    Status.LINE_SEARCH_FAILED: "failed in the line search",
    Status.NON_FINITE: "not finite",
}


@dataclass(frozen=True)
class Tally:
    """Of some points' conjugates.

    Attributes:
        solver: whether a solver was there; without one x_tilde(y) stands for x_hat(y).
        counts: points of each status.
        norm_median: of the gradient norm max|grad f(x) - y|, over all points.
        norm_worst: its largest value; nan where a point is not finite.
    """

    solver: bool
    counts: Mapping[Status, int]
    norm_median: float
    norm_worst: float

    @staticmethod
    def of(result: ConjugateResult, solver: bool) -> Tally:
        """Count the statuses of a result."""
        status, norm = np.asarray(result.status), np.asarray(result.gradient_norm)
        counts = {item: int(np.sum(status == item)) for item in Status}
        return Tally(solver, counts, float(np.median(norm)), float(np.max(norm)))

    @property
    def points(self) -> int:
        """Points in all."""
        return sum(self.counts.values())

    @property
    def not_converged(self) -> int:
        """Points that are not a solution: all of them where there is no solver."""
        return self.points - (self.counts[Status.CONVERGED] if self.solver else 0)

    def __str__(self) -> str:
        """Say it in a line."""
        norms = f"max|grad f(x) - y|: median {self.norm_median:.3g}, worst {self.norm_worst:.3g}"
        if not self.solver:
            return (
                f"the cell has no conjugate solver: {self.points} points are x_tilde(y), the "
                f"amortization model's guess of x_hat(y); {norms}"
            )
        others = ", ".join(
            f"{self.counts[item]} {words}" for item, words in _WORDS.items() if self.counts[item]
        )
        converged = f"{self.counts[Status.CONVERGED]} of {self.points} conjugates converged"
        return f"{converged}{f', {others}' if others else ''}; {norms}"


def names(result: ConjugateResult, solver: bool) -> list[str]:
    """Name the status of each point as metrics.json does, or `guess` without a solver."""
    statuses = np.asarray(result.status).ravel().tolist()
    return [Status(item).name.lower() if solver else GUESS for item in statuses]


def add(tallies: Iterable[Tally]) -> Tally | None:
    """Add tallies of one cell up; the median is the largest of theirs. None for no points."""
    found = list(tallies)
    if not found:
        return None
    counts = {item: sum(tally.counts[item] for tally in found) for item in Status}
    norms: list[Any] = [[t.norm_median for t in found], [t.norm_worst for t in found]]
    median, worst = (float(np.max(item)) for item in norms)
    return Tally(found[0].solver, counts, median, worst)

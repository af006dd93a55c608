"""What a module of this package says of the cells of its system."""

from __future__ import annotations

from dataclasses import dataclass

CONJUGATE = (
    "conjugate_iterations_mean",
    "conjugate_gradient_norm_median",
    "conjugate_gradient_norm_max",
)
"""Figures of conjugates that a solver has found."""


@dataclass(frozen=True)
class Curves:
    """The errors that a figure of training curves shows.

    Attributes:
        forward, inverse: columns of the history.
        label: of the axis.
        floors: of both, fields of a seed's final record; None where the optimum is 0.
        labels: what the two columns are called.
    """

    forward: str
    inverse: str
    label: str
    floors: tuple[str, str] | None = None
    labels: tuple[str, str] = ("forward", "inverse")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a history needs."""
        return ("seed", "step", self.forward, self.inverse)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What cells are measured by.

    Attributes:
        metrics: fields of a seed's final record, which are columns of the tidy metrics.
        best: those of which the best evaluation of a seed's history is gathered too, with its step:
            infinite where none was finite, and empty only in metrics of an older version, which did
            not keep it.
        curves: what a figure of training curves shows; None where none is drawn.
    """

    metrics: tuple[str, ...]
    best: tuple[str, ...] = ()
    curves: Curves | None = None

"""A wall across the first axis with an opening: U = M b_1(x_1) (b_2(x_2) - 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Array, Float

from w2dual.paths.obstacles.base import Number, Points, band
from w2dual.records import InputError


@dataclass(frozen=True)
class Slit:
    """The wall around x_1 = 0, open around x_2 = 0."""

    half_thickness: float
    half_opening: float
    WALLS: ClassVar[bool] = True

    def __call__(self, x: Points, strength: Number, temperature: Number) -> Float[Array, "*batch"]:
        """Return U(x)."""
        wall = band(x[0], -self.half_thickness, self.half_thickness, temperature)
        opening = band(x[1], -self.half_opening, self.half_opening, temperature)
        return strength * wall * (opening - 1.0)


def make(settings: Mapping[str, Any], dimension: int) -> Slit:
    """Build the wall from `half_thickness` and `half_opening`.

    Raises:
        InputError: points have one coordinate, so that there is nowhere to open it.
    """
    if dimension < 2:
        raise InputError(f"obstacle slit: points in R^{dimension}; expected R^2 or more")
    return Slit(**settings)

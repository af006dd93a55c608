"""Potentials U <= 0 of an action, whose -U is a penalty: obstacles, and forces such as a well.

A kind is one module of this package with `make(settings, dimension) -> Obstacle`; the name in the
config is the module's. How strong and how sharp it is comes from outside, since both are annealed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from w2dual import extensions
from w2dual.config import kinds
from w2dual.paths.obstacles.base import Annealing, Obstacle, band

__all__ = ["Annealing", "Obstacle", "band", "make"]


def make(settings: Mapping[str, Any], dimension: int) -> Obstacle:
    """Build the obstacle that the settings describe, for points in R^dimension.

    Raises:
        InputError: there is no such kind, its settings do not fit, or it is not a number for each
            point.
    """
    kind = settings["kind"]
    obstacle = extensions.make(
        __name__,
        "obstacle",
        "make(settings, dimension)",
        "a function of (x, strength, temperature)",
        kind,
        extensions.without_kind(settings),
        dimension,
        known=lambda: kinds.of("obstacles"),
    )
    _check(obstacle, kind, dimension)
    return obstacle


def _check(obstacle: Callable[..., Any], kind: str, dimension: int) -> None:
    """Check that an obstacle maps points to numbers, without computing anything."""
    points = jax.ShapeDtypeStruct((dimension, 3, 5), jnp.float32)
    number = jax.ShapeDtypeStruct((), jnp.float32)
    found = extensions.shapes(
        obstacle,
        points,
        number,
        number,
        message=f"obstacle kind {kind!r}: cannot be applied to points of shape {points.shape}",
    )
    if not extensions.is_array(found, (3, 5)):
        extensions.refuse(
            "obstacle",
            kind,
            f"maps points of shape {points.shape} to {extensions.described(found)}",
            "expected shape (3, 5), one number U(x) for each point: coordinates come first",
        )

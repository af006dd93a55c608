"""Pairs of discrete measures that the tests share, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from w2dual.measures.discrete.support import Support, grid_points

SIDE = 7
EPSILON = 0.05


class Problem(NamedTuple):
    """Measures on a grid with points that have no mass."""

    support: Support
    a: Any  # NumPy's, which the solvers take as they take JAX's
    b: Any


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture
def problem() -> Problem:
    draws = np.random.default_rng(0)
    a, b = (draws.uniform(size=SIDE**2) * (draws.uniform(size=SIDE**2) < 0.5) for _ in range(2))
    points = grid_points(SIDE)
    support = Support(rows=points, columns=points, cost="grid", epsilon=EPSILON, side=SIDE)
    return Problem(support, a / a.sum(), b / b.sum())

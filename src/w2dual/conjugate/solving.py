"""The way in for whoever has points to conjugate: a kernel where there is one, else the driver.

Both take the same steps but for rounding: where a point is a rounding away from a tolerance, or
where a line search compares values that no longer differ, counts of iterations can differ
(docs/performance.md says how often). `base.drive` is what a kernel is checked against.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from w2dual.conjugate import base
from w2dual.conjugate.base import INNER_PRODUCT, ConjugateResult, ConjugateSolver, Oracle, Points
from w2dual.conjugate.costs import Cost
from w2dual.conjugate.kernels import choice
from w2dual.potentials import Oracle as PotentialOracle
from w2dual.potentials.layered import layered

log = logging.getLogger(__name__)


def solve(
    solver: ConjugateSolver[Any],
    oracle: Oracle,
    y: Any,
    x_init: Points,
    lanes: int | None = None,
    cost: Cost = INNER_PRODUCT,
) -> ConjugateResult:
    """Minimise J_f(x; y) = f(x) + c(x, y) over x for each point, from x_init.

    On a GPU one kernel solves for all points, where solver and potential are of the kinds that it
    knows and fit it (`kernels.choice`), the cost is -<x, y>, and no number of lanes is asked for.

    Args:
        solver: the solver.
        oracle: f and its gradient; a `potentials.Oracle` says of what, which a kernel needs.
        y: points to conjugate at, (seeds, points, n), or the cost's context.
        x_init: starts, (seeds, points, n).
        lanes: as in `base.drive`.
        cost: c, by default -<x, y>.

    Returns:
        The result for each point; the status says whether it converged.
    """
    plain = cost == INNER_PRODUCT and lanes is None
    if jax.default_backend() == "gpu" and plain and y.dtype == jnp.float32:
        kernel = kernel_of(solver, oracle, y.shape[-1])
        _say(*y.shape, "by a loop of operations" if kernel is None else "by one kernel")
        if kernel is not None:
            return kernel(y, x_init)
    return base.drive(solver, oracle, y, x_init, lanes, cost)


@functools.cache
def _say(seeds: int, points: int, n: int, way: str) -> None:
    """Log which way conjugates are found: once each, since a program is traced more than once."""
    log.info("conjugates of %d x %d points in R^%d %s", seeds, points, n, way)


def kernel_of(
    solver: ConjugateSolver[Any], oracle: Oracle, n: int, interpret: bool = False
) -> Callable[[Points, Points], ConjugateResult] | None:
    """Return the kernel for a solver and an oracle; None where there is none."""
    if not isinstance(oracle, PotentialOracle):
        return None
    return choice.choose(solver, layered(oracle.potential, oracle.params), n, interpret)

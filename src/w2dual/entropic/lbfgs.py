"""The project's L-BFGS on the semi-dual, by its driver: an instance is a point, and has a lane.

What the driver minimises over x is f(x) + c(x, y). Here f is 0, x is u = f/eps, and c is minus the
semi-dual over epsilon, whose context is the instance's weights. It stops by the error of the
marginals, which is the sum of the gradient's entries in size, and not by their largest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from w2dual.conjugate.base import ConjugateSolver, Objective, Status, Vectors, drive
from w2dual.conjugate.lbfgs import LBFGS, LBFGSState
from w2dual.conjugate.lbfgs import make as make_lbfgs
from w2dual.entropic import semi_dual
from w2dual.entropic.counts import NEVER, Counts, Goal, Solution
from w2dual.entropic.geometry import Columns, Geometry, Rows
from w2dual.entropic.semi_dual import masked


class Weights(NamedTuple):
    """The context of an instance: weights of source and target."""

    a: Any
    b: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MinusSemiDual:
    """c(u; (a, b)) = -D(u)/eps (`conjugate.Cost`)."""

    geometry: Geometry

    def value_and_gradient(self, x: Vectors, context: Weights) -> tuple[Array, Vectors]:
        """Return -D/eps and its gradient P 1 - a, for each lane; rows without mass stay."""
        evaluate = jax.vmap(jax.vmap(semi_dual.evaluate, (None, 0, 0, 0)), (None, 0, 0, 0))
        u, a, b = (jnp.moveaxis(leaf, 0, -1) for leaf in (x, *context))
        at = evaluate(self.geometry, masked(u, a), a, b)
        return -at.value, -jnp.moveaxis(at.gradient, -1, 0)


@dataclass(frozen=True)
class ToError(ConjugateSolver[LBFGSState]):
    """L-BFGS that stops where the gradient's entries add up to no more than `tolerance` in size."""

    solver: LBFGS
    tolerance: float

    def init(self, x_init: Vectors) -> LBFGSState:
        """Stand at the start, not evaluated yet."""
        return self.solver.init(x_init)

    def restart(self, state: LBFGSState, where: Array, x_init: Vectors) -> LBFGSState:
        """Start again in some lanes."""
        return self.solver.restart(state, where, x_init)

    def step(self, objective: Objective, state: LBFGSState) -> LBFGSState:
        """Take the solver's step; the start may be good enough already."""
        new = self.solver.step(objective, state)
        near = jnp.sum(jnp.abs(new.gradient), axis=0) <= self.tolerance
        fine = near & (new.evaluations > 0) & (new.status != Status.NON_FINITE)
        return new._replace(status=jnp.where(fine, Status.CONVERGED, new.status))


def make(settings: Mapping[str, Any]) -> LBFGS:
    """Build the solver of a config's `solvers`, whose own tolerances are of no account here.

    Raises:
        InputError: its settings do not fit.
    """
    kept = {key: value for key, value in settings.items() if key != "kind"}
    return replace(make_lbfgs(kept), gradient_tolerance=0.0, decrease_tolerance=0.0)


def solve(geometry: Geometry, a: Rows, b: Columns, u: Rows, goal: Goal, solver: LBFGS) -> Solution:
    """Maximise the semi-dual of one instance: `solve_all` of one lane."""
    found = solve_all(geometry, a[None], b[None], u[None], goal, solver)
    return jax.tree.map(lambda leaf: leaf[0], found)


def solve_all(
    geometry: Geometry, a: Rows, b: Columns, u: Rows, goal: Goal, solver: LBFGS
) -> Solution:
    """Maximise the semi-dual of all instances, once for each tolerance.

    Args:
        geometry: of the points.
        a: weights of the sources, (instances, n_a).
        b: weights of the targets, (instances, n_b).
        u: the starts over epsilon.
        goal: tolerances; the error is known at every iteration, the start's too, as iteration 0.
        solver: with its other settings; two kernel products an evaluation.
    """
    solver = replace(solver, max_iterations=goal.max_iterations)
    start = jnp.where(a > 0, u, 0.0)[None]
    context = Weights(a[None], b[None])
    iterations, products, result = [], [], None
    for tolerance in goal.tolerances:
        result = drive(
            ToError(solver, tolerance),
            lambda x: (jnp.zeros(x.shape[:-1], x.dtype), jnp.zeros_like(x)),
            context,
            start,
            lanes=start.shape[1],
            cost=MinusSemiDual(geometry),
        )
        met = result.status[0] == Status.CONVERGED
        iterations.append(jnp.where(met, result.iterations[0], NEVER))
        products.append(jnp.where(met, 2 * result.evaluations[0], NEVER))
    assert result is not None  # noqa: S101  (a goal has a tolerance)
    looks = (len(a), len(goal.every), len(goal.tolerances))
    found = [
        jnp.broadcast_to(jnp.stack(item, axis=1)[:, None], looks) for item in (iterations, products)
    ]
    end = masked(result.x[0], a)
    at = jax.vmap(semi_dual.evaluate, (None, 0, 0, 0))(geometry, end, a, b)
    error = jnp.sum(jnp.abs(at.gradient), axis=1)
    return Solution(end, error, result.iterations[0], Counts(*found))

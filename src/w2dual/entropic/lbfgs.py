"""The project's L-BFGS on the semi-dual: an instance has a lane.

What it minimises over x is f(x) + c(x, y). Here f is 0, x is u = f/eps, and c is minus the
semi-dual over epsilon, whose context is the instance's weights. It stops by the error of the
marginals, which is the sum of the gradient's entries in size, and not by their largest, and only
where the error is looked at: a loop of its own steps it, since the solvers' driver knows no looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from w2dual.conjugate.base import Status, Vectors
from w2dual.conjugate.lbfgs import LBFGS, LBFGSState
from w2dual.conjugate.lbfgs import make as make_lbfgs
from w2dual.entropic import semi_dual
from w2dual.entropic.counts import Goal, Solution
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


class Run(NamedTuple):
    """Of all instances: where the solver is, and how and where each ended or has come to."""

    state: LBFGSState
    status: Int[Array, " instances"]
    reached: Solution


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
    """Maximise the semi-dual of all instances, each until it has met all tolerances.

    An instance ends sooner where no trial of a line search is enough.

    Args:
        geometry: of the points.
        a: weights of the sources, (instances, n_a).
        b: weights of the targets, (instances, n_b).
        u: the starts over epsilon.
        goal: tolerances, and how often the error is looked at; it is known at every iteration,
            the start's too, as iteration 0.
        solver: with its other settings; two kernel products an evaluation.
    """
    solver = replace(solver, max_iterations=goal.max_iterations)
    cost, context = MinusSemiDual(geometry), Weights(a.T[:, None], b.T[:, None])
    note = jax.vmap(goal.note)

    def runs(run: Run) -> Bool[Array, " instances"]:
        unmet = jax.vmap(goal.open)(run.reached.counts, run.reached.iterations)
        return unmet & (run.status == Status.RUNNING)

    def body(run: Run) -> Run:
        state = solver.step(lambda x: cost.value_and_gradient(x, context), run.state)
        x, gradient = state.x[:, 0].T, state.gradient[:, 0].T
        status, iterations = state.status[0], state.iterations[0]
        # The gradient of a start that is not finite is the one before: 0.
        known = status != Status.NON_FINITE
        error = jnp.where(known, jnp.sum(jnp.abs(gradient), axis=1), jnp.inf)
        counts = note(run.reached.counts, error, iterations, 2 * state.evaluations[0])
        new = (status, Solution(x, error, iterations, counts))
        pick = partial(_choose, runs(run))
        return Run(state, *jax.tree.map(pick, new, (run.status, run.reached)))

    start = jnp.where(a > 0, u, 0.0)
    state = solver.init(start.T[:, None])
    counts = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(a), *leaf.shape)), goal.start())
    far = jnp.full(len(a), jnp.inf, start.dtype)
    begin = Run(state, state.status[0], Solution(start, far, state.iterations[0], counts))
    end = jax.lax.while_loop(lambda run: jnp.any(runs(run)), body, begin).reached
    return end._replace(u=masked(end.u, a))


def _choose(pick: Bool[Array, " instances"], new: Array, old: Array) -> Array:
    """Of leaves with instances first, take the new where `pick` says so."""
    return jnp.where(pick.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

"""L-BFGS with an Armijo line search (Nocedal and Wright 2006, alg. 7.4 and 7.5; Amos 2023, app. A).

Iteration k:  p = -H_k g  by the two-loop recursion over the last `history` pairs
(s, d) = (x_{k+1} - x_k, g_{k+1} - g_k), H_k^0 = (s.d / d.d) I of the newest pair, I at first;
a = the largest of shrink^0, shrink^-1, ... with J(x + a p) < J(x) + c1 a g.p;  x <- x + a p.

The trial steps are tried one after another, largest first, and each evaluation is one call of
`step`; or all of them in parallel, as the paper does on a GPU, one call of `step` for an iteration.
Both give the same iterates. One after another each trial evaluates the gradient along with the
value, since nearly all first trials are accepted and then no second evaluation is needed.

Here (s, d) stand for N&W's (s, y), because y is the point to conjugate at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from w2dual.conjugate.base import (
    ConjugateSolver,
    Lanes,
    Objective,
    Status,
    Vectors,
    all_finite,
    choose,
    inner,
    max_norm,
)
from w2dual.records import InputError


class LBFGSState(NamedTuple):
    """The state of each lane; pair i of the histories is the i-th oldest, of `pairs`."""

    x: Vectors
    value: Lanes
    gradient: Vectors
    status: Int[Array, "seeds lanes"]
    iterations: Int[Array, "seeds lanes"]
    evaluations: Int[Array, "seeds lanes"]
    direction: Vectors
    slope: Lanes
    trial: Int[Array, "seeds lanes"]
    pairs: Int[Array, "seeds lanes"]
    displacements: Float[Array, "history n seeds lanes"]
    differences: Float[Array, "history n seeds lanes"]
    inverse_curvatures: Float[Array, "history seeds lanes"]  # 1 / s.d; 0 marks an empty place
    scale: Lanes


class _Trial(NamedTuple):
    """Where a line search stands after one call of `step`."""

    x: Vectors
    value: Lanes
    gradient: Vectors
    accepted: Bool[Array, "seeds lanes"]
    failed: Bool[Array, "seeds lanes"]
    evaluations: int


@dataclass(frozen=True)
class LBFGS(ConjugateSolver[LBFGSState]):
    """The solver; settings as in the config's `solvers`."""

    history: int
    gradient_tolerance: float
    max_iterations: int
    decrease_tolerance: float
    armijo: float
    shrink: float
    trials: int
    line_search: Literal["sequential", "parallel"]
    curvature: Literal["positive", "any"]

    def init(self, x_init: Vectors) -> LBFGSState:
        """Stand at the start, not evaluated yet."""
        lanes, dtype = x_init.shape[1:], x_init.dtype
        count = jnp.zeros(lanes, jnp.int32)
        number = jnp.zeros(lanes, dtype)
        history = jnp.zeros((self.history, *x_init.shape), dtype)
        return LBFGSState(
            x=x_init,
            value=number,
            gradient=jnp.zeros_like(x_init),
            status=jnp.full(lanes, Status.RUNNING, jnp.int32),
            iterations=count,
            evaluations=count,
            direction=jnp.zeros_like(x_init),
            slope=number,
            trial=count,
            pairs=count,
            displacements=history,
            differences=history,
            inverse_curvatures=jnp.zeros((self.history, *lanes), dtype),
            scale=jnp.ones(lanes, dtype),
        )

    def restart(self, state: LBFGSState, where: Array, x_init: Vectors) -> LBFGSState:
        """Start again in some lanes; old pairs stay, with weight 0, as wiping them costs more."""
        new = super().restart(state, where, x_init)
        return new._replace(displacements=state.displacements, differences=state.differences)

    def step(self, objective: Objective, state: LBFGSState) -> LBFGSState:
        """Try one step length, or all; where one is accepted, take it and find a direction.

        The first call evaluates the start, which is accepted where it is finite. A start that
        meets the tolerance already still gets one iteration, as in the published code: near the
        end of training that iteration is what fine-tunes most points.
        """
        start = state.evaluations == 0
        search = self._parallel if self.line_search == "parallel" else self._sequential
        x, value, gradient, accepted, failed, evaluations = search(objective, state, start)
        pair = accepted & ~start
        moved = self._remember(state, pair, x - state.x, gradient - state.gradient)

        x = jnp.where(accepted[None], x, state.x)
        gradient = jnp.where(accepted[None], gradient, state.gradient)
        iterations = state.iterations + (pair | failed)
        status = jnp.where(iterations >= self.max_iterations, Status.ITERATION_LIMIT, state.status)
        stalled = state.value - value < self.decrease_tolerance
        status = jnp.where(stalled, Status.STALLED, status)
        status = jnp.where(failed, Status.LINE_SEARCH_FAILED, status)
        converged = max_norm(gradient) < self.gradient_tolerance
        status = jnp.where(converged, Status.CONVERGED, status)
        status = jnp.where(pair | failed, status, state.status)
        status = jnp.where(start & ~accepted, Status.NON_FINITE, status)

        direction = -_two_loop(gradient, moved)
        direction = jnp.where(accepted[None], direction, state.direction)
        return moved._replace(
            x=x,
            value=jnp.where(accepted, value, state.value),
            gradient=gradient,
            status=status.astype(jnp.int32),
            iterations=iterations,
            evaluations=state.evaluations + evaluations,
            direction=direction,
            slope=inner(direction, gradient),
            trial=jnp.where(accepted, 0, state.trial + 1),
        )

    def _lengths(self, dtype: Any) -> np.ndarray:
        return np.power(np.float64(self.shrink), -np.arange(self.trials)).astype(dtype)

    def _enough(self, state: LBFGSState, length: Lanes, value: Lanes) -> Array:
        """Armijo's condition (Nocedal and Wright, eq. 3.4), as in the published code strictly."""
        return value < state.value + self.armijo * length * state.slope

    def _sequential(self, objective: Objective, state: LBFGSState, start: Array) -> _Trial:
        """Evaluate the next trial of each lane."""
        length = jnp.asarray(self._lengths(state.value.dtype))[state.trial]
        x = state.x + length[None] * state.direction
        value, gradient = objective(x)
        accepted = (start | self._enough(state, length, value)) & all_finite(value, gradient)
        failed = ~accepted & ~start & (state.trial + 1 >= self.trials)
        return _Trial(x, value, gradient, accepted, failed, 1)

    def _parallel(self, objective: Objective, state: LBFGSState, start: Array) -> _Trial:
        """Evaluate all trials of each lane, then the gradient at the largest that is enough."""

        def try_length(length: Array) -> Array:
            value, gradient = objective(state.x + length * state.direction)
            enough = self._enough(state, jnp.full_like(value, length), value)
            return enough & all_finite(value, gradient)

        lengths = jnp.asarray(self._lengths(state.value.dtype))
        enough = jax.vmap(try_length)(lengths)
        chosen = lengths[jnp.argmax(enough, axis=0)]
        x = state.x + chosen[None] * state.direction
        value, gradient = objective(x)
        accepted = (start | jnp.any(enough, axis=0)) & all_finite(value, gradient)
        return _Trial(x, value, gradient, accepted, ~accepted & ~start, self.trials + 1)

    def _remember(self, state: LBFGSState, accepted: Array, s: Vectors, d: Vectors) -> LBFGSState:
        """Add the new pair to the history of the lanes that accepted it.

        A full history drops its oldest pair.

        With `curvature: any` every pair enters, as in the published code. One with s.d <= 0, which
        there is where f is not convex, can make the next direction one of ascent; then no trial is
        enough, and the point ends where it is. With `positive` such pairs are skipped (Nocedal and
        Wright, p. 537), and the point goes on.
        """
        curvature, square = inner(s, d), inner(d, d)
        keep = accepted
        if self.curvature == "positive":
            keep &= (curvature > jnp.finfo(s.dtype).eps * square) & (square > 0)
            keep &= jnp.isfinite(square)
        safe_curvature = jnp.where(keep, curvature, 1.0)
        safe_square = jnp.where(keep, square, 1.0)
        full = keep & (state.pairs == self.history)
        place = jnp.where(full, self.history - 1, state.pairs)

        def row(i: Array, histories: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            write, shift = keep & (place == i), full & (i < self.history - 1)

            def one(history: Array, new: Array) -> Array:
                old, newer = history[i], history[jnp.minimum(i + 1, self.history - 1)]
                kept = choose(shift, newer, choose(write, new, old))
                return history.at[i].set(kept)

            places = (s, d, 1.0 / safe_curvature)
            displacements, differences, inverses = map(one, histories, places)
            return displacements, differences, inverses

        histories = (state.displacements, state.differences, state.inverse_curvatures)
        if jax.default_backend() != "cpu":
            histories = _written(histories, (s, d, 1.0 / safe_curvature), place, keep, full)
            return self._with_pairs(state, histories, keep, full, safe_curvature / safe_square)
        # Only the rows that some lane writes to, which are few: lanes are of similar age.
        first = jnp.where(jnp.any(full), 0, jnp.min(jnp.where(keep, place, self.history)))
        last = jnp.max(jnp.where(keep, place, -1))
        histories = jax.lax.fori_loop(first, last + 1, row, histories)
        return self._with_pairs(state, histories, keep, full, safe_curvature / safe_square)

    def _with_pairs(
        self,
        state: LBFGSState,
        histories: tuple[Array, Array, Array],
        keep: Array,
        full: Array,
        scale: Lanes,
    ) -> LBFGSState:
        return state._replace(
            pairs=jnp.where(keep & ~full, state.pairs + 1, state.pairs),
            displacements=histories[0],
            differences=histories[1],
            inverse_curvatures=histories[2],
            scale=jnp.where(keep, scale, state.scale),
        )


def _written(
    histories: tuple[Array, Array, Array],
    new: tuple[Array, Array, Array],
    place: Array,
    keep: Array,
    full: Array,
) -> tuple[Array, Array, Array]:
    """Return the histories with the new pair in its place, all rows at once.

    On a GPU a loop over the rows that change costs more than all rows do.
    """
    rows = jnp.arange(histories[0].shape[0])
    write = keep[None] & (place[None] == rows[:, None, None])

    def one(history: Array, item: Array) -> Array:
        later = jnp.concatenate([history[1:], history[-1:]])
        spread = (slice(None), *(None for _ in range(history.ndim - 3)))
        kept = jnp.where(full[(None, *spread[1:])], later, history)
        return jnp.where(write[spread], item[None], kept)

    displacements, differences, inverses = map(one, histories, new)
    return displacements, differences, inverses


def _two_loop(gradient: Vectors, state: LBFGSState) -> Vectors:
    """H g by Nocedal and Wright, alg. 7.4; empty places have weight 0 and change nothing.

    On a CPU the loops go over the places that any lane has filled; most solves end after few
    iterations. On a GPU, where starting an operation is what costs, they are unrolled over all.
    """
    s, d, rho = state.displacements, state.differences, state.inverse_curvatures
    if jax.default_backend() != "cpu":
        return _two_loop_unrolled(gradient, state)
    filled = jnp.max(state.pairs)

    def newest_first(count: Array, carry: tuple[Vectors, Array]) -> tuple[Vectors, Array]:
        q, weights = carry
        i = filled - 1 - count
        weight = rho[i] * inner(s[i], q)
        return q - weight[None] * d[i], weights.at[i].set(weight)

    def oldest_first(i: Array, q: Vectors) -> Vectors:
        back = rho[i] * inner(d[i], q)
        return q + (weights[i] - back)[None] * s[i]

    empty = jnp.zeros_like(rho)
    q, weights = jax.lax.fori_loop(0, filled, newest_first, (gradient, empty))
    return jax.lax.fori_loop(0, filled, oldest_first, state.scale[None] * q)


def _two_loop_unrolled(gradient: Vectors, state: LBFGSState) -> Vectors:
    """H g as `_two_loop` has it, over all places of the history."""
    s, d, rho = state.displacements, state.differences, state.inverse_curvatures
    q, weights = gradient, []
    for i in reversed(range(len(rho))):
        weights.append(rho[i] * inner(s[i], q))
        q = q - weights[-1][None] * d[i]
    q = state.scale[None] * q
    for i, weight in enumerate(reversed(weights)):
        q = q + (weight - rho[i] * inner(d[i], q))[None] * s[i]
    return q


def make(settings: Mapping[str, Any]) -> LBFGS:
    """Build the solver from its settings.

    Raises:
        InputError: there is no such line search, or no such choice of pairs.
    """
    solver = LBFGS(**settings)
    if solver.curvature not in ("positive", "any"):
        raise InputError(f"curvature {solver.curvature!r}: expected `positive` or `any`")
    if solver.line_search not in ("sequential", "parallel"):
        raise InputError(f"line_search {solver.line_search!r}: expected `sequential` or `parallel`")
    return solver

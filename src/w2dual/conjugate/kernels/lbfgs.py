"""L-BFGS on a block of points inside a kernel: the iterates of `conjugate.lbfgs`.

Both line searches are the one after another here, since their iterates are the same; the count of
evaluations is that of the search that was asked for. The history is a ring in global memory, which
the second-level cache holds, with a position for each point; pairs that no point of the block has
are passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from w2dual.conjugate.base import Status
from w2dual.conjugate.kernels.launch import Body, Objective, Standing
from w2dual.conjugate.kernels.layout import Layout, Vector, each
from w2dual.conjugate.kernels.pallas import triton
from w2dual.conjugate.lbfgs import LBFGS


class Carried(NamedTuple):
    """What an iteration needs of the last ones, but for the pairs themselves."""

    direction: Vector
    slope: Any
    trial: Any
    pairs: Any  # ever kept, of which the newest are in the ring
    scale: Any


class Pair(NamedTuple):
    """(s, d) of each point, and 1 / s.d; zeros where a point has none."""

    s: Vector
    d: Vector
    inverse_curvature: Any


SOLVER = LBFGS
"""What this is the kernel of."""


def body(solver: LBFGS, layout: Layout, interpret: bool) -> Body:
    """Return the solver as a kernel runs it."""
    slots = solver.history

    def init() -> Carried:
        number = jnp.zeros((layout.points,), layout.dtype)
        count = jnp.zeros((layout.points,), jnp.int32)
        return Carried(layout.zeros(), number, count, count, jnp.ones_like(number))

    def step(
        objective: Objective, now: Standing, carried: Carried, turn: Any, *memory: Any
    ) -> tuple[Standing, Carried]:
        ring = Ring(layout, slots, memory, interpret)
        return _step(solver, ring, objective, now, carried, turn == 0)

    ring = (slots, *layout.slot)
    return Body(init, step, None, (ring, ring, (slots, layout.points)))


@dataclass(frozen=True)
class Ring:
    """The newest pairs of each point."""

    layout: Layout
    slots: int
    memory: tuple[Any, ...]
    interpret: bool

    def add(self, pairs: Any, keep: Any, pair: Pair) -> None:
        """Store a pair of the points that keep one, as the one after `pairs`."""
        s_ref, d_ref, inverse_ref = self.memory
        slot = lax.rem(pairs, np.int32(self.slots))
        mask = self.layout.wide(keep)
        for at, s, d in zip(self.layout.addresses(slot), pair.s, pair.d, strict=True):
            triton.store(s_ref.at[at], s, mask=mask)
            triton.store(d_ref.at[at], d, mask=mask)
        triton.store(inverse_ref.at[slot, self._lanes()], pair.inverse_curvature, mask=keep)
        if not self.interpret:
            triton.debug_barrier()  # other threads may read what this one has stored

    def load(self, pairs: Any, age: int) -> Pair:
        """Load the pair of each point that is the newest but `age`, zeros where there is none."""
        s_ref, d_ref, inverse_ref = self.memory
        there = pairs > age
        slot = lax.rem(jnp.maximum(pairs - 1 - age, 0), np.int32(self.slots))
        mask = self.layout.wide(there)

        def vector(ref: Any) -> Vector:
            places = self.layout.addresses(slot)
            return tuple(triton.load(ref.at[at], mask=mask, other=0.0) for at in places)

        inverse = triton.load(inverse_ref.at[slot, self._lanes()], mask=there, other=0.0)
        return Pair(vector(s_ref), vector(d_ref), inverse)

    def _lanes(self) -> Any:
        return lax.iota(jnp.int32, self.layout.points)


def _step(
    solver: LBFGS, ring: Ring, objective: Objective, now: Standing, carried: Carried, first: Any
) -> tuple[Standing, Carried]:
    """Try one step length of each point; `LBFGS.step` explains."""
    layout = ring.layout
    running = now.status == Status.RUNNING
    start = running & first
    length = _length(solver, carried.trial, layout.dtype)
    x = layout.added(length, carried.direction, now.x)
    found = objective(x)
    enough = found.value < now.value + solver.armijo * length * carried.slope
    accepted = running & found.finite & (start | enough)
    failed = running & ~accepted & ~start & (carried.trial + 1 >= solver.trials)
    moved = accepted & ~start
    done = moved | failed

    s = each(lambda p, q: p - q, x, now.x)
    d = each(lambda p, q: p - q, found.gradient, now.gradient)
    curvature, square = layout.inner(s, d), layout.inner(d, d)
    keep = moved
    if solver.curvature == "positive":
        epsilon = float(np.finfo(layout.dtype).eps)
        keep &= (curvature > epsilon * square) & (square > 0.0) & (square <= layout.largest)
    curvature, square = jnp.where(keep, curvature, 1.0), jnp.where(keep, square, 1.0)
    scale = jnp.where(keep, curvature / square, carried.scale)
    ring.add(carried.pairs, keep, Pair(s, d, 1.0 / curvature))
    pairs = carried.pairs + jnp.where(keep, 1, 0)

    gradient = layout.choose(accepted, found.gradient, now.gradient)
    gradient_norm = jnp.where(accepted, found.gradient_norm, now.gradient_norm)
    iterations = now.iterations + jnp.where(done, 1, 0)
    status = jnp.where(iterations >= solver.max_iterations, Status.ITERATION_LIMIT, now.status)
    stalled = now.value - found.value < solver.decrease_tolerance
    status = jnp.where(stalled, Status.STALLED, status)
    status = jnp.where(failed, Status.LINE_SEARCH_FAILED, status)
    status = jnp.where(gradient_norm < solver.gradient_tolerance, Status.CONVERGED, status)
    status = jnp.where(done, status, now.status)
    status = jnp.where(start & ~accepted, Status.NON_FINITE, status).astype(jnp.int32)

    direction = each(lambda p: -p, _two_loop(ring, gradient, pairs, scale))
    counted = jnp.where(running, 1, 0)
    if solver.line_search == "parallel":  # all trials of an iteration, and the one that is taken
        counted = jnp.where(start | done, solver.trials + 1, 0)
    standing = Standing(
        x=layout.choose(accepted, x, now.x),
        value=jnp.where(accepted, found.value, now.value),
        gradient=gradient,
        gradient_norm=gradient_norm,
        status=status,
        iterations=iterations,
        evaluations=now.evaluations + counted,
    )
    slope = layout.inner(direction, gradient)
    trial = jnp.where(accepted, 0, carried.trial + 1)
    return standing, Carried(direction, slope, trial, pairs, scale)


def _length(solver: LBFGS, trial: Any, dtype: Any) -> Any:
    """Step length of each point's next trial, rounded as the plain solver's are."""
    lengths = np.power(np.float64(solver.shrink), -np.arange(solver.trials)).astype(dtype)
    length = jnp.ones(trial.shape, dtype)
    for k in range(1, solver.trials):
        length = jnp.where(trial == k, float(lengths[k]), length)
    return length


def _two_loop(ring: Ring, gradient: Vector, pairs: Any, scale: Any) -> Vector:
    """H g by Nocedal and Wright, alg. 7.4, over the pairs that any point of the block has."""
    layout = ring.layout
    filled = jnp.max(pairs)
    q, weights = gradient, []

    def where_filled(age: int, apply: Callable[[Any], Any], otherwise: Any, q: Vector) -> Any:
        return lax.cond(filled > age, apply, lambda q: otherwise(q), q)

    for age in range(ring.slots):

        def newest_first(q: Vector, age: int = age) -> tuple[Vector, Any]:
            pair = ring.load(pairs, age)
            weight = pair.inverse_curvature * layout.inner(pair.s, q)
            return each(lambda a, b: a - layout.spread(weight) * b, q, pair.d), weight

        q, weight = where_filled(age, newest_first, lambda q: (q, jnp.zeros_like(scale)), q)
        weights.append(weight)
    q = layout.scaled(scale, q)
    for age in reversed(range(ring.slots)):

        def oldest_first(q: Vector, age: int = age) -> Vector:
            pair = ring.load(pairs, age)
            back = pair.inverse_curvature * layout.inner(pair.d, q)
            return layout.added(weights[age] - back, pair.s, q)

        q = where_filled(age, oldest_first, lambda q: q, q)
    return q

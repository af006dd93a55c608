"""Sinkhorn's iterations in the log domain, over-relaxed where asked for.

One iteration, with u and v the potentials over epsilon:

    v <- (1 - w) v + w (log b - log sum_i exp(u_i - C_ij/eps)),   then u likewise

(Thibault, Chizat, Dossal, Papadakis 2021). With w = 1 the row marginal is a after it, and the error
is that of the columns, as OTT has it; else both are counted. The first iterations are plain, since
over-relaxation makes them worse. An iteration is two kernel products; looking at the error of the
last takes one more, which the next iteration would have used.

An over-relaxed run whose error has grown for `PATIENCE` iterations in a row goes on with w = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.entropic.counts import Counts, Goal, Solution
from w2dual.entropic.geometry import Columns, Geometry, Rows
from w2dual.entropic.semi_dual import log_weights, masked

PATIENCE = 5


@dataclass(frozen=True)
class Relaxation:
    """How far an iteration goes.

    Attributes:
        factor: w; 1 is plain Sinkhorn.
        plain_first: iterations before it applies.
    """

    factor: float = 1.0
    plain_first: int = 0


class State(NamedTuple):
    """Of one instance; `sums` are the log-sum-exps over rows of u."""

    u: Rows
    v: Columns
    sums: Columns
    error: Array
    iteration: Array
    grown: Array
    counts: Counts


def errors(
    geometry: Geometry, a: Rows, b: Columns, u: Rows, count: int, relaxation: Relaxation
) -> Float[Array, " count"]:
    """Return the error after each of the first iterations of one instance."""
    step = partial(_step, geometry, a, b, relaxation)
    goal = Goal((), (1,), count)

    def one(state: State, _: None) -> tuple[State, Array]:
        state = step(state)
        return state, state.error

    return jax.lax.scan(one, _start(geometry, a, b, u, goal), None, count)[1]


def solve(
    geometry: Geometry, a: Rows, b: Columns, u: Rows, goal: Goal, relaxation: Relaxation
) -> Solution:
    """Iterate from u until the smallest tolerance is met, or iterations are used up.

    Args:
        geometry: of the points.
        a: weights of the source of one instance.
        b: weights of its target.
        u: the start over epsilon; ignored where a is 0.
        goal: tolerances, and how often the error is looked at.
        relaxation: of the iterations.
    """

    def body(state: State) -> State:
        state = _step(geometry, a, b, relaxation, state)
        products = 2 * state.iteration + 1
        counts = goal.note(state.counts, state.error, state.iteration, products)
        return state._replace(counts=counts)

    start = _start(geometry, a, b, u, goal)
    end = jax.lax.while_loop(lambda state: goal.open(state.counts, state.iteration), body, start)
    return Solution(end.u, end.error, end.iteration, end.counts)


def half_steps(geometry: Geometry, a: Rows, b: Columns, u: Rows, count: int) -> Rows:
    """Return u after updates of v and u, in turn, as many as `count` says; each two make one u.

    An odd count ends with v, which any value of the semi-dual takes exactly anyway.
    """
    for _ in range(count // 2):
        v = log_weights(b) - geometry.over_rows(u)
        u = masked(log_weights(a) - geometry.over_columns(v), a)
    return u


def _start(geometry: Geometry, a: Rows, b: Columns, u: Rows, goal: Goal) -> State:
    u = masked(u, a)
    sums = geometry.over_rows(u)
    none = jnp.zeros((), jnp.int32)
    far = jnp.full((), jnp.inf, u.dtype)
    return State(u, log_weights(b) - sums, sums, far, none, none, goal.start())


def _step(geometry: Geometry, a: Rows, b: Columns, relaxation: Relaxation, state: State) -> State:
    """Update v, then u, then measure the error of the marginals."""
    allowed = (state.iteration >= relaxation.plain_first) & (state.grown < PATIENCE)
    w = jnp.where(allowed, relaxation.factor, 1.0).astype(state.u.dtype)
    v = (1.0 - w) * state.v + w * (log_weights(b) - state.sums)
    across = geometry.over_columns(v)
    u = masked((1.0 - w) * state.u + w * (log_weights(a) - across), a)
    sums = geometry.over_rows(u)
    rows, columns = jnp.exp(u + across), jnp.exp(v + sums)
    error = jnp.sum(jnp.abs(rows - a)) + jnp.sum(jnp.abs(columns - b))
    # A start is compared with nothing: its error is infinite.
    grows = (error > state.error) & allowed
    grown = jnp.where(state.grown >= PATIENCE, PATIENCE, jnp.where(grows, state.grown + 1, 0))
    return State(u, v, sums, error, state.iteration + 1, grown, state.counts)

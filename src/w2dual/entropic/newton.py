"""Newton's method on the semi-dual, which is concave: n_a unknowns, a dense system at each step.

    (diag(P 1) - P diag(1/b) P' + lambda diag(a) + 1e-9 11') d = a - P 1,   u <- u + t d

with lambda = 1e-3 min(1, error) (Levenberg), the constant direction, which changes nothing, fixed
by the last term, and t the largest of s, s/2, s/4, ... with Armijo's condition (Nocedal and Wright,
eq. 3.4), where s is twice the last t, and 1 at most. A value is one kernel product, and the
gradient one more. The system is built by a dense product of n_a^2 n_b terms, as many as n_a kernel
products on a dense cost, and *not counted* in them.

Where epsilon is small beside the cost, the value is nearly piecewise linear, and from far away most
steps are cut short. With `Annealing` larger epsilons come first, and the solution at the next is
predicted along the path of solutions f(eps), by the implicit function theorem: with r = eps'/eps,

    (the same matrix) d = a - P 1 - (1 - r) q,   u <- (u + d) / r,   q as in `semi_dual.cooling`

It is linear in eps, as the optimal f nearly is where eps is small. A prediction is an iteration as
others are, of three kernel products: q, and value and gradient where it leads; the start at the
first epsilon takes two. The error at the wanted epsilon is known only there: no tolerance is met
before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from w2dual.entropic import semi_dual
from w2dual.entropic.counts import Counts, Goal, Solution
from w2dual.entropic.geometry import NOTHING, Columns, Geometry, Rows, restricted
from w2dual.entropic.semi_dual import Evaluation, masked
from w2dual.records import InputError

CONSTANT = 1.0e-9


@dataclass(frozen=True)
class Annealing:
    """Larger epsilons first, unless the start's error is small at the wanted one.

    Attributes:
        start: the first epsilon, over the wanted one.
        factor: from an epsilon to the next.
        error: of the marginals, from which on the next epsilon is gone to.
    """

    start: float
    factor: float
    error: float

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of range.
        """
        if not (self.start >= 1 and 0 < self.factor < 1 and 0 < self.error < 2):
            raise InputError(
                f"`annealing` has start {self.start}, factor {self.factor} and error {self.error}; "
                "expected a start from 1, a factor between 0 and 1, and an error between 0 and 2"
            )


@dataclass(frozen=True)
class Newton:
    """Settings of the solver.

    Attributes:
        levenberg: lambda is this times the error, or times 1 where the error is above 1.
        armijo: sufficient-increase constant.
        trials: halvings of a step at most.
        annealing: None for none.
    """

    levenberg: float = 1.0e-3
    armijo: float = 1.0e-4
    trials: int = 30
    annealing: Annealing | None = None


class State(NamedTuple):
    """Of one instance.

    `moved` is whether the last line search found a step, `length` its t, and `scale` epsilon over
    the wanted one, by which u is divided and at which `at` is.
    """

    u: Rows
    at: Evaluation
    iteration: Array
    products: Array
    moved: Array
    length: Array
    scale: Array
    counts: Counts


def solve(
    geometry: Geometry, a: Rows, b: Columns, u: Rows, goal: Goal, settings: Newton
) -> Solution:
    """Step from u until the smallest tolerance is met, iterations are used up, or none helps.

    Args:
        geometry: of the points.
        a: weights of the source of one instance.
        b: weights of its target.
        u: the start over epsilon; ignored where a is 0.
        goal: tolerances; the error is known at every iteration, the start's too, as iteration 0.
        settings: of the solver.
    """
    u = masked(u, a)
    start = semi_dual.evaluate(geometry, u, a, b)
    none, two = jnp.zeros((), jnp.int32), jnp.full((), 2, jnp.int32)
    counts = goal.note(goal.start(), start.error, none, two)
    one = jnp.ones((), u.dtype)
    state = State(u, start, none, two, jnp.ones((), bool), one, one, counts)

    def goes_on(state: State) -> Array:
        return goal.open(state.counts, state.iteration) & state.moved

    def step(state: State) -> State:
        return _step(geometry, state, a, b, goal, settings)

    annealing = settings.annealing
    if annealing is None:
        end = jax.lax.while_loop(goes_on, step, state)
        return Solution(end.u, end.at.error, end.iteration, end.counts)

    def step_or_cool(state: State) -> State:
        near = (state.scale > 1) & (state.at.error <= annealing.error)
        cool = partial(_cool, geometry, a=a, b=b, goal=goal, settings=settings)
        return jax.lax.cond(near, partial(cool, factor=annealing.factor), step, state)

    end = jax.lax.while_loop(goes_on, step_or_cool, _warmed(geometry, state, a, b, annealing))
    u = masked(end.scale * end.u, a)
    error = semi_dual.evaluate(geometry, u, a, b).error
    return Solution(u, error, end.iteration, end.counts)


def solve_on_support(
    geometry: Geometry, a: Rows, b: Columns, u: Rows, goal: Goal, settings: Newton, most: int
) -> Solution:
    """Solve on rows and columns with mass alone, `most` of each end at most.

    Args:
        geometry: of all points.
        a: weights of the source of one instance.
        b: weights of its target.
        u: the start over epsilon.
        goal: as of `solve`.
        settings: of the solver.
        most: points with mass at an end at most, static; with fewer, some without are there too.
    """
    rows = jnp.argsort(a == 0, stable=True)[:most]
    columns = jnp.argsort(b == 0, stable=True)[:most]
    fewer = restricted(geometry, rows, columns)
    found = solve(fewer, a[rows], b[columns], u[rows], goal, settings)
    whole = jnp.full_like(a, NOTHING).at[rows].set(found.u)
    return found._replace(u=whole)


def _warmed(geometry: Geometry, state: State, a: Rows, b: Columns, annealing: Annealing) -> State:
    """Return the start at the first epsilon; at the wanted one where its error is small there."""
    far = state.at.error > annealing.error
    scale = jnp.where(far, annealing.start, 1.0).astype(state.u.dtype)
    u = masked(state.u / scale, a)
    at = semi_dual.evaluate(geometry.warmer(scale), u, a, b)
    return state._replace(u=u, at=at, scale=scale, products=state.products + 2 * far)


def _step(
    geometry: Geometry, state: State, a: Rows, b: Columns, goal: Goal, settings: Newton
) -> State:
    """Take a step of Newton's at the state's epsilon."""
    here = geometry if settings.annealing is None else geometry.warmer(state.scale)
    direction = _direction(here, state, a, b, state.at.gradient, settings)
    moved, length, trials = _search(here, state, a, b, direction, settings)
    new = masked(jnp.where(moved, state.u + length * direction, state.u), a)
    at = semi_dual.evaluate(here, new, a, b)  # its value is the last trial's: not counted
    products, iteration = state.products + trials + 1, state.iteration + 1
    error = at.error if settings.annealing is None else _wanted(at, state.scale)
    noted = goal.note(state.counts, error, iteration, products)
    return State(new, at, iteration, products, moved, length, state.scale, noted)


def _cool(
    geometry: Geometry,
    state: State,
    a: Rows,
    b: Columns,
    goal: Goal,
    settings: Newton,
    factor: float,
) -> State:
    """Predict the solution at the next epsilon."""
    here = geometry.warmer(state.scale)
    scale = jnp.maximum(1.0, factor * state.scale)
    ratio = scale / state.scale
    wanted = state.at.gradient - (1.0 - ratio) * semi_dual.cooling(here, state.u, b)
    direction = _direction(here, state, a, b, wanted, settings)
    new = masked((state.u + direction) / ratio, a)
    at = semi_dual.evaluate(geometry.warmer(scale), new, a, b)
    products, iteration = state.products + 3, state.iteration + 1
    noted = goal.note(state.counts, _wanted(at, scale), iteration, products)
    whole = jnp.ones_like(state.length)
    return State(new, at, iteration, products, state.moved, whole, scale, noted)


def _wanted(at: Evaluation, scale: Array) -> Array:
    """Return the error at the wanted epsilon: not known, infinite, at another."""
    return jnp.where(scale > 1, jnp.inf, at.error)


def _direction(
    geometry: Geometry, state: State, a: Rows, b: Columns, change: Rows, settings: Newton
) -> Rows:
    """Return the direction that changes P 1 so much, to first order."""
    there = a > 0
    damping = settings.levenberg * jnp.minimum(1.0, state.at.error)
    system = -semi_dual.hessian(geometry, state.u, b)
    system += jnp.diag(damping * a) + CONSTANT * (there[:, None] & there[None])
    system = jnp.where(there[:, None] & there[None], system, jnp.eye(len(a), dtype=a.dtype))
    return jax.scipy.linalg.solve(system, jnp.where(there, change, 0.0), assume_a="pos")


def _search(
    geometry: Geometry, state: State, a: Rows, b: Columns, direction: Rows, settings: Newton
) -> tuple[Array, Array, Array]:
    """Return whether a step was found, its length, and how many were tried."""
    slope = jnp.sum(direction * state.at.gradient)

    def enough(length: Array) -> Array:
        reached = semi_dual.value(geometry, state.u + length * direction, a, b)
        return reached >= state.at.value + settings.armijo * length * slope

    def goes_on(carry: tuple[Array, Array, Array]) -> Array:
        found, _, tried = carry
        return ~found & (tried < settings.trials)

    def body(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        _, length, tried = carry
        length = jnp.where(tried == 0, length, 0.5 * length)
        return enough(length), length, tried + 1

    longest = jnp.minimum(1.0, 2.0 * state.length)
    first = (jnp.zeros((), bool), longest, jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(goes_on, body, first)

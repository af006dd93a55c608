"""What a conjugate solver is, the statuses of its result, and the one driver that owns the loop.

A solver is an immutable object with `init` and `step` on many points ("lanes") at once: lanes are
independent problems, seeds have potentials of their own. Inside the loop vectors have their
coordinates first, (n, seeds, lanes), so that inner products are sums over the leading axis, which
every backend vectorises over lanes. Every step costs one evaluation of value and gradient for each
lane, the evaluation of the start included.

The driver keeps a fixed number of lanes busy: where a lane has finished, its result is stored and
the next point of the queue takes its place, so a straggler holds up no other point, and no point
pays for an evaluation after it has finished, but for the last few, when the queue is empty. As many
lanes as points is the case without a queue; on a GPU, points that still run are then gathered into
fewer lanes, in stages.

A kind of solver is one module of this package with `make(settings) -> ConjugateSolver`.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from w2dual import extensions
from w2dual.config import kinds
from w2dual.conjugate.costs import Cost, InnerProduct

Points = Float[Array, "seeds lanes n"]
Lanes = Float[Array, "seeds lanes"]
Vectors = Float[Array, "n seeds lanes"]
Oracle = Callable[[Points], tuple[Lanes, Points]]
"""f and grad f at points of shape (seeds, any number of lanes, n)."""
Objective = Callable[[Vectors], tuple[Lanes, Vectors]]
"""J_f(x; y) and its gradient in x, for each lane's own y."""
INNER_PRODUCT = InnerProduct()

LANES_CPU = 128
"""Lanes of all seeds together, on a CPU."""
MIN_LANES_CPU = 24
"""Lanes of each seed, on a CPU."""
STAGE = 4
"""On a GPU, how many times fewer lanes each stage has than the one before."""
MIN_LANES_GPU = 64
"""On a GPU, lanes of each seed in the last stage at least."""


class Status(enum.IntEnum):
    """How the solver stands at one point."""

    RUNNING = 0
    CONVERGED = 1
    ITERATION_LIMIT = 2
    STALLED = 3
    LINE_SEARCH_FAILED = 4
    NON_FINITE = 5


class SolverState(Protocol):
    """What the driver needs of a state; every leaf has the trailing axes (seeds, lanes)."""

    @property
    def x(self) -> Vectors:
        """Current iterate."""
        ...

    @property
    def value(self) -> Lanes:
        """J_f(x; y)."""
        ...

    @property
    def gradient(self) -> Vectors:
        """Gradient of J_f(.; y) at x."""
        ...

    @property
    def status(self) -> Int[Array, "seeds lanes"]:
        """A `Status` for each lane."""
        ...

    @property
    def iterations(self) -> Int[Array, "seeds lanes"]:
        """Iterations done."""
        ...

    @property
    def evaluations(self) -> Int[Array, "seeds lanes"]:
        """Evaluations of f and its gradient done."""
        ...


State = TypeVar("State", bound=SolverState)


class ConjugateSolver(abc.ABC, Generic[State]):
    """An immutable, hashable object with the solver's settings."""

    @abc.abstractmethod
    def init(self, x_init: Vectors) -> State:
        """Return the state before anything is evaluated: status RUNNING, evaluations 0."""

    def restart(self, state: State, where: Bool[Array, "seeds lanes"], x_init: Vectors) -> State:
        """Return the state with some lanes as `init` has them."""
        return jax.tree.map(partial(choose, where), self.init(x_init), state)

    @abc.abstractmethod
    def step(self, objective: Objective, state: State) -> State:
        """Spend one evaluation on each lane, the first on its start.

        What it gives for lanes that are not RUNNING is never read.
        """


class ConjugateResult(NamedTuple):
    """The result for each lane. For the inner product the conjugate itself is f*(y) = -value."""

    x: Points
    value: Float[Array, "seeds lanes"]
    gradient_norm: Float[Array, "seeds lanes"]
    status: Int[Array, "seeds lanes"]
    iterations: Int[Array, "seeds lanes"]
    evaluations: Int[Array, "seeds lanes"]


def make(settings: Mapping[str, Any]) -> ConjugateSolver[Any] | None:
    """Build the solver that the settings describe; None for kind `none`.

    Raises:
        InputError: there is no such kind, or its settings do not fit.
    """
    kind = settings["kind"]
    if kind == "none":
        return None
    solver = extensions.make(
        str(__package__),
        "conjugate solver",
        "make(settings)",
        "an object with `init(x_init)` and `step(objective, state)`, a `ConjugateSolver`",
        kind,
        extensions.without_kind(settings),
        known=lambda: kinds.of("solvers"),
    )
    _check(solver, kind)
    return solver


def _check(solver: Any, kind: str) -> None:
    """Check that a solver's states are what the driver carries through its loop.

    Nothing is computed. That every point leaves RUNNING at some step cannot be checked: that is
    what an iteration limit is for.
    """
    refuse = partial(extensions.refuse, "conjugate solver", kind)
    lacking = [
        name for name in ("init", "step", "restart") if not callable(getattr(solver, name, None))
    ]
    if lacking:
        refuse(
            f"{extensions.described(solver)} lacks {', '.join(f'`{name}`' for name in lacking)}",
            "derive it from `conjugate.base.ConjugateSolver` and write `init` and `step`",
        )
    n, seeds, lanes = 2, 3, 5
    x_init = jax.ShapeDtypeStruct((n, seeds, lanes), jnp.float32)

    def quadratic(x: Vectors) -> tuple[Lanes, Vectors]:
        return jnp.sum(x * x, axis=0), 2 * x

    tried = f"conjugate solver kind {kind!r}: `{{}}` does not work"
    start = extensions.shapes(solver.init, x_init, message=tried.format("init(x_init)"))
    wanted = dict.fromkeys(("x", "gradient"), ((n, seeds, lanes), "f"))
    wanted |= {"value": ((seeds, lanes), "f")}
    wanted |= dict.fromkeys(("status", "iterations", "evaluations"), ((seeds, lanes), "i"))
    for name, (shape, dtype) in wanted.items():
        found = getattr(start, name, None)
        if not extensions.is_array(found, shape, dtype):
            refuse(
                f"`{name}` of the state that `init` gives is {extensions.described(found)}",
                f"expected {'whole numbers' if dtype == 'i' else 'floats'} of shape {shape} for "
                f"x_init of shape {(n, seeds, lanes)}: coordinates, seeds, lanes",
            )
    after = extensions.shapes(
        lambda x: solver.step(quadratic, solver.init(x)),
        x_init,
        message=tried.format("step(objective, state)"),
    )
    if jax.tree.structure(after) != jax.tree.structure(start):
        refuse(
            f"`step` gives {extensions.described(after)}, another structure than the state",
            "expected the state that `init` gives, with new values",
        )
    places = jax.tree_util.tree_leaves_with_path(start)
    for (place, old), new in zip(places, jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            name = jax.tree_util.keystr(place).lstrip(".")
            refuse(
                f"`step` changes `{name}` from {extensions.described(old)} to "
                f"{extensions.described(new)}",
                "expected the same shape and type, since a loop carries the state",
            )


def max_norm(v: Vectors) -> Lanes:
    """Largest absolute coordinate."""
    return jnp.max(jnp.abs(v), axis=0)


def inner(u: Vectors, v: Vectors) -> Lanes:
    """Inner product."""
    return jnp.sum(u * v, axis=0)


def all_finite(value: Lanes, gradient: Vectors) -> Array:
    """Whether value and gradient of each lane are finite."""
    return jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient), axis=0)


def default_lanes(seeds: int, points: int) -> int:
    """Return how many lanes of each seed the driver keeps busy.

    On a CPU arithmetic is what costs: few lanes, so that none idles and all they need stays in
    the cache, yet enough that a product is worth its call. Measured in docs/performance.md.

    # ASSUME: on a GPU the number of steps is what costs, so every point gets a lane.
    """
    if jax.default_backend() != "cpu":
        return points
    return min(points, max(MIN_LANES_CPU, LANES_CPU // seeds))


def default_stages(points: int) -> list[int]:
    """Return the lanes of each seed, stage by stage, where every point has a lane.

    Most points finish in a third of the turns that the slowest takes. On a GPU, when no more than
    the next stage's lanes still run in any seed, these are gathered and go on alone. The sizes are
    fixed, so that nothing asks the host; docs/performance.md counts what other sizes would cost.
    """
    sizes = [points]
    if jax.default_backend() != "cpu":
        while sizes[-1] // STAGE >= MIN_LANES_GPU:
            sizes.append(sizes[-1] // STAGE)
    return sizes


def drive(
    solver: ConjugateSolver[Any],
    oracle: Oracle,
    y: Any,
    x_init: Points,
    lanes: int | None = None,
    cost: Cost = INNER_PRODUCT,
) -> ConjugateResult:
    """Step a solver until every point has stopped: minimise f(x) + c(x, y) over x, from x_init.

    Args:
        solver: the solver.
        oracle: f and its gradient.
        y: points to conjugate at, (seeds, points, n); or the context that the cost takes, a tree
            with leaves of shape (seeds, points, any number).
        x_init: starts, (seeds, points, n).
        lanes: points of each seed in work at once; None for `default_lanes`. The result of a
            point does not depend on it but for rounding in the oracle.
        cost: c, by default -<x, y>.

    Returns:
        The result for each point; the status says whether it converged.
    """
    seeds, points, _ = x_init.shape
    lanes = min(lanes or default_lanes(seeds, points), points)
    if lanes == points:
        return _solve_all_at_once(solver, oracle, y, x_init, cost)
    return _solve_from_queue(solver, oracle, y, x_init, lanes, cost)


def objective_of(oracle: Oracle, y: Any, cost: Cost = INNER_PRODUCT) -> Objective:
    """Return J_f(.; y) and its gradient.

    Args:
        oracle: f and its gradient.
        y: the points, or the cost's context, of each lane, coordinates first.
        cost: c.
    """

    def evaluate(x: Vectors) -> tuple[Lanes, Vectors]:
        value, gradient = oracle(_points(x))
        coupling, slope = cost.value_and_gradient(x, y)
        return value + coupling, _vectors(gradient) + slope

    return evaluate


def evaluate(oracle: Oracle, y: Any, x: Points, cost: Cost = INNER_PRODUCT) -> tuple[Lanes, Points]:
    """Return J_f(x; y) and its gradient in x at points, with arguments as of `solve`."""
    value, gradient = objective_of(oracle, _contexts(y), cost)(_vectors(x))
    return value, _points(gradient)


def _vectors(points: Points) -> Vectors:
    return jnp.moveaxis(points, -1, 0)


def _points(vectors: Vectors) -> Points:
    return jnp.moveaxis(vectors, 0, -1)


def _contexts(y: Any) -> Any:
    return jax.tree.map(_vectors, y)


def result_of(state: Any) -> ConjugateResult:
    """Return a state as a result, whose x still has its coordinates first."""
    return ConjugateResult(
        x=state.x,
        value=state.value,
        gradient_norm=max_norm(state.gradient),
        status=state.status,
        iterations=state.iterations,
        evaluations=state.evaluations,
    )


def _solve_all_at_once(
    solver: ConjugateSolver[Any], oracle: Oracle, y: Any, x_init: Points, cost: Cost
) -> ConjugateResult:
    """Step all points until the last has finished; a finished one keeps its result.

    On a GPU in stages: see `default_stages`.
    """
    contexts = _contexts(y)
    state = solver.init(_vectors(x_init))
    carry = (state, result_of(state))
    sizes = default_stages(x_init.shape[1])
    result = _run_stages(solver, oracle, contexts, cost, carry, sizes)
    return result._replace(x=_points(result.x))


def _run_stages(
    solver: ConjugateSolver[Any],
    oracle: Oracle,
    contexts: Any,
    cost: Cost,
    carry: tuple[Any, ConjugateResult],
    sizes: Sequence[int],
) -> ConjugateResult:
    """Step all lanes until those that still run are few, then those alone, and so on.

    Args:
        solver: the solver.
        oracle: f and its gradient.
        contexts: y or the cost's context, of each lane, coordinates first.
        cost: c.
        carry: the state of each lane, and the results of those that have finished.
        sizes: lanes of each seed, in this stage and in those that follow.
    """
    objective = objective_of(oracle, contexts, cost)
    _, *later = sizes

    def body(carry: tuple[Any, ConjugateResult]) -> tuple[Any, ConjugateResult]:
        state, kept = carry
        state = solver.step(objective, state)
        running = kept.status == Status.RUNNING
        return state, jax.tree.map(partial(choose, running), result_of(state), kept)

    def goes_on(carry: tuple[Any, ConjugateResult]) -> Array:
        running = carry[1].status == Status.RUNNING
        return jnp.any(jnp.sum(running, axis=1) > later[0]) if later else jnp.any(running)

    state, result = jax.lax.while_loop(goes_on, body, carry)
    if not later:
        return result
    # The running first; with them come finished ones, which keep their results.
    lanes = jnp.argsort(result.status != Status.RUNNING, axis=1)[:, : later[0]]
    seeds = jnp.arange(lanes.shape[0])[:, None]
    fewer = jax.tree.map(lambda leaf: leaf[..., seeds, lanes], (contexts, state, result))
    found = _run_stages(solver, oracle, fewer[0], cost, fewer[1:], later)
    return jax.tree.map(lambda leaf, new: leaf.at[..., seeds, lanes].set(new), result, found)


class _Queue(NamedTuple):
    """Which point is in which lane, and the results of finished points.

    Seeds and points share one axis, so that a result is one row to store. `ids` are positions in
    it; a lane whose seed's points are used up has the id seeds * points, beyond the end.
    """

    ids: Int[Array, "seeds lanes"]
    taken: Int[Array, "seeds 1"]
    y: Any
    results: ConjugateResult


def _solve_from_queue(
    solver: ConjugateSolver[Any],
    oracle: Oracle,
    y: Any,
    x_init: Points,
    lanes: int,
    cost: Cost,
) -> ConjugateResult:
    """Keep `lanes` lanes of each seed busy until the queue of points is empty."""
    seeds, points, n = x_init.shape
    total = seeds * points
    flat_y = jax.tree.map(lambda leaf: leaf.reshape(total, leaf.shape[-1]), y)
    flat_start = x_init.reshape(total, n)
    first_of_seed = points * jnp.arange(seeds)[:, None]

    def contexts(ids: Array) -> Any:
        return jax.tree.map(lambda leaf: _vectors(leaf[ids]), flat_y)

    def body(carry: tuple[Any, _Queue]) -> tuple[Any, _Queue]:
        state, queue = carry
        state = solver.step(objective_of(oracle, queue.y, cost), state)
        done = state.status != Status.RUNNING
        # Finished lanes store their results, the others write beyond the end, which is dropped.
        rows = jnp.where(done, queue.ids, total)
        found = result_of(state)
        found = found._replace(x=_points(found.x))
        results = jax.tree.map(
            lambda kept, new: kept.at[rows.ravel()].set(
                new.reshape(-1, *new.shape[2:]), mode="drop"
            ),
            queue.results,
            found,
        )
        # Each takes the next point of its seed's queue, if one is left.
        next_point = queue.taken + jnp.cumsum(done, axis=1) - 1
        loads = done & (next_point < points)
        idle = jnp.where(done, total, queue.ids)
        ids = jnp.where(loads, first_of_seed + next_point, idle)
        taken = jnp.minimum(queue.taken + jnp.sum(done, axis=1, keepdims=True), points)
        new_y = jax.tree.map(partial(choose, loads), contexts(ids), queue.y)
        state = solver.restart(state, loads, _vectors(flat_start[ids]))
        return state, _Queue(ids, taken, new_y, results)

    ids = first_of_seed + jnp.arange(lanes)[None]
    state = solver.init(_vectors(flat_start[ids]))
    empty = jax.tree.map(
        lambda leaf: jnp.zeros((total, *leaf.shape[2:]), leaf.dtype),
        result_of(state)._replace(x=_points(state.x)),
    )
    queue = _Queue(ids, jnp.full((seeds, 1), lanes), contexts(ids), empty)
    _, queue = jax.lax.while_loop(lambda carry: jnp.any(carry[1].ids < total), body, (state, queue))
    return jax.tree.map(lambda leaf: leaf.reshape(seeds, points, *leaf.shape[1:]), queue.results)


def choose(pick: Array, new: Array, old: Array) -> Array:
    """Of leaves with the trailing axes (seeds, lanes), take the new where `pick` says so."""
    return jnp.where(pick.reshape((1,) * (new.ndim - pick.ndim) + pick.shape), new, old)

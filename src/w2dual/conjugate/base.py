"""What a conjugate solver is, the statuses of its result, and the one driver that owns the loop.

A solver is an immutable object with `init` and `step` on many points ("lanes") at once, of shape
(seeds, lanes, n): lanes are independent problems, seeds have potentials of their own. Every step
costs one evaluation of value and gradient for each lane. The driver repeats it until no lane
runs, leaves finished lanes untouched, and packs the running ones into narrower arrays as they get
few, so that stragglers do not make finished points pay for evaluations.

A kind of solver is one module of this package with `make(settings) -> ConjugateSolver`.
"""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from w2dual.records import InputError

Points = Float[Array, "seeds lanes n"]
Oracle = Callable[[Points], tuple[Float[Array, "seeds lanes"], Points]]
"""f and grad f at points of shape (seeds, any number of lanes, n)."""


class Status(enum.IntEnum):
    """How the solver stands at one point."""

    RUNNING = 0
    CONVERGED = 1
    ITERATION_LIMIT = 2
    STALLED = 3
    LINE_SEARCH_FAILED = 4
    NON_FINITE = 5


class SolverState(Protocol):
    """What the driver needs of a state; every leaf has the leading axes (seeds, lanes)."""

    @property
    def x(self) -> Points:
        """Current iterate."""
        ...

    @property
    def value(self) -> Float[Array, "seeds lanes"]:
        """J_f(x; y)."""
        ...

    @property
    def gradient(self) -> Points:
        """Grad f(x) - y."""
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


class ConjugateSolver(Protocol[State]):
    """An immutable, hashable object with the solver's settings."""

    def init(self, oracle: Oracle, y: Points, x_init: Points) -> State:
        """Evaluate the start."""
        ...

    def step(self, oracle: Oracle, y: Points, state: State) -> State:
        """Spend one evaluation on each lane; what it gives finished lanes is dropped."""
        ...


class ConjugateResult(NamedTuple):
    """The result for each lane. The conjugate itself is f*(y) = -value."""

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
    name = f"{__package__}.{kind}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"conjugate solver kind {kind!r}: there is no module {name}") from error
    if not callable(getattr(module, "make", None)):
        raise InputError(f"{name} lacks `make(settings)`, which returns a conjugate solver")
    try:
        return module.make({key: value for key, value in settings.items() if key != "kind"})
    except TypeError as error:
        raise InputError(f"conjugate solver kind {kind!r}: {error}") from error


def objective(oracle: Oracle, x: Points, y: Points) -> tuple[Float[Array, "seeds lanes"], Points]:
    """J_f(x; y) = f(x) - <x, y> and its gradient in x."""
    value, gradient = oracle(x)
    return value - jnp.sum(x * y, axis=-1), gradient - y


def max_norm(v: Points) -> Float[Array, "seeds lanes"]:
    """Largest absolute coordinate."""
    return jnp.max(jnp.abs(v), axis=-1)


def all_finite(value: Float[Array, "seeds lanes"], gradient: Points) -> Array:
    """Whether value and gradient of each lane are finite."""
    return jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient), axis=-1)


def widths(lanes: int) -> tuple[int, ...]:
    """Give the widths to which the driver narrows: all lanes, then an eighth of them.

    Each width is one more copy of the loop to compile. A third hardly pays: what the last
    stragglers cost in an eighth is little already. Nor does a second where there are few lanes.

    # ASSUME: a CPU, where arithmetic is what costs. On a GPU an extra loop costs more than idle
    lanes do, so there is one width there.
    """
    if jax.default_backend() != "cpu" or lanes < 128:
        return (lanes,)
    return (lanes, lanes // 8)


def solve(
    solver: ConjugateSolver[Any],
    oracle: Oracle,
    y: Points,
    x_init: Points,
    lane_widths: Sequence[int] | None = None,
) -> ConjugateResult:
    """Minimise J_f(.; y) for each lane, from x_init.

    Args:
        solver: the solver.
        oracle: f and its gradient.
        y: points to conjugate at, (seeds, lanes, n).
        x_init: starts, (seeds, lanes, n).
        lane_widths: widths to narrow to, falling, the first being all lanes; None for `widths`.
            The result of a lane does not depend on them but for rounding in the oracle.

    Returns:
        The result for each lane; the status says whether it converged.
    """
    state = solver.init(oracle, y, x_init)
    state = _run(solver, oracle, y, state, lane_widths or widths(y.shape[1]))
    return ConjugateResult(
        x=state.x,
        value=state.value,
        gradient_norm=max_norm(state.gradient),
        status=state.status,
        iterations=state.iterations,
        evaluations=state.evaluations,
    )


def _run(
    solver: ConjugateSolver[Any], oracle: Oracle, y: Points, state: Any, lane_widths: Sequence[int]
) -> Any:
    narrower = lane_widths[1] if len(lane_widths) > 1 else 0

    def more_than_fit(state: Any) -> Array:
        running = jnp.sum(state.status == Status.RUNNING, axis=1)
        return jnp.max(running) > narrower

    def step(state: Any) -> Any:
        new = solver.step(oracle, y, state)
        return _where_running(state.status == Status.RUNNING, new, state)

    state = jax.lax.while_loop(more_than_fit, step, state)
    if not narrower:
        return state
    finished_last = jnp.argsort(state.status != Status.RUNNING, axis=1, stable=True)
    chosen = finished_last[:, :narrower]
    seeds = jnp.arange(chosen.shape[0])[:, None]
    part = jax.tree.map(lambda leaf: leaf[seeds, chosen], state)
    part = _run(solver, oracle, y[seeds, chosen], part, lane_widths[1:])
    return jax.tree.map(lambda leaf, new: leaf.at[seeds, chosen].set(new), state, part)


def _where_running(running: Array, new: Any, old: Any) -> Any:
    def choose(new_leaf: Array, old_leaf: Array) -> Array:
        extra = (1,) * (new_leaf.ndim - running.ndim)
        return jnp.where(running.reshape(running.shape + extra), new_leaf, old_leaf)

    return jax.tree.map(choose, new, old)

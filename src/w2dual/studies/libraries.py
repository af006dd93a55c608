"""Conjugation of one point by L-BFGS of other libraries, on one of our potentials.

All stop at the same place: at least one iteration, then max|grad J| below the tolerance, or the
iteration limit. JAX's own has this rule; the others' are others (jaxopt's is the L2 norm,
optimistix's the size of the last step), so the test is put in from outside; their steps are theirs.

`mapped` makes a batch of one: the loops of all points then run until the last has ended, and a
point's line search until the longest has.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from w2dual.backend import jit
from w2dual.conjugate import ConjugateSolver, Oracle, solve
from w2dual.records import InputError

Value = Callable[[Any, Float[Array, " n"]], Float[Array, ""]]
"""f of one point: (parameters, x) -> f(x)."""
Solve = Callable[
    [Any, Float[Array, " n"], Float[Array, " n"]], tuple[Float[Array, " n"], Int[Array, ""]]
]
"""(parameters, y, start) -> (x_hat, iterations), for one point."""
SolveBatch = Callable[
    [Any, Float[Array, "batch n"], Float[Array, "batch n"]],
    tuple[Float[Array, "batch n"], Int[Array, " batch"]],
]
Condition = Literal["strong-wolfe", "wolfe", "armijo"]


def mapped(one: Solve) -> SolveBatch:
    """Compile a solver of one point for many."""
    return jit(jax.vmap(one, (None, 0, 0)))


def ours(solver: ConjugateSolver[Any], oracle: Callable[[Any], Oracle]) -> SolveBatch:
    """Compile w2dual's driver and a solver of its own.

    Args:
        solver: the solver.
        oracle: from parameters to f and its gradient, with an axis of one seed.
    """

    def run(params: Any, y: Array, start: Array) -> tuple[Array, Array]:
        result = solve(solver, oracle(params), y[None], start[None])
        return result.x[0], result.iterations[0]

    return jit(run)


def jax_zoom(value: Value, settings: Mapping[str, Any], trials: int) -> Solve:
    """JAX's L-BFGS: `jax.scipy.optimize`, with its strong Wolfe line search that zooms.

    # DIFFERS: JAX counts the iteration limit from 0, so that it does one iteration more.

    Args:
        value: f of one point.
        settings: of the solver, as in the config's `solvers`.
        trials: steps of a line search at most.
    """
    from jax.scipy.optimize import minimize

    options = {
        "maxcor": settings["history"],
        "gtol": settings["gradient_tolerance"],
        "ftol": settings["decrease_tolerance"],
        "maxiter": settings["max_iterations"] - 1,
        "maxls": trials,
    }

    def one(params: Any, y: Array, start: Array) -> tuple[Array, Array]:
        found = minimize(
            lambda x: value(params, x) - x @ y,
            start,
            method="l-bfgs-experimental-do-not-rely-on-this",
            options=options,
        )
        return found.x, jnp.asarray(found.nit)

    return one


def jaxopt(
    value: Value,
    settings: Mapping[str, Any],
    linesearch: Literal["zoom", "backtracking"],
    *,
    condition: Condition = "strong-wolfe",
    trials: int = 30,
    shrink: float = 1.25,
) -> Solve:
    """Jaxopt's L-BFGS.

    Args:
        value: f of one point.
        settings: of the solver, as in the config's `solvers`.
        linesearch: kind of line search; zoom is for strong Wolfe alone.
        condition: that a step of backtracking has to meet.
        trials: steps of a line search at most; the default is jaxopt's own.
        shrink: backtracking divides a step by it; the default is jaxopt's own.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "JAXopt is no longer maintained", DeprecationWarning)
        from jaxopt import LBFGS, BacktrackingLineSearch

    def one(params: Any, y: Array, start: Array) -> tuple[Array, Array]:
        def objective(x: Array) -> Array:
            return value(params, x) - x @ y

        search: Any = linesearch
        if linesearch == "backtracking":
            search = BacktrackingLineSearch(
                fun=objective,
                condition=condition,
                maxiter=trials,
                decrease_factor=1.0 / shrink,
                unroll=False,
                jit=True,
            )
        method = LBFGS(
            fun=objective,
            linesearch=search,
            maxls=trials,
            history_size=settings["history"],
            implicit_diff=False,
            unroll=False,
        )

        def goes_on(carry: tuple[Array, Any]) -> Array:
            state = carry[1]
            large = jnp.max(jnp.abs(state.grad)) >= settings["gradient_tolerance"]
            return (state.iter_num == 0) | (large & (state.iter_num < settings["max_iterations"]))

        x, state = jax.lax.while_loop(
            goes_on,
            lambda carry: tuple(method.update(*carry)),
            (start, method.init_state(start)),
        )
        return x, state.iter_num

    return one


def optimistix(value: Value, settings: Mapping[str, Any]) -> Solve:
    """Optimistix's L-BFGS, which backtracks to Armijo's condition.

    Its steps are counted trial by trial, and the iteration limit is one on trials.

    Raises:
        InputError: it is not installed.
    """
    try:
        import optimistix as optx
    except ImportError as error:
        raise InputError(
            f"optimistix cannot be imported ({error}); `make env` installs it"
        ) from error

    class StopByGradient(optx.LBFGS):
        """The library's method, stopped by the gradient; the start counts as an accepted step."""

        def terminate(  # noqa: D102
            self, fn: Any, y: Any, args: Any, options: Any, state: Any, tags: Any
        ) -> tuple[Array, Any]:
            small = jnp.max(jnp.abs(state.f_info.grad)) < settings["gradient_tolerance"]
            return (state.num_accepted_steps > 1) & small, state.result

    method = StopByGradient(rtol=0.0, atol=0.0, history_length=settings["history"])  # pyright: ignore[reportCallIssue]

    def one(params: Any, y: Array, start: Array) -> tuple[Array, Array]:
        found = optx.minimise(
            lambda x, _: value(params, x) - x @ y,
            method,
            start,
            max_steps=settings["max_iterations"],
            throw=False,
        )
        return found.value, found.stats["num_steps"]

    return one


ROWS: dict[str, tuple[str, Callable[[Value, Mapping[str, Any]], Solve]]] = {
    "jax_zoom": (
        "JAX, strong Wolfe zoom",
        lambda value, settings: jax_zoom(value, settings, settings["trials"]),
    ),
    "jaxopt_zoom": (
        "jaxopt, strong Wolfe zoom",
        lambda value, settings: jaxopt(value, settings, "zoom", trials=settings["trials"]),
    ),
    **{
        f"jaxopt_backtracking_{condition.replace('-', '_')}": (
            f"jaxopt, backtracking, {words}",
            partial(
                lambda condition, value, settings: jaxopt(
                    value,
                    settings,
                    "backtracking",
                    condition=condition,
                    trials=settings["trials"],
                    shrink=settings["shrink"],
                ),
                condition,
            ),
        )
        for condition, words in (
            ("strong-wolfe", "strong Wolfe"),
            ("wolfe", "Wolfe"),
            ("armijo", "Armijo"),
        )
    },
    "optimistix": ("optimistix, backtracking, Armijo", optimistix),
}
"""Rows of the comparison besides our own: name -> (words, maker), as the settings have it."""

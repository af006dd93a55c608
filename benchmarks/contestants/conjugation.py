"""Conjugation by w2dual, the plain loop, jaxopt and optimistix, on one potential of ours.

All stop at the same place: at least one iteration, then max|grad J| below the tolerance, or the
iteration limit. The libraries have other rules of their own (jaxopt's is the L2 norm, optimistix's
the size of the last step), so the test is put in from outside; their steps are theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from benchmarks.case import Case
from benchmarks.contestants import Conjugation, plain
from w2dual import potentials
from w2dual.backend import jit
from w2dual.conjugate import solve
from w2dual.records import InputError


def ours(case: Case) -> Conjugation:
    """w2dual's driver and L-BFGS."""
    problem = case.problem
    single = partial(potentials.value_and_gradient, problem.potential)

    def run(params: Any, y: Array, start: Array) -> tuple[Array, Array]:
        def oracle(x: Array) -> tuple[Array, Array]:
            value, gradient = single(params, x[0])
            return value[None], gradient[None]

        result = solve(problem.solver, oracle, y[None], start[None])
        return result.x[0], result.iterations[0]

    return Conjugation(jit(run))


def plain_loop(case: Case) -> Conjugation:
    """The plain loop's mapped L-BFGS."""
    return Conjugation(plain.conjugation(case))


def jaxopt(case: Case, linesearch: str) -> Conjugation:
    """Jaxopt's L-BFGS, mapped over points."""
    from jaxopt import LBFGS

    solver = case.cell.settings["solver"]
    value = _value(case)

    def one(params: Any, y: Array, start: Array) -> tuple[Array, Array]:
        method = LBFGS(
            fun=lambda x: value(params, x) - x @ y,
            linesearch=linesearch,
            history_size=solver["history"],
            implicit_diff=False,
            unroll=False,
        )

        def goes_on(carry: tuple[Array, Any]) -> Array:
            state = carry[1]
            large = jnp.max(jnp.abs(state.grad)) >= solver["gradient_tolerance"]
            return (state.iter_num == 0) | (large & (state.iter_num < solver["max_iterations"]))

        x, state = jax.lax.while_loop(
            goes_on,
            lambda carry: tuple(method.update(*carry)),
            (start, method.init_state(start)),
        )
        return x, state.iter_num

    return Conjugation(jax.jit(jax.vmap(one, (None, 0, 0))))


def optimistix(case: Case) -> Conjugation:
    """Optimistix's L-BFGS, mapped over points.

    Raises:
        InputError: it is not installed.
    """
    try:
        import optimistix as optx  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"contestant `optimistix` cannot be imported ({error}); `make bench` runs in an "
            "environment that has it, or leave it out by --contestants"
        ) from error

    solver = case.cell.settings["solver"]
    value = _value(case)

    class StopByGradient(optx.LBFGS):
        """The library's method, stopped by the gradient; the start counts as an accepted step."""

        def terminate(  # noqa: D102
            self, fn: Any, y: Any, args: Any, options: Any, state: Any, tags: Any
        ) -> tuple[Array, Any]:
            small = jnp.max(jnp.abs(state.f_info.grad)) < solver["gradient_tolerance"]
            return (state.num_accepted_steps > 1) & small, state.result

    method = StopByGradient(rtol=0.0, atol=0.0, history_length=solver["history"])

    def one(params: Any, y: Array, start: Array) -> tuple[Array, Array]:
        found = optx.minimise(
            lambda x, _: value(params, x) - x @ y,
            method,
            start,
            max_steps=solver["max_iterations"],
            throw=False,
        )
        return found.value, found.stats["num_steps"]

    return Conjugation(jax.jit(jax.vmap(one, (None, 0, 0))))


def _value(case: Case) -> Callable[[Any, Array], Array]:
    """Give f of one point, by w2dual's network."""
    return lambda params, x: potentials.value(case.problem.potential, params, x[None])[0]


MAKERS: dict[str, Callable[[Case], Conjugation]] = {
    "ours": ours,
    "plain": plain_loop,
    "jaxopt_zoom": partial(jaxopt, linesearch="zoom"),
    "jaxopt_backtracking": partial(jaxopt, linesearch="backtracking"),
    "optimistix": optimistix,
}

"""Adam on a block of points inside a kernel: the iterates of `conjugate.adam`.

All points that still run are at the same iteration, so what depends on its number alone, the rate
and both corrections of bias, is a row of a table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from w2dual.conjugate.adam import EPSILON, Adam
from w2dual.conjugate.base import Status
from w2dual.conjugate.kernels.launch import Body, Objective, Standing
from w2dual.conjugate.kernels.layout import Layout, Vector, each


class Carried(NamedTuple):
    """Running means of the gradient and of its squares."""

    mean: Vector
    square: Vector


SOLVER = Adam
"""What this is the kernel of."""


def body(solver: Adam, layout: Layout, interpret: bool) -> Body:
    """Return the solver as a kernel runs it; the interpreter runs it no other way."""
    del interpret

    def init() -> Carried:
        return Carried(layout.zeros(), layout.zeros())

    def step(
        objective: Objective, now: Standing, carried: Carried, turn: Any, table: Any
    ) -> tuple[Standing, Carried]:
        return _step(solver, layout, objective, now, carried, turn, table)

    return Body(init, step, _table(solver, layout.dtype), ())


def _table(solver: Adam, dtype: Any) -> Float[Array, "iterations 4"]:
    """Rate, 1 - b1^k, 1 - b2^k and 0 of iteration k = 1, 2, ..."""
    schedule = optax.cosine_decay_schedule(
        solver.learning_rate, solver.max_iterations, solver.final_learning_rate_factor
    )
    done = jnp.arange(solver.max_iterations)
    count = (done + 1).astype(dtype)
    rates = jnp.asarray(schedule(done), dtype)
    return jnp.stack(
        [rates, 1 - solver.b1**count, 1 - solver.b2**count, jnp.zeros_like(count)], axis=1
    )


def _step(
    solver: Adam,
    layout: Layout,
    objective: Objective,
    now: Standing,
    carried: Carried,
    turn: Any,
    table: Any,
) -> tuple[Standing, Carried]:
    """Take one step of each point, the first of which stays at the start; see `Adam.step`."""
    running = now.status == Status.RUNNING
    row = jnp.minimum(jnp.maximum(turn - 1, 0), solver.max_iterations - 1)
    rate, bias, square_bias = (table[row, i] for i in range(3))
    b1, b2 = solver.b1, solver.b2
    mean = each(lambda m, g: b1 * m + (1 - b1) * g, carried.mean, now.gradient)
    square = each(lambda v, g: b2 * v + (1 - b2) * (g * g), carried.square, now.gradient)

    def moved(x: Any, m: Any, v: Any) -> Any:
        return x - rate * (m / bias) / (jnp.sqrt(v / square_bias) + EPSILON)

    x = each(moved, now.x, mean, square)
    found = objective(x)
    accepted = running & found.finite
    iterations = now.iterations + jnp.where(running & (turn > 0), 1, 0)
    gradient = layout.choose(accepted, found.gradient, now.gradient)
    gradient_norm = jnp.where(accepted, found.gradient_norm, now.gradient_norm)
    limit = iterations >= solver.max_iterations
    status = jnp.where(limit, Status.ITERATION_LIMIT, Status.RUNNING)
    converged = gradient_norm <= solver.gradient_tolerance
    status = jnp.where(converged, Status.CONVERGED, status)
    status = jnp.where(found.finite, status, Status.NON_FINITE)
    standing = Standing(
        x=layout.choose(accepted, x, now.x),
        value=jnp.where(accepted, found.value, now.value),
        gradient=gradient,
        gradient_norm=gradient_norm,
        status=jnp.where(running, status, now.status).astype(jnp.int32),
        iterations=iterations,
        evaluations=now.evaluations + jnp.where(running, 1, 0),
    )
    return standing, Carried(mean, square)

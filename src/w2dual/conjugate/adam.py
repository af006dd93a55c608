"""Adam on J_f(.; y), with a cosine decay of the step size over the iteration limit.

Kingma and Ba 2015, alg. 1; the setting of Amos 2023, app. A: it starts at x_tilde(y) and stops at
the same tolerance as L-BFGS, checked at the start too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from w2dual.conjugate.base import (
    ConjugateSolver,
    Lanes,
    Objective,
    Status,
    Vectors,
    all_finite,
    max_norm,
)

EPSILON = 1e-8  # of Kingma and Ba, and optax's default, which the published code leaves in place


class AdamState(NamedTuple):
    """The state of each lane."""

    x: Vectors
    value: Lanes
    gradient: Vectors
    status: Int[Array, "seeds lanes"]
    iterations: Int[Array, "seeds lanes"]
    evaluations: Int[Array, "seeds lanes"]
    mean: Vectors
    square: Vectors


@dataclass(frozen=True)
class Adam(ConjugateSolver[AdamState]):
    """The solver; settings as in the config's `solvers`."""

    gradient_tolerance: float
    max_iterations: int
    learning_rate: float
    final_learning_rate_factor: float
    b1: float
    b2: float

    def init(self, x_init: Vectors) -> AdamState:
        """Stand at the start, not evaluated yet."""
        count = jnp.zeros(x_init.shape[1:], jnp.int32)
        zero = jnp.zeros_like(x_init)
        value = jnp.zeros(count.shape, x_init.dtype)
        return AdamState(x_init, value, zero, count, count, count, zero, zero)

    def step(self, objective: Objective, state: AdamState) -> AdamState:
        """Take one step on each lane; the first call evaluates the start and stays there."""
        start = state.evaluations == 0
        schedule = optax.cosine_decay_schedule(
            self.learning_rate, self.max_iterations, self.final_learning_rate_factor
        )
        rate = jnp.asarray(schedule(state.iterations))
        count = (state.iterations + 1).astype(state.value.dtype)
        mean = self.b1 * state.mean + (1 - self.b1) * state.gradient
        square = self.b2 * state.square + (1 - self.b2) * state.gradient**2
        corrected_mean = mean / (1 - self.b1**count)[None]
        corrected_square = square / (1 - self.b2**count)[None]
        # At the start all of it is 0, so that x is the start itself.
        x = state.x - rate[None] * corrected_mean / (jnp.sqrt(corrected_square) + EPSILON)
        value, gradient = objective(x)
        finite = all_finite(value, gradient)  # else the last finite iterate is the result
        iterations = jnp.where(start, 0, state.iterations + 1)
        gradient = jnp.where(finite[None], gradient, state.gradient)
        limit = iterations >= self.max_iterations
        status = jnp.where(limit, Status.ITERATION_LIMIT, Status.RUNNING)
        converged = max_norm(gradient) <= self.gradient_tolerance
        status = jnp.where(converged, Status.CONVERGED, status)
        status = jnp.where(finite, status, Status.NON_FINITE)
        return AdamState(
            x=jnp.where(finite[None], x, state.x),
            value=jnp.where(finite, value, state.value),
            gradient=gradient,
            status=status.astype(jnp.int32),
            iterations=iterations,
            evaluations=state.evaluations + 1,
            mean=mean,
            square=square,
        )


def make(settings: Mapping[str, Any]) -> Adam:
    """Build the solver from its settings."""
    return Adam(**settings)

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
from jaxtyping import Array, Float, Int

from w2dual.conjugate.base import Oracle, Points, Status, all_finite, max_norm, objective

EPSILON = 1e-8  # of Kingma and Ba, and optax's default, which the published code leaves in place


class AdamState(NamedTuple):
    """The state of each lane."""

    x: Points
    value: Float[Array, "seeds lanes"]
    gradient: Points
    status: Int[Array, "seeds lanes"]
    iterations: Int[Array, "seeds lanes"]
    evaluations: Int[Array, "seeds lanes"]
    mean: Points
    square: Points


@dataclass(frozen=True)
class Adam:
    """The solver; settings as in the config's `solvers`."""

    gradient_tolerance: float
    max_iterations: int
    learning_rate: float
    final_learning_rate_factor: float
    b1: float
    b2: float

    def init(self, oracle: Oracle, y: Points, x_init: Points) -> AdamState:
        """Evaluate the start; where it meets the tolerance, it is the result."""
        value, gradient = objective(oracle, x_init, y)
        zeros = jnp.zeros(value.shape, jnp.int32)
        state = AdamState(
            x=x_init,
            value=value,
            gradient=gradient,
            status=zeros,
            iterations=zeros,
            evaluations=zeros + 1,
            mean=jnp.zeros_like(x_init),
            square=jnp.zeros_like(x_init),
        )
        return state._replace(status=self._status(state))

    def step(self, oracle: Oracle, y: Points, state: AdamState) -> AdamState:
        """Take one step on each lane."""
        schedule = optax.cosine_decay_schedule(
            self.learning_rate, self.max_iterations, self.final_learning_rate_factor
        )
        rate = jnp.asarray(schedule(state.iterations))
        count = (state.iterations + 1).astype(state.value.dtype)[..., None]
        mean = self.b1 * state.mean + (1 - self.b1) * state.gradient
        square = self.b2 * state.square + (1 - self.b2) * state.gradient**2
        corrected_mean = mean / (1 - self.b1**count)
        corrected_square = square / (1 - self.b2**count)
        x = state.x - rate[..., None] * corrected_mean / (jnp.sqrt(corrected_square) + EPSILON)
        value, gradient = objective(oracle, x, y)
        finite = all_finite(value, gradient)  # else the last finite iterate is the result
        new = state._replace(
            x=jnp.where(finite[..., None], x, state.x),
            value=jnp.where(finite, value, state.value),
            gradient=jnp.where(finite[..., None], gradient, state.gradient),
            iterations=state.iterations + 1,
            evaluations=state.evaluations + 1,
            mean=mean,
            square=square,
        )
        return new._replace(status=jnp.where(finite, self._status(new), Status.NON_FINITE))

    def _status(self, state: AdamState) -> Int[Array, "seeds lanes"]:
        limit = state.iterations >= self.max_iterations
        status = jnp.where(limit, Status.ITERATION_LIMIT, Status.RUNNING)
        converged = max_norm(state.gradient) <= self.gradient_tolerance
        status = jnp.where(converged, Status.CONVERGED, status)
        finite = all_finite(state.value, state.gradient)
        return jnp.where(finite, status, Status.NON_FINITE).astype(jnp.int32)


def make(settings: Mapping[str, Any]) -> Adam:
    """Build the solver from its settings."""
    return Adam(**settings)

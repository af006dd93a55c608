"""L-BFGS with an Armijo line search (Nocedal and Wright 2006, alg. 7.4 and 7.5; Amos 2023, app. A).

Iteration k:  p = -H_k g  by the two-loop recursion over the last `history` pairs
(s, d) = (x_{k+1} - x_k, g_{k+1} - g_k), H_k^0 = (s.d / d.d) I of the newest pair, I at first;
a = the largest of shrink^0, shrink^-1, ... with J(x + a p) < J(x) + c1 a g.p;  x <- x + a p.

The trial steps are tried one after another, largest first, and each evaluation is one call of
`step`: it gives the same iterates as trying all of them in parallel, as the paper does on a GPU.
Each trial evaluates the gradient along with the value, since nearly all first trials are accepted
and then no second evaluation is needed.

Here (s, d) stand for N&W's (s, y), because y is the point to conjugate at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from w2dual.conjugate.base import Oracle, Points, Status, all_finite, max_norm, objective

Lanes = Float[Array, "seeds lanes"]


class LBFGSState(NamedTuple):
    """The state of each lane; `displacements` and `differences` hold the newest pair last."""

    x: Points
    value: Lanes
    gradient: Points
    status: Int[Array, "seeds lanes"]
    iterations: Int[Array, "seeds lanes"]
    evaluations: Int[Array, "seeds lanes"]
    direction: Points
    slope: Lanes
    trial: Int[Array, "seeds lanes"]
    displacements: Float[Array, "seeds lanes history n"]
    differences: Float[Array, "seeds lanes history n"]
    inverse_curvatures: Float[Array, "seeds lanes history"]  # 1 / s.d; 0 marks an empty place
    scale: Lanes


@dataclass(frozen=True)
class LBFGS:
    """The solver; settings as in the config's `solvers`."""

    history: int
    gradient_tolerance: float
    max_iterations: int
    decrease_tolerance: float
    armijo: float
    shrink: float
    trials: int

    def init(self, oracle: Oracle, y: Points, x_init: Points) -> LBFGSState:
        """Evaluate the start and take the steepest descent for the first direction.

        A start that meets the tolerance already still gets one iteration, as in the published
        code: near the end of training that iteration is what fine-tunes most points.
        """
        value, gradient = objective(oracle, x_init, y)
        lanes = value.shape
        zeros = jnp.zeros(lanes, jnp.int32)
        finite = all_finite(value, gradient)
        return LBFGSState(
            x=x_init,
            value=value,
            gradient=gradient,
            status=jnp.where(finite, Status.RUNNING, Status.NON_FINITE).astype(jnp.int32),
            iterations=zeros,
            evaluations=zeros + 1,
            direction=-gradient,
            slope=-jnp.sum(gradient * gradient, axis=-1),
            trial=zeros,
            displacements=jnp.zeros((*lanes, self.history, x_init.shape[-1]), x_init.dtype),
            differences=jnp.zeros((*lanes, self.history, x_init.shape[-1]), x_init.dtype),
            inverse_curvatures=jnp.zeros((*lanes, self.history), x_init.dtype),
            scale=jnp.ones(lanes, x_init.dtype),
        )

    def step(self, oracle: Oracle, y: Points, state: LBFGSState) -> LBFGSState:
        """Try one step length; where it is accepted, take it and find the next direction."""
        length = jnp.power(self.shrink, -state.trial.astype(state.value.dtype))
        x = state.x + length[..., None] * state.direction
        value, gradient = objective(oracle, x, y)
        enough = value < state.value + self.armijo * length * state.slope
        accepted = enough & all_finite(value, gradient)
        failed = ~accepted & (state.trial + 1 >= self.trials)

        decrease = state.value - value
        moved = self._remember(state, accepted, x - state.x, gradient - state.gradient)
        x = jnp.where(accepted[..., None], x, state.x)
        gradient = jnp.where(accepted[..., None], gradient, state.gradient)
        iterations = state.iterations + (accepted | failed)

        status = jnp.where(iterations >= self.max_iterations, Status.ITERATION_LIMIT, state.status)
        status = jnp.where(decrease < self.decrease_tolerance, Status.STALLED, status)
        status = jnp.where(failed, Status.LINE_SEARCH_FAILED, status)
        converged = max_norm(gradient) < self.gradient_tolerance
        status = jnp.where(converged, Status.CONVERGED, status)
        status = jnp.where(accepted | failed, status, state.status).astype(jnp.int32)

        direction = -_two_loop(gradient, moved)
        direction = jnp.where(accepted[..., None], direction, state.direction)
        return moved._replace(
            x=x,
            value=jnp.where(accepted, value, state.value),
            gradient=gradient,
            status=status,
            iterations=iterations,
            evaluations=state.evaluations + 1,
            direction=direction,
            slope=jnp.sum(direction * gradient, axis=-1),
            trial=jnp.where(accepted, 0, state.trial + 1),
        )

    def _remember(self, state: LBFGSState, accepted: Array, s: Points, d: Points) -> LBFGSState:
        """Shift the new pair into the history of the lanes that accepted it.

        # DIFFERS: the published code keeps pairs with s.d <= 0 too, which make the next direction
        one of ascent where f is not convex. Here they are skipped (Nocedal and Wright, p. 537).
        """
        curvature = jnp.sum(s * d, axis=-1)
        square = jnp.sum(d * d, axis=-1)
        keep = accepted & (curvature > jnp.finfo(s.dtype).eps * square) & (square > 0)
        safe_curvature = jnp.where(keep, curvature, 1.0)
        safe_square = jnp.where(keep, square, 1.0)

        def shift(history: Array, new: Array) -> Array:
            mask = keep.reshape(keep.shape + (1,) * (history.ndim - 2))
            shifted = jnp.concatenate([history[:, :, 1:], new[:, :, None]], axis=2)
            return jnp.where(mask, shifted, history)

        return state._replace(
            displacements=shift(state.displacements, s),
            differences=shift(state.differences, d),
            inverse_curvatures=shift(state.inverse_curvatures, 1.0 / safe_curvature),
            scale=jnp.where(keep, safe_curvature / safe_square, state.scale),
        )


def _two_loop(gradient: Points, state: LBFGSState) -> Points:
    """H g by Nocedal and Wright, alg. 7.4; empty places have weight 0 and change nothing.

    The loops are not unrolled: on a CPU that costs nothing, and compiling takes a tenth. They go
    over the places that any lane has filled; most solves end after few iterations.
    """
    s, d, rho = state.displacements, state.differences, state.inverse_curvatures
    history = rho.shape[-1]
    filled = jnp.max(jnp.sum(rho != 0, axis=-1, dtype=jnp.int32))

    def newest_first(count: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        q, weights = carry
        i = history - 1 - count
        weight = rho[..., i] * jnp.sum(s[:, :, i] * q, axis=-1)
        return q - weight[..., None] * d[:, :, i], weights.at[i].set(weight)

    def oldest_first(i: Array, q: Array) -> Array:
        back = rho[..., i] * jnp.sum(d[:, :, i] * q, axis=-1)
        return q + (weights[i] - back)[..., None] * s[:, :, i]

    empty = jnp.zeros((history, *gradient.shape[:-1]), gradient.dtype)
    q, weights = jax.lax.fori_loop(0, filled, newest_first, (gradient, empty))
    return jax.lax.fori_loop(history - filled, history, oldest_first, state.scale[..., None] * q)


def make(settings: Mapping[str, Any]) -> LBFGS:
    """Build the solver from its settings."""
    return LBFGS(**settings)

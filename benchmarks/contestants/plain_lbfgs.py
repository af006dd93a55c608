"""L-BFGS for one point, to be mapped over points by `jax.vmap` (Nocedal and Wright, alg. 7.5).

Written the obvious way: a `while_loop` for each point, all trial steps of the Armijo search in
parallel, and histories that are shifted by one place at each iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class _State(NamedTuple):
    x: Float[Array, " n"]
    value: Float[Array, ""]
    gradient: Float[Array, " n"]
    displacements: Float[Array, "history n"]  # newest last
    differences: Float[Array, "history n"]
    weights: Float[Array, " history"]  # 1 / s.d, 0 where there is no pair
    scale: Float[Array, ""]
    iterations: Int[Array, ""]
    done: Bool[Array, ""]


def minimise(
    objective: Callable[[Float[Array, " n"]], Float[Array, ""]],
    start: Float[Array, " n"],
    settings: Mapping[str, Any],
) -> tuple[Float[Array, " n"], Int[Array, ""]]:
    """Minimise from `start`; at least one iteration is done.

    Args:
        objective: the function of one point.
        start: where to start.
        settings: of the config's `solvers.lbfgs`.

    Returns:
        The minimiser, and the iterations done.
    """
    history = settings["history"]
    lengths = settings["shrink"] ** -jnp.arange(settings["trials"], dtype=start.dtype)

    def step(state: _State) -> _State:
        direction = -_inverse_hessian_times(state.gradient, state)
        slope = state.gradient @ direction
        trials = state.x + lengths[:, None] * direction
        values = jax.vmap(objective)(trials)
        enough = values < state.value + settings["armijo"] * lengths * slope
        best, found = jnp.argmax(enough), jnp.any(enough)
        x = jnp.where(found, trials[best], state.x)
        value = jnp.where(found, values[best], state.value)
        gradient = jax.grad(objective)(x)

        s, d = x - state.x, gradient - state.gradient
        curvature, square = s @ d, d @ d
        keep = found
        if settings["curvature"] == "positive":
            keep &= curvature > jnp.finfo(x.dtype).eps * square
        iterations = state.iterations + 1
        return _State(
            x=x,
            value=value,
            gradient=gradient,
            displacements=_shift(state.displacements, s, keep),
            differences=_shift(state.differences, d, keep),
            weights=_shift(state.weights, 1.0 / curvature, keep),
            scale=jnp.where(keep, curvature / square, state.scale),
            iterations=iterations,
            done=(jnp.max(jnp.abs(gradient)) < settings["gradient_tolerance"])
            | (state.value - value < settings["decrease_tolerance"])
            | ~found
            | (iterations >= settings["max_iterations"]),
        )

    value, gradient = jax.value_and_grad(objective)(start)
    empty = jnp.zeros((history, *start.shape), start.dtype)
    first = _State(
        x=start,
        value=value,
        gradient=gradient,
        displacements=empty,
        differences=empty,
        weights=jnp.zeros(history, start.dtype),
        scale=jnp.ones((), start.dtype),
        iterations=jnp.zeros((), jnp.int32),
        done=jnp.zeros((), bool),
    )
    last = jax.lax.while_loop(lambda state: ~state.done, step, first)
    return last.x, last.iterations


def _shift(history: Array, new: Array, keep: Bool[Array, ""]) -> Array:
    return jnp.where(keep, jnp.roll(history, -1, axis=0).at[-1].set(new), history)


def _inverse_hessian_times(gradient: Float[Array, " n"], state: _State) -> Float[Array, " n"]:
    """Nocedal and Wright, alg. 7.4; a place without a pair has weight 0."""
    history = len(state.weights)
    q, alphas = gradient, []
    for i in reversed(range(history)):
        alphas.append(state.weights[i] * (state.displacements[i] @ q))
        q = q - alphas[-1] * state.differences[i]
    q = state.scale * q
    for i in range(history):
        beta = state.weights[i] * (state.differences[i] @ q)
        q = q + (alphas[history - 1 - i] - beta) * state.displacements[i]
    return q

"""What methods share that train a potential g and a map by g's c-transform, along paths or not."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from w2dual import potentials


class StepMetrics(NamedTuple):
    """Of one update, for each seed; means over all points. `fit_steps` are its own of a fit."""

    loss: Float[Array, " seeds"]
    dual_objective: Float[Array, " seeds"]
    amortization_loss: Float[Array, " seeds"]
    conjugate_iterations: Float[Array, " seeds"]
    path_loss: Float[Array, " seeds"]
    fit_steps: Float[Array, " seeds"]


def dual_and_error(
    networks: tuple[nn.Module, nn.Module],
    params: tuple[Any, Any],
    x: Array,
    y: Array,
    y_hat: Array,
    conjugate: Array,
) -> tuple[Array, Array]:
    """Return the dual's value, and the squared error of the map's regression on y_hat.

    The cost at y_hat is a part of the dual's value, and of no gradient.

    Args:
        networks: the potential and the map.
        params: of both, of one seed.
        x: points of the source.
        y: points of the target.
        y_hat: where the c-transform of each x is attained, held fixed.
        conjugate: its value there.
    """
    potential, model = networks
    at_y_hat = potentials.value(potential, params[0], y_hat)
    fixed = jnp.mean(conjugate) + jnp.mean(stop_gradient(at_y_hat))
    dual = jnp.mean(potentials.value(potential, params[0], y)) + fixed - jnp.mean(at_y_hat)
    return dual, jnp.mean((potentials.applied(model, params[1], x) - y_hat) ** 2)

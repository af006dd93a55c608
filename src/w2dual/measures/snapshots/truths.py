"""The metrics that the populations of the published sets move under.

A(x) = I - s v(x) v(x)^T on the plane: moving along v costs 1 - s |v|^2 of what it costs across. A
truth is the field v of one set. Pooladian et al. 2024 judge with s = 0.999; Scarvelis and Solomon
2023 make the data with s = 1, and with a longer v for the crossing paths.

What is compared is the axis that is cheapest to move along, so neither v's length nor its sign nor
the eigenvalues matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Field = Callable[[Float[Array, "*points 2"]], Float[Array, "*points 2"]]

STRENGTH = 0.999
"""s where metrics are judged (Pooladian et al. 2024, their code's metrics)."""
SMALLEST_RADIUS = 1e-6


def circle(x: Float[Array, "*points 2"]) -> Float[Array, "*points 2"]:
    """Return v = (-x2, x1) / |x|: moving round the origin is cheap."""
    squares = jnp.sum(x * x, axis=-1, keepdims=True)
    # The root of what is not zero, so that its slope at the origin is finite.
    radius = jnp.sqrt(jnp.maximum(squares, SMALLEST_RADIUS**2))
    return jnp.stack([-x[..., 1], x[..., 0]], axis=-1) / radius


def mass_splitting(x: Float[Array, "*points 2"]) -> Float[Array, "*points 2"]:
    """Return v = (1, sign x2) / sqrt 2: up and to the right above the axis, down below it."""
    across = jnp.sign(x[..., 1])
    return jnp.stack([jnp.ones_like(across), across], axis=-1) / math.sqrt(2)


def x_paths(x: Float[Array, "*points 2"]) -> Float[Array, "*points 2"]:
    """Return v = a (1, 1)/sqrt 2 - b (1, -1)/sqrt 2 with a, b = tanh of relu of +-x1 x2."""
    product = x[..., 0] * x[..., 1]
    rising, falling = (jnp.tanh(jax.nn.relu(sign * product)) for sign in (1.0, -1.0))
    return jnp.stack([rising - falling, rising + falling], axis=-1) / math.sqrt(2)


TRUTHS: dict[str, Field] = {
    "circle": circle,
    "mass_splitting": mass_splitting,
    "x_paths": x_paths,
}
"""The field v of each published set."""


def metric(
    field: Field, x: Float[Array, "*points 2"], strength: float = STRENGTH
) -> Float[Array, "*points 2 2"]:
    """Return A(x) = I - s v v^T."""
    v = field(x)
    outer = v[..., :, None] * v[..., None, :]
    return jnp.broadcast_to(jnp.eye(2), outer.shape) - strength * outer

"""Activation functions, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from w2dual.records import InputError


def elu(z: Array) -> Array:
    """Give z where z > 0, else exp(z) - 1; CELU with alpha 1 is the same function.

    `jax.nn.elu` takes expm1, which on a CPU costs about two transcendental functions. The
    difference is a rounding of 1, 6e-8 in float32, in activations of order 1.
    """
    negative = jnp.where(z > 0, 0.0, z)  # so that the branch not taken cannot overflow
    return jnp.where(z > 0, z, jnp.exp(negative) - 1.0)


def activation(name: str) -> Callable[[Array], Array]:
    """Give an activation by name: elu, celu, relu, softplus, or leaky_relu_SLOPE."""
    if name.startswith("leaky_relu_"):
        slope = float(name.removeprefix("leaky_relu_"))
        return partial(jax.nn.leaky_relu, negative_slope=slope)
    known = {"elu": elu, "celu": elu, "relu": jax.nn.relu, "softplus": jax.nn.softplus}
    if name not in known:
        raise InputError(f"activation {name!r}: expected {', '.join(known)} or leaky_relu_SLOPE")
    return known[name]

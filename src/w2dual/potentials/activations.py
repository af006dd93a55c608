"""Activation functions, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from w2dual.records import InputError


def elu(z: Array) -> Array:
    """Return z where z > 0, else exp(z) - 1; CELU with alpha 1 is the same function.

    `jax.nn.elu` takes expm1, which on a CPU costs about two transcendental functions. The
    difference is a rounding of 1, 6e-8 in float32, in activations of order 1.
    """
    negative = jnp.where(z > 0, 0.0, z)  # so that the branch not taken cannot overflow
    return jnp.where(z > 0, z, jnp.exp(negative) - 1.0)


def softplus(z: Array, sharpness: float) -> Array:
    """Return log(1 + exp(sharpness z)) / sharpness, within log(2) / sharpness of max(z, 0)."""
    return jax.nn.softplus(sharpness * z) / sharpness


def activation(name: str) -> Callable[[Array], Array]:
    """Return an activation by name: elu, celu, relu, softplus_SHARPNESS, or leaky_relu_SLOPE.

    `softplus` alone has sharpness 1.

    Raises:
        InputError: there is none of that name, or its number is none or not positive.
    """
    for prefix, family, keyword in (
        ("leaky_relu_", jax.nn.leaky_relu, "negative_slope"),
        ("softplus_", softplus, "sharpness"),
    ):
        if name.startswith(prefix):
            number = _positive(name.removeprefix(prefix))
            if number is None:
                raise InputError(f"activation {name!r}: expected a positive number after {prefix}")
            return partial(family, **{keyword: number})
    known = {"elu": elu, "celu": elu, "relu": jax.nn.relu, "softplus": jax.nn.softplus}
    if name not in known:
        raise InputError(
            f"activation {name!r}: expected {', '.join(known)}, softplus_SHARPNESS or "
            "leaky_relu_SLOPE"
        )
    return known[name]


def _positive(text: str) -> float | None:
    """Read a positive number; None where the text is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None

"""The loss on first-order optimality, or cycle consistency (Amos 2023; Korotin et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.amortization.base import AmortizationBatch, Loss


def cycle(batch: AmortizationBatch, weight: float) -> Float[Array, ""]:
    """First-order optimality, weight * mean (grad f(x_tilde(y)) - y)^2 over batch and coordinates.

    With fine-tuning f is held fixed. Without, this is the regularisation of Korotin et al. (W2GN,
    2019): f is not held fixed, and the reverse cycle (x_tilde(grad f(x)) - x)^2 is added.
    """
    if batch.fine_tuned:
        return weight * jnp.mean((batch.gradient_fixed(batch.x_tilde) - batch.y) ** 2)
    forward = jnp.mean((batch.gradient(batch.x_tilde) - batch.y) ** 2)
    reverse = jnp.mean((batch.model(batch.gradient(batch.x)) - batch.x) ** 2)
    return weight * (forward + reverse)


def make(settings: Mapping[str, Any]) -> Loss:
    """Build the loss from its `weight`."""
    return partial(cycle, **settings)

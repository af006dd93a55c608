"""The loss that minimises the conjugate's objective itself (Amos 2023, eq. 6)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.amortization.base import AmortizationBatch, Loss


def objective(batch: AmortizationBatch) -> Float[Array, ""]:
    """Mean of J_f(x_tilde(y); y), f held fixed (Amos 2023, eq. 6)."""
    inner = jnp.sum(batch.x_tilde * batch.y, axis=-1)
    return jnp.mean(batch.potential_fixed(batch.x_tilde) - inner)


def make(settings: Mapping[str, Any]) -> Loss:
    """Build the loss, which has no settings."""
    return partial(objective, **settings)

"""The loss that regresses on fine-tuned conjugates (Amos 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.amortization.base import AmortizationBatch, Loss


def regression(batch: AmortizationBatch) -> Float[Array, ""]:
    """Mean of (x_tilde(y) - x_hat(y))^2 over batch and coordinates, x_hat held fixed."""
    return jnp.mean((batch.x_tilde - batch.x_hat) ** 2)


def make(settings: Mapping[str, Any]) -> Loss:
    """Build the loss, which has no settings."""
    return partial(regression, **settings)

"""The amortization model of the image benchmark: the gradient of a second potential.

x_tilde(y) = grad H(y), where H is a network of the same kind and settings as the potential f. Its
parameters start as a copy of f's once those are pre-trained to the identity, so that x_tilde starts
at the identity too, with no pre-training of its own (w2ot, dual_trainer.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual import potentials
from w2dual.decoding import decode


@dataclass(frozen=True)
class _Settings:
    potential: Mapping[str, Any]


class Gradient(nn.Module):
    """The gradient of a scalar network, as a map."""

    inner: nn.Module

    @nn.compact
    def __call__(self, y: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
        """Predict the conjugate's argmin for each y."""
        if self.is_initializing():  # parameters may not be made while a gradient is taken
            self.inner(y)
        return jax.grad(lambda points: jnp.sum(self.inner(points)))(y)

    def start_from_potential(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return this model's parameters at the start, given the potential's, pre-trained."""
        return {"inner": jax.tree.map(jnp.copy, params)}


def make(settings: Mapping[str, Any], dimension: int) -> Gradient:
    """Build the model from `potential`, the settings of the second potential, kind included.

    Raises:
        InputError: there is no such kind, or its settings do not fit.
    """
    chosen = decode(_Settings, settings, "amortization model gradient", "settings")
    return Gradient(potentials.make(chosen.potential, dimension))

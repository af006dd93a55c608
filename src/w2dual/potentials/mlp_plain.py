"""An MLP with a linear output and no quadratic term: the published potential of a general cost.

Source: Pooladian et al., "Neural optimal transport with Lagrangian costs" (UAI 2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.potentials import Affine
from w2dual.potentials.activations import activation


class PlainMLP(nn.Module):
    """g(y) = W_L act(... act(W_1 y + b_1)) + b_L."""

    hidden: Sequence[int]
    activation: str

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """Value g(x) for each point."""
        act = activation(self.activation)
        z = x
        for i, width in enumerate(self.hidden):
            z = act(Affine(width, name=f"dense_{i}")(z))
        return jnp.squeeze(Affine(1, name=f"dense_{len(self.hidden)}")(z), -1)


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network from `hidden` and `activation`."""
    del dimension  # flax infers it from the first batch
    return PlainMLP(**settings)

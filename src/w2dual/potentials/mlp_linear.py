"""An MLP with a linear output unit and a fixed quadratic term: the potential of ENOT.

Source: Buzun, Bobrin and Dylov, NeurIPS 2024; the networks of their code, with flax's own
initialisers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.potentials import Affine
from w2dual.potentials.activations import activation


class LinearMLP(nn.Module):
    """f(x) = w act(... act(W_1 x + b_1)) + b + quadratic/2 ||x||^2."""

    hidden: Sequence[int]
    activation: str
    quadratic: float

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """Value f(x) for each point."""
        act = activation(self.activation)
        z = x
        for i, width in enumerate(self.hidden):
            z = act(Affine(width, name=f"dense_{i}")(z))
        output = Affine(1, name=f"dense_{len(self.hidden)}")(z)
        return jnp.squeeze(output, -1) + 0.5 * self.quadratic * jnp.sum(x * x, axis=-1)


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network from `hidden`, `activation` and `quadratic`."""
    del dimension  # flax infers it from the first batch
    return LinearMLP(**settings)

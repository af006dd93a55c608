"""The non-convex potential of Amos 2023, app. B.4: an MLP plus a learned quadratic term.

The output unit has the activation too, as in the published code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.potentials import Affine, QuadraticTerm
from w2dual.potentials.activations import activation
from w2dual.potentials.layered import Layer


class MLP(nn.Module):
    """f(x) = act(W_L act(... act(W_1 x + b_1)) + b_L) + 1/2 exp(log_alpha) ||x||^2."""

    hidden: Sequence[int]
    activation: str

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """Value f(x) for each point."""
        act = activation(self.activation)
        z = x
        for i, width in enumerate([*self.hidden, 1]):
            z = act(Affine(width, name=f"dense_{i}")(z))
        return jnp.squeeze(z, -1) + QuadraticTerm(name="quadratic")(x)

    def layers(self, params: Mapping[str, Any]) -> tuple[Layer, ...]:
        """Return what the network computes, as layers; parameters have a leading axis of seeds."""
        affine = [params[f"dense_{i}"] for i in range(len(self.hidden) + 1)]
        first, *others = [(item["kernel"], item["bias"]) for item in affine]
        return (Layer(None, *first), *(Layer(kernel, None, bias) for kernel, bias in others))


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network from `hidden` and `activation`."""
    del dimension  # flax infers it from the first batch
    return MLP(**settings)

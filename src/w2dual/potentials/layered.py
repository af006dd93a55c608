"""Our networks as what they compute: layers of products, one activation and a quadratic term.

    z_1 = act(x A_1 + b_1),  z_i = act(z_{i-1} C_i + x A_i + b_i),  f(x) = z_last + alpha/2 ||x||^2

An MLP has A in its first layer alone, an ICNN in all. The last layer has one unit. What depends on
the parameters alone is computed here: softplus of weights, ActNorm's factors, exp(log_alpha).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

Params = Mapping[str, Any]


class Layer(NamedTuple):
    """One layer of every seed; a layer without one of the products has None for it."""

    hidden: Float[Array, "seeds before width"] | None
    skip: Float[Array, "seeds n width"] | None
    bias: Float[Array, "seeds width"]


class Layered(NamedTuple):
    """A potential of every seed; `activation` is a name of `activations`."""

    layers: tuple[Layer, ...]
    alpha: Float[Array, " seeds"]
    activation: str

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(layer.bias.shape[-1] for layer in self.layers[:-1])


def layered(module: nn.Module, params: Params) -> Layered | None:
    """Return a potential as layers; None for one whose own class has no `layers(params)`.

    A class derived from one that has them computes what it likes, so it gives None too.

    Args:
        module: the potential.
        params: its parameters, with a leading axis of seeds.
    """
    if "layers" not in vars(type(module)):
        return None
    layers = module.layers(params)  # pyright: ignore[reportAttributeAccessIssue]
    alpha = jnp.exp(params["quadratic"]["log_alpha"])
    return Layered(layers, alpha, module.activation)  # pyright: ignore[reportAttributeAccessIssue]

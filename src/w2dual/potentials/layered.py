"""Our networks as what they compute: layers of products, one activation and a quadratic term.

    z_1 = act(x A_1 + b_1),  z_i = act(z_{i-1} C_i + x A_i + b_i),  f(x) = z_last + alpha/2 ||x||^2

An MLP has A in its first layer alone, an ICNN in all. The last layer has one unit. What depends on
the parameters alone is computed here: softplus of weights, ActNorm's factors, exp(log_alpha).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.potentials.icnn import ICNN
from w2dual.potentials.mlp import MLP

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
    """Return a potential as layers; None for one that is neither our MLP nor our ICNN.

    A class derived from one of these computes what it likes, so it gives None too.

    Args:
        module: the potential.
        params: its parameters, with a leading axis of seeds.
    """
    if type(module) is MLP:
        layers = _mlp(len(module.hidden) + 1, params)
    elif type(module) is ICNN:
        layers = _icnn(len(module.hidden) + 1, params)
    else:
        return None
    return Layered(layers, jnp.exp(params["quadratic"]["log_alpha"]), module.activation)


def _mlp(count: int, params: Params) -> tuple[Layer, ...]:
    affine = [params[f"dense_{i}"] for i in range(count)]
    first, *others = [(item["kernel"], item["bias"]) for item in affine]
    return (Layer(None, *first), *(Layer(kernel, None, bias) for kernel, bias in others))


def _icnn(count: int, params: Params) -> tuple[Layer, ...]:
    layers = [Layer(None, params["x_0"]["kernel"], params["x_0"]["bias"])]
    for i in range(1, count):
        raw = params[f"z_{i}"]["kernel"]
        hidden = jax.nn.softplus(raw) / raw.shape[-2]
        skip, bias = params[f"x_{i}"]["kernel"], params[f"x_{i}"]["bias"]
        if norm := params.get(f"actnorm_{i}"):
            scale = jnp.exp(-norm["log_scale"])
            hidden, skip = hidden * scale[:, None], skip * scale[:, None]
            bias = bias * scale + norm["bias"] * scale
        layers.append(Layer(hidden, skip, bias))
    return tuple(layers)

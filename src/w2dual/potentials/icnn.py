"""The input-convex neural network of Amos 2023, app. B.3.

z_1 = act(W^x_1 x + b_1),  z_{i+1} = act(N_i((1/h_i) softplus(W^z_i) z_i + W^x_{i+1} x + b_{i+1})),
f(x) = z_out + 1/2 exp(log_alpha) ||x||^2. N_i is an ActNorm on hidden layers and the identity on
the output unit, which has the activation too. Convex in x, for a convex, non-decreasing act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.potentials import QuadraticTerm, activation

_KERNEL = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


class PositiveDense(nn.Module):
    """A linear layer without bias whose weights are softplus(W) / fan_in."""

    features: int

    @nn.compact
    def __call__(self, z: Float[Array, "batch inputs"]) -> Float[Array, "batch features"]:
        """Apply the layer."""
        kernel = self.param("kernel", _KERNEL, (z.shape[-1], self.features))
        return z @ (jax.nn.softplus(kernel) / z.shape[-1])


class ActNorm(nn.Module):
    """(z + bias) / exp(log_scale) per unit (Kingma and Dhariwal 2018).

    It starts so that the batch it is initialised on has mean 0 and standard deviation 1.
    """

    @nn.compact
    def __call__(self, z: Float[Array, "batch features"]) -> Float[Array, "batch features"]:
        """Apply the layer."""
        log_scale = self.param("log_scale", lambda _: jnp.log(jnp.std(z, axis=0)))
        bias = self.param("bias", lambda _: -jnp.mean(z, axis=0))
        return (z + bias[None]) * jnp.exp(-log_scale)[None]


class ICNN(nn.Module):
    """The network; see the module's head."""

    hidden: Sequence[int]
    activation: str
    actnorm: bool

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """Value f(x) for each point."""
        act = activation(self.activation)
        first, *others = self.hidden
        z = act(nn.Dense(first, kernel_init=_KERNEL, name="x_0")(x))
        for i, width in enumerate([*others, 1], start=1):
            z = PositiveDense(width, name=f"z_{i}")(z)
            z = z + nn.Dense(width, kernel_init=_KERNEL, name=f"x_{i}")(x)
            if self.actnorm and i < len(self.hidden):
                z = ActNorm(name=f"actnorm_{i}")(z)
            z = act(z)
        return jnp.squeeze(z, -1) + QuadraticTerm(name="quadratic")(x)


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network from `hidden`, `activation` and `actnorm`."""
    del dimension  # flax infers it from the first batch
    return ICNN(**settings)

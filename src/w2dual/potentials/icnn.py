"""The input-convex neural network of Amos 2023, app. B.3.

z_1 = act(W^x_1 x + b_1),  z_{i+1} = act(N_i((1/h_i) softplus(W^z_i) z_i + W^x_{i+1} x + b_{i+1})),
f(x) = z_out + 1/2 exp(log_alpha) ||x||^2. N_i is an ActNorm on hidden layers and the identity on
the output unit, which has the activation too. Convex in x, for a convex, non-decreasing act.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.potentials import Affine, QuadraticTerm
from w2dual.potentials.activations import activation
from w2dual.potentials.layered import Layer

_KERNEL = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


class PositiveDense(nn.Module):
    """A linear layer without bias whose weights are softplus(W) / fan_in."""

    features: int

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch inputs"], scale: Float[Array, " features"] | None = None
    ) -> Float[Array, "batch features"]:
        """Apply the layer, its output times `scale` where one is given."""
        kernel = self.param("kernel", _KERNEL, (z.shape[-1], self.features))
        weights = jax.nn.softplus(kernel) / z.shape[-1]
        return z @ (weights if scale is None else weights * scale[None])


class ActNorm(nn.Module):
    """(z + bias) / exp(log_scale) per unit (Kingma and Dhariwal 2018), as (bias, exp(-log_scale)).

    It starts so that the batch it is initialised on has mean 0 and standard deviation 1.
    """

    features: int

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch features"] | None
    ) -> tuple[Float[Array, " features"], Float[Array, " features"]]:
        """Return bias and factor; `z`, to be normalised by them, is read only at initialisation."""

        def start(statistic: Callable[[Array], Array]) -> Callable[[Array], Array]:
            return lambda _: jnp.zeros(self.features) if z is None else statistic(z)

        log_scale = self.param("log_scale", start(lambda z: jnp.log(jnp.std(z, axis=0))))
        bias = self.param("bias", start(lambda z: -jnp.mean(z, axis=0)))
        return bias, jnp.exp(-log_scale)


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
        z = act(Affine(first, kernel_init=_KERNEL, name="x_0")(x))
        for i, width in enumerate([*others, 1], start=1):
            convex = PositiveDense(width, name=f"z_{i}")
            skip = Affine(width, kernel_init=_KERNEL, name=f"x_{i}")
            if self.actnorm and i < len(self.hidden):
                # The factor goes into the weights, which are fewer than the batch's numbers.
                raw = convex(z) + skip(x) if self.is_initializing() else None
                shift, scale = ActNorm(width, name=f"actnorm_{i}")(raw)
                z = act(convex(z, scale) + skip(x, scale) + (shift * scale)[None])
            else:
                z = act(convex(z) + skip(x))
        return jnp.squeeze(z, -1) + QuadraticTerm(name="quadratic")(x)

    def layers(self, params: Mapping[str, Any]) -> tuple[Layer, ...]:
        """Return what the network computes, as layers; parameters have a leading axis of seeds."""
        layers = [Layer(None, params["x_0"]["kernel"], params["x_0"]["bias"])]
        for i in range(1, len(self.hidden) + 1):
            raw = params[f"z_{i}"]["kernel"]
            hidden = jax.nn.softplus(raw) / raw.shape[-2]
            skip, bias = params[f"x_{i}"]["kernel"], params[f"x_{i}"]["bias"]
            if norm := params.get(f"actnorm_{i}"):
                scale = jnp.exp(-norm["log_scale"])
                hidden, skip = hidden * scale[:, None], skip * scale[:, None]
                bias = bias * scale + norm["bias"] * scale
            layers.append(Layer(hidden, skip, bias))
        return tuple(layers)


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network from `hidden`, `activation` and `actnorm`."""
    del dimension  # flax infers it from the first batch
    return ICNN(**settings)

"""The networks of the paper as one would write them in flax, with w2dual's parameter names.

They take a point or a batch, and w2dual's trained parameters fit them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


class _Quadratic(nn.Module):
    @nn.compact
    def __call__(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        log_alpha = self.param("log_alpha", nn.initializers.zeros, ())
        return 0.5 * jnp.exp(log_alpha) * jnp.sum(x**2, axis=-1)


class _Positive(nn.Module):
    features: int

    @nn.compact
    def __call__(self, z: Float[Array, "*batch inputs"]) -> Float[Array, "*batch features"]:
        shape = (z.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        return z @ (jax.nn.softplus(kernel) / z.shape[-1])


class _ActNorm(nn.Module):
    @nn.compact
    def __call__(self, z: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
        log_scale = self.param("log_scale", nn.initializers.zeros, z.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, z.shape[-1:])
        return (z + bias) / jnp.exp(log_scale)


class PlainMLP(nn.Module):
    """The non-convex potential (Amos 2023, app. B.4)."""

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Value f(x)."""
        z = x
        for i, width in enumerate([*self.hidden, 1]):
            z = jax.nn.elu(nn.Dense(width, name=f"dense_{i}")(z))
        return z[..., 0] + _Quadratic(name="quadratic")(x)


class PlainICNN(nn.Module):
    """The input-convex potential (Amos 2023, app. B.3)."""

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """Value f(x)."""
        z = jax.nn.elu(nn.Dense(self.hidden[0], name="x_0")(x))
        for i, width in enumerate([*self.hidden[1:], 1], start=1):
            z = _Positive(width, name=f"z_{i}")(z) + nn.Dense(width, name=f"x_{i}")(x)
            if i < len(self.hidden):
                z = _ActNorm(name=f"actnorm_{i}")(z)
            z = jax.nn.elu(z)
        return z[..., 0] + _Quadratic(name="quadratic")(x)


class PlainModel(nn.Module):
    """The amortization model y + MLP(y) (Amos 2023, app. B.2)."""

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, y: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Predict the conjugate's argmin."""
        z = y
        for i, width in enumerate(self.hidden):
            z = jax.nn.elu(nn.Dense(width, name=f"dense_{i}")(z))
        return y + nn.Dense(y.shape[-1], name=f"dense_{len(self.hidden)}")(z)


POTENTIALS = {"mlp": PlainMLP, "icnn": PlainICNN}

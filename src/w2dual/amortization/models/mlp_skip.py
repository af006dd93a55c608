"""The amortization model of Amos 2023, app. B.2: an MLP with a skip connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.potentials.activations import activation
from w2dual.potentials.layered import Layer


class MLPWithSkip(nn.Module):
    """x_tilde(y) = y + MLP(y), so that it starts near the identity (Amos 2023, app. B.2)."""

    hidden: Sequence[int]
    activation: str

    @nn.compact
    def __call__(self, y: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
        """Predict the conjugate's argmin for each y."""
        act = activation(self.activation)
        z = y
        for i, width in enumerate(self.hidden):
            z = act(nn.Dense(width, name=f"dense_{i}")(z))
        return y + nn.Dense(y.shape[-1], name=f"dense_{len(self.hidden)}")(z)

    def layers(self, params: Mapping[str, Any]) -> tuple[Layer, ...]:
        """Return the MLP's layers, the last without activation, of seeds along a leading axis."""
        affine = [params[f"dense_{i}"] for i in range(len(self.hidden) + 1)]
        first, *others = [(item["kernel"], item["bias"]) for item in affine]
        return (Layer(None, *first), *(Layer(kernel, None, bias) for kernel, bias in others))


def make(settings: Mapping[str, Any], dimension: int) -> MLPWithSkip:
    """Build the model from `hidden` and `activation`; its input decides the dimension."""
    del dimension
    return MLPWithSkip(**settings)

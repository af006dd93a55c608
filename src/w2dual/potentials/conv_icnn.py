"""ConvICNN as a potential that is trained, the network of [W2] on images.

The network, and its start at N(0, 0.01^2), are those of the benchmark's pairs
(`measures.celeba64.icnn_conv`); negative weights that convexity forbids are clamped by `project`
after each step, and may be there before the first. While it is trained a part of what its layers
put out is dropped: whole channels after the first CELU, and single numbers before each of the
three layers that follow (Korotin et al., NeurIPS 2021, the repository's `icnn.ConvICNN64`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from w2dual import rng
from w2dual.measures.celeba64 import icnn_conv

CLAMPED = ("convex", "final")
"""First word of the names of weights that convexity wants non-negative."""


class ConvICNN(nn.Module):
    """The network; see `icnn_conv`.

    Attributes:
        widths: channels of its four layers.
        strong_convexity: mu.
        dropout: the part that is dropped in training.
        std: of the start.
    """

    widths: Sequence[int]
    strong_convexity: float
    dropout: float
    std: float = 0.01

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch n"], keys: Key[Array, " parts"] | None = None
    ) -> Float[Array, " batch"]:
        """Value f(x) for each image.

        Args:
            x: the images.
            keys: of what is dropped, one for each of as many equal parts of the batch; None where
                nothing is.
        """
        draw = nn.initializers.normal(self.std)
        wanted = icnn_conv.shapes(icnn_conv.side_of(x.shape[-1]), self.widths)
        weights = icnn_conv.assemble(
            {name: self.param(name, draw, shape) for name, shape in wanted.items()}
        )

        def drop(layer: int, hidden: Array) -> Array:
            if keys is None:
                return hidden
            of_layer = jax.vmap(lambda key: rng.at(key, layer))(keys)
            if layer == 0:
                channels = (*hidden.shape[:2], 1, 1)
                of_channels = jax.vmap(lambda key: rng.at(key, len(icnn_conv.ALPHAS)))(keys)
                hidden = hidden * self._kept(of_channels, channels, hidden.dtype)
            return hidden * self._kept(of_layer, hidden.shape, hidden.dtype)

        return icnn_conv.values(weights, self.strong_convexity, x, drop)

    def _kept(self, keys: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return 0 for what is dropped, and what keeps the mean for the others."""
        batch, *rest = shape
        part = (batch // len(keys), *rest)
        kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.dropout, part))(keys)
        return kept.reshape(shape).astype(dtype) / (1 - self.dropout)

    def project(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with negative weights at 0 where convexity wants none."""
        return {
            name: jnp.maximum(leaf, 0) if name.partition(".")[0] in CLAMPED else leaf
            for name, leaf in params.items()
        }


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network from `widths`, `strong_convexity` and `dropout`.

    Raises:
        InputError: points of this dimension are no images of such a network.
    """
    icnn_conv.shapes(icnn_conv.side_of(dimension), settings["widths"])
    return ConvICNN(**{**settings, "widths": tuple(settings["widths"])})

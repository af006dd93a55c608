"""An encoder of palettes: the histogram of an image's colours, by one hidden layer [ours].

Roots of the shares are taken, so that rare colours count, and scaled to a mean square of 1. The
network then knows nothing of layout, which does not change an image's measure of colours either.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

ENCODING = "histogram"


class HistogramEncoder(nn.Module):
    """The network; it keeps no statistics."""

    features: int

    @nn.compact
    def __call__(
        self, encodings: Float[Array, "batch cells"], train: bool = False
    ) -> Float[Array, "batch features"]:
        """Return the features of histograms."""
        del train
        cells = encodings.shape[-1]
        return nn.relu(nn.Dense(self.features)(jnp.sqrt(cells * jnp.maximum(encodings, 0.0))))


def make(features: int, axis: str | None) -> HistogramEncoder:
    """Build the encoder."""
    del axis
    return HistogramEncoder(features)

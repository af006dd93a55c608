"""A U-Net from images to images, the map of the benchmark's [MM] on images.

It halves an image four times and doubles it again, and lays what it had at each size on the way
down beside what it has on the way up. There is no path from input to output around it, so that it
is not the identity at the start. Its batch normalisation has running statistics besides parameters,
so that only a method that keeps them can train it. Source: Korotin et al., NeurIPS 2021, the
repository's `unet.UNet` (milesial's), and `FakeUNet64_H` in its MM_test_images_benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.decoding import decode
from w2dual.measures.celeba64.icnn_conv import COLOURS, side_of
from w2dual.potentials.torch_layers import (
    BatchNorm,
    Convolution,
    Images,
    doubled,
    images,
    max_pool,
)
from w2dual.records import InputError

DOWN, UP = (2, 4, 8, 8), (4, 2, 1, 1)
"""Channels after each halving and doubling, as multiples of those at full size."""


@dataclass(frozen=True)
class _Settings:
    base: int


class DoubleConvolution(nn.Module):
    """Twice a convolution, batch normalisation and ReLU.

    Attributes:
        features: channels of the output.
        between: channels after the first convolution.
    """

    features: int
    between: int

    @nn.compact
    def __call__(self, z: Images, train: bool) -> Images:
        """Apply the layers."""
        for place, features in ((0, self.between), (3, self.features)):
            z = Convolution(features, name=f"double_conv_{place}")(z)
            z = BatchNorm(name=f"double_conv_{place + 1}")(z, train)
            z = jnp.where(z > 0, z, 0.0)
        return z


class UNet(nn.Module):
    """The network; see the module's head.

    Attributes:
        base: channels at full size, 48 in the published network.
    """

    base: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"], train: bool = False) -> Float[Array, "batch n"]:
        """Map images; `train` normalises by the batch's own statistics."""
        z = DoubleConvolution(self.base, self.base, name="inc")(images(x), train)
        seen = [z]
        for i, multiple in enumerate(DOWN):
            features = multiple * self.base
            z = DoubleConvolution(features, features, name=f"down{i + 1}")(max_pool(z), train)
            seen.append(z)
        for i, multiple in enumerate(UP):
            both = jnp.concatenate([seen[-2 - i], doubled(z)], axis=1)
            features, between = multiple * self.base, both.shape[1] // 2
            z = DoubleConvolution(features, between, name=f"up{i + 1}")(both, train)
        z = Convolution(COLOURS, kernel=1, name="outc")(z)
        return z.reshape(x.shape)


def make(settings: Mapping[str, Any], dimension: int) -> UNet:
    """Build the network from `base`.

    Raises:
        InputError: a setting is missing or unknown, or points of this dimension are no images that
            it can halve four times.
    """
    chosen = decode(_Settings, settings, "amortization model unet", "settings")
    side = side_of(dimension)
    if side % 2 ** len(DOWN):
        raise InputError(
            f"amortization model unet: images of side {side}; expected a multiple of "
            f"{2 ** len(DOWN)}"
        )
    return UNet(chosen.base)

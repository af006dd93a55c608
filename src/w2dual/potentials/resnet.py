"""The residual network of the benchmark's [MM] on images, as a potential: not convex.

    f(x) = 1/2 ||x||^2 - R(x)

R halves an image step by step, with two residual blocks at each size,

    block(z) = lrelu(s(z) + 0.1 c_1(lrelu(c_0(z)))),    lrelu of slope 0.2,

c_0, c_1 convolutions of 3 x 3 with bias, s the identity or, where the number of channels changes,
one of 1 x 1 without; a linear layer makes one number of what is left. At the start R is so flat
that grad f is the identity but for 1e-5. Source: Korotin et al., NeurIPS 2021, the repository's
`resnet2.ResNet_D` (of WGAN-QC) and `FakeResNet64_D` in its MM_test_images_benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.measures.celeba64.generator import RESIDUAL, SLOPE
from w2dual.measures.celeba64.icnn_conv import side_of
from w2dual.potentials.torch_layers import Convolution, Images, Linear, average_pool, images
from w2dual.records import InputError

LAST_SIDE = 4
"""Pixels, side of the image that the linear layer takes."""


class Block(nn.Module):
    """A residual block.

    Attributes:
        features: channels of the output.
    """

    features: int

    @nn.compact
    def __call__(self, z: Images) -> Images:
        """Apply the block."""
        before = z.shape[1]
        change = Convolution(min(before, self.features), name="conv_0")(z)
        change = Convolution(self.features, name="conv_1")(_leaky(change))
        if before != self.features:
            z = Convolution(self.features, kernel=1, biased=False, name="conv_s")(z)
        return _leaky(z + RESIDUAL * change)


class ResNet(nn.Module):
    """The network; see the module's head.

    Attributes:
        filters: channels after the first layer.
        max_filters: of any layer, at most.
    """

    filters: int
    max_filters: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """Value f(x) for each image."""
        z = _leaky(Convolution(min(self.filters, self.max_filters), name="conv_img")(images(x)))
        place, width = 0, self.filters
        while True:  # the first pair of blocks is at the image's own size
            for features in (width, 2 * width):
                z = Block(min(features, self.max_filters), name=f"resnet_{place}")(z)
                place += 1
            if z.shape[-1] == LAST_SIDE:
                break
            z = average_pool(z)
            place, width = place + 1, 2 * width
        flat = Linear(1, name="fc")(z.reshape(len(x), -1))
        return 0.5 * jnp.sum(x * x, axis=-1) - flat[:, 0]


def _leaky(z: Array) -> Array:
    return jnp.where(z > 0, z, SLOPE * z)


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network from `filters` and `max_filters`.

    Raises:
        InputError: points of this dimension are no images that it can halve down to 4 x 4 pixels.
    """
    side = side_of(dimension)
    if side < LAST_SIDE or side & (side - 1):
        raise InputError(f"potential resnet: images of side {side}; expected 4, 8, 16, 32, ...")
    return ResNet(**settings)

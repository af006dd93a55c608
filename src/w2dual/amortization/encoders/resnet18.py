"""ResNet-18 on the squashed image, trained from nothing [meta-ot models.py].

The usual one (He et al., CVPR 2016): 7 x 7 convolution, max-pooling, four stages of two blocks with
64, 128, 256, 512 channels, the mean over places, one linear layer. Images are standardised by
ImageNet's means and deviations. BatchNorm's running statistics are in `batch_stats`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

ENCODING = "image"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours [meta-ot data.py]."""
STAGES = (64, 128, 256, 512)


class Block(nn.Module):
    """Two convolutions and a way around them."""

    channels: int
    stride: int
    norm: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Apply the block."""
        conv = partial(nn.Conv, use_bias=False, kernel_init=_he)
        strides = (self.stride, self.stride)
        y = conv(self.channels, (3, 3), strides, padding=1)(x)
        y = nn.relu(self.norm()(y))
        y = conv(self.channels, (3, 3), padding=1)(y)
        y = self.norm(scale_init=nn.initializers.zeros_init())(y)
        if x.shape != y.shape:
            x = self.norm()(conv(self.channels, (1, 1), strides)(x))
        return nn.relu(x + y)


class ResNet18(nn.Module):
    """The network."""

    features: int
    axis: str | None

    @nn.compact
    def __call__(
        self, encodings: Float[Array, "batch numbers"], train: bool = False
    ) -> Float[Array, "batch features"]:
        """Return the features of flattened images, RGB from 0 to 1."""
        side = math.isqrt(encodings.shape[-1] // 3)
        x = encodings.reshape(-1, side, side, 3)
        mean, std = (jnp.array(each).reshape(1, 1, 1, 3) for each in (MEAN, STD))
        x = (x - mean) / std
        axis = self.axis if train else None
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, axis_name=axis)
        x = nn.Conv(64, (7, 7), (2, 2), padding=3, use_bias=False, kernel_init=_he)(x)
        x = nn.relu(norm()(x))
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))  # of zeros, and x is not below 0
        x = nn.max_pool(x, (3, 3), (2, 2))
        for stage, channels in enumerate(STAGES):
            for block in range(2):
                x = Block(channels, 2 if stage > 0 and block == 0 else 1, norm)(x)
        return nn.Dense(self.features)(jnp.mean(x, axis=(1, 2)))


_he = nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")


def make(features: int, axis: str | None) -> ResNet18:
    """Build the encoder."""
    return ResNet18(features, axis)

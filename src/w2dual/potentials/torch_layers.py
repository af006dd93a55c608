"""Layers of the benchmark's networks on images, drawn and applied as PyTorch does.

Images are (batch, channels, height, width). Weights and biases start uniform between
-1 / sqrt(inputs) and 1 / sqrt(inputs), PyTorch's default for convolutions and linear layers. Names
of parameters are those of PyTorch's modules.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.measures.celeba64 import generator
from w2dual.measures.celeba64.icnn_conv import side_of

Images = Float[Array, "batch channels height width"]


def images(x: Float[Array, "batch n"]) -> Images:
    """Return points as the images that they are: 3 colours one after another, row by row."""
    side = side_of(x.shape[-1])
    return x.reshape(len(x), -1, side, side)


class Convolution(nn.Module):
    """A convolution of stride 1 that keeps an image's size.

    Attributes:
        features: channels of the output.
        kernel: pixels, side of the kernel; odd.
        biased: whether it has a bias.
    """

    features: int
    kernel: int = 3
    biased: bool = True

    @nn.compact
    def __call__(self, z: Images) -> Images:
        """Apply the layer."""
        shape = (self.features, z.shape[1], self.kernel, self.kernel)
        draw = _uniform(math.prod(shape[1:]))
        z = generator.affine(z, self.param("weight", draw, shape))
        if self.biased:
            z = z + generator.broadcast(self.param("bias", draw, shape[:1]), z)
        return z


class Linear(nn.Module):
    """A linear layer.

    Attributes:
        features: numbers of the output.
    """

    features: int

    @nn.compact
    def __call__(self, z: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        """Apply the layer."""
        shape = (self.features, z.shape[1])
        draw = _uniform(shape[1])
        return z @ self.param("weight", draw, shape).T + self.param("bias", draw, shape[:1])[None]


class BatchNorm(nn.Module):
    """Batch normalisation: by a batch's own statistics in training, else by running ones.

    The latter, in the collection `batch_stats`, move by a tenth of the way at each batch that is
    normalised in training; their variance is the unbiased one.
    """

    @nn.compact
    def __call__(self, z: Images, train: bool) -> Images:
        """Apply the layer."""
        shape = (z.shape[1],)
        scale = self.param("weight", nn.initializers.ones_init(), shape, jnp.float32)
        shift = self.param("bias", nn.initializers.zeros_init(), shape, jnp.float32)
        mean = self.variable("batch_stats", "running_mean", jnp.zeros, shape, z.dtype)
        variance = self.variable("batch_stats", "running_var", jnp.ones, shape, z.dtype)
        if train:
            now, spread = jnp.mean(z, (0, 2, 3)), jnp.var(z, (0, 2, 3))
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                count = z.size // z.shape[1]
                mean.value = mean.value + MOMENTUM * (now - mean.value)
                unbiased = spread * count / max(count - 1, 1)
                variance.value = variance.value + MOMENTUM * (unbiased - variance.value)
        else:
            now, spread = mean.value, variance.value
        centred = z - generator.broadcast(now, z)
        slope = scale * jax.lax.rsqrt(spread + generator.EPSILON)
        return centred * generator.broadcast(slope, z) + generator.broadcast(shift, z)


MOMENTUM = 0.1
"""Part of the way that running statistics move at a batch."""


def average_pool(z: Images) -> Images:
    """Halve an image: means of 3 x 3 pixels every second one, with a margin of zeros counted in."""
    sums = jax.lax.reduce_window(
        z,
        np.zeros((), z.dtype),
        jax.lax.add,
        (1, 1, 3, 3),
        (1, 1, 2, 2),
        ((0, 0), (0, 0), (1, 1), (1, 1)),
    )
    return sums / 9


def max_pool(z: Images) -> Images:
    """Halve an image: the largest of each 2 x 2 pixels."""
    batch, channels, height, width = z.shape
    blocks = z.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return jnp.max(blocks, axis=(3, 5))


def doubled(z: Images) -> Images:
    """Double an image by straight lines between its pixels, corners on corners.

    PyTorch's `Upsample(scale_factor=2, mode="bilinear", align_corners=True)`; what
    `jax.image.resize` does aligns the outer edges of the corner pixels.
    """
    rows, columns = (jnp.asarray(_between(size), z.dtype) for size in z.shape[2:])
    return jnp.einsum("ph,qw,bchw->bcpq", rows, columns, z)


def _between(size: int) -> np.ndarray:
    """Return the weights (2 size, size) of the pixels in a line of twice as many."""
    places = np.arange(2 * size) * (size - 1) / max(2 * size - 1, 1)
    distances = np.abs(places[:, None] - np.arange(size)[None])
    return np.maximum(0.0, 1.0 - distances)


def _uniform(inputs: int) -> Any:
    bound = 1 / math.sqrt(inputs)

    def draw(key: Array, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(key, shape, jnp.float32, -bound, bound)

    return draw

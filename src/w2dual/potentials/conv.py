"""The convolutional potential of the CelebA64 benchmark (Amos 2023, app. B; w2ot, ConvPotential).

    z_0 = ((x + 1) / 2 - mean) / std, colour by colour
    z_{i+1} = act(conv_i(z_i) + b_i),  f(x) = z_out + 1/2 exp(log_alpha) ||x||^2 with the raw x

Points are images in [-1, 1], flattened as Korotin et al. have them: colour, row, column. Inside,
colours come last. Every layer is padded as flax's SAME does but the last, which is not padded and
leaves one number; that has the activation too. Not convex.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual.potentials import QuadraticTerm
from w2dual.potentials.activations import activation
from w2dual.records import InputError

Images = Float[Array, "batch height width colours"]


class Convolution(nn.Module):
    """A convolution with bias, as a product of patches and weights.

    Parameters are those of `flax.linen.Conv`: a kernel (side, side, inputs, features) and a bias.
    The seeds of a cell are trained side by side, each with weights of its own: products of matrices
    then stay products of matrices, where convolutions would become grouped ones, which are slow.

    Attributes:
        features: channels of the output.
        kernel: pixels, side of the kernel; a multiple of `stride`.
        stride: pixels.
        padded: whether the output has 1/stride of the input's pixels on a side, rounded up.
    """

    features: int
    kernel: int
    stride: int
    padded: bool

    @nn.compact
    def __call__(self, z: Images) -> Images:
        """Apply the layer."""
        inputs = z.shape[-1]
        shape = (self.kernel, self.kernel, inputs, self.features)
        weights = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        # A kernel that is a few strides wide sees so many blocks of stride x stride pixels.
        blocks, stride = self.kernel // self.stride, self.stride
        weights = weights.reshape(blocks, stride, blocks, stride, inputs, self.features)
        weights = weights.transpose(0, 2, 1, 3, 4, 5).reshape(-1, self.features)
        return self._patches(z) @ weights + bias[None, None, None]

    def _patches(self, z: Images) -> Float[Array, "batch height width numbers"]:
        """Return what the kernel sees at each place: by block, then by pixel and channel."""
        blocks, stride = self.kernel // self.stride, self.stride
        side, inputs = z.shape[1], z.shape[-1]
        places = output_side(side, self.kernel, stride, self.padded)
        wanted = (places - 1) * stride + self.kernel
        before = max(wanted - side, 0) // 2
        after = max(wanted - side - before, 0)
        z = jnp.pad(z, ((0, 0), (before, after), (before, after), (0, 0)))[:, :wanted, :wanted]
        count = wanted // stride
        z = z.reshape(-1, count, stride, count, stride, inputs).transpose(0, 1, 3, 2, 4, 5)
        z = z.reshape(-1, count, count, stride * stride * inputs)
        seen = [
            z[:, row : row + places, column : column + places]
            for row in range(blocks)
            for column in range(blocks)
        ]
        return jnp.concatenate(seen, axis=-1)


def output_side(side: int, kernel: int, stride: int, padded: bool) -> int:
    """Return the side of a convolution's output in pixels; 0 or less where there is none."""
    return -(-side // stride) if padded else (side - kernel) // stride + 1


class ConvPotential(nn.Module):
    """The network; see the module's head."""

    channels: Sequence[int]
    kernels: Sequence[int]
    strides: Sequence[int]
    activation: str
    colour_mean: Sequence[float]
    colour_std: Sequence[float]

    @nn.compact
    def __call__(self, x: Float[Array, "batch n"]) -> Float[Array, " batch"]:
        """Value f(x) for each point."""
        act = activation(self.activation)
        colours = len(self.colour_mean)
        side = math.isqrt(x.shape[-1] // colours)
        z = x.reshape(-1, colours, side, side).transpose(0, 2, 3, 1)
        mean, std = (jnp.asarray(v, x.dtype) for v in (self.colour_mean, self.colour_std))
        z = ((z + 1) / 2 - mean[None, None, None]) / std[None, None, None]
        last = len(self.channels) - 1
        layers = zip(self.channels, self.kernels, self.strides, strict=True)
        for i, (features, kernel, stride) in enumerate(layers):
            z = act(Convolution(features, kernel, stride, padded=i < last, name=f"conv_{i}")(z))
        return z.reshape(-1) + QuadraticTerm(name="quadratic")(x)


def make(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the network.

    Args:
        settings: `channels`, `kernels` and `strides` of the convolutions, one after another;
            `activation`; `colour_mean` and `colour_std`, which images are standardised by.
        dimension: of the points.

    Raises:
        InputError: points of this dimension are no square images of these colours, the lists are
            of different lengths, a kernel is no multiple of its stride, or one number does not
            come out at the end.
    """
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    network = ConvPotential(**given)
    _check(network, dimension)
    return network


def _check(network: ConvPotential, dimension: int) -> None:
    lists = {name: getattr(network, name) for name in ("channels", "kernels", "strides")}
    if len({len(found) for found in lists.values()}) > 1 or not network.channels:
        counts = ", ".join(f"{len(found)} {name}" for name, found in lists.items())
        raise InputError(f"potential conv: {counts}; expected one of each for every convolution")
    colours = len(network.colour_mean)
    if colours != len(network.colour_std):
        raise InputError(
            f"potential conv: {colours} values of colour_mean and {len(network.colour_std)} of "
            "colour_std; expected one of each for every colour"
        )
    side = math.isqrt(dimension // colours)
    if colours * side * side != dimension:
        raise InputError(
            f"potential conv: points of {dimension} coordinates are no square images of {colours} "
            f"colours; expected {colours} * side^2"
        )
    for i, (kernel, stride) in enumerate(zip(network.kernels, network.strides, strict=True)):
        if kernel % stride:
            raise InputError(
                f"potential conv: kernels[{i}] = {kernel} is no multiple of strides[{i}] = {stride}"
            )
        side = output_side(side, kernel, stride, padded=i < len(network.kernels) - 1)
    if (side, network.channels[-1]) != (1, 1):
        raise InputError(
            f"potential conv: the last convolution leaves {max(side, 0)} x {max(side, 0)} pixels "
            f"of {network.channels[-1]} channels for points of {dimension} coordinates; expected "
            "one number: a stride of 2 more or less, and 1 as the last of `channels`"
        )

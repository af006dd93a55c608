"""ConvICNN, the convex potential of images that the CelebA64 benchmark is built from.

With quadratic-skip layers q_i, in which channel o of rank r is

    q(x)_o = sum_{j < r} (W x)_{r o + j}^2 + (L x)_o        (W, L convolutions without bias),

and convolutions A_i of stride 2 with non-negative weights and free biases a_i,

    h_1 = q_1(x),   h_2 = celu(A_1 h_1 + a_1 + q_2(x)),   h_3 = celu_0.2(A_2 h_2 + a_2),
    h_4 = celu_0.2(A_3 h_3 + a_3),   f(x) = A_4 h_4 + a_4 + 1/2 mu ||x||^2.

An image is a point: its 3 colours one after another, each row by row (channel, height, width).
Source: Korotin et al., NeurIPS 2021, the repository's `icnn.ConvICNN64`, which is side 64; the
same layers fit any side that is a multiple of 16. The dropout of its training is not part of f.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.measures.base import check_arrays
from w2dual.measures.potential_training import clamped, drawn
from w2dual.records import InputError

COLOURS = 3
RANK = 4
"""Squares that a channel of a quadratic layer adds up, in the published networks."""
KERNEL, STRIDE, PADDING = 4, 2, 1
"""Of each convolution but those of the second quadratic layer and the last one."""
SKIP_KERNEL, SKIP_STRIDE, SKIP_PADDING = 7, 4, 2
"""Of the second quadratic layer, which goes from the image to the size after two layers."""
SHRINKS = 16
"""The side of an image is this times the side of the last layer's kernel."""
ALPHAS = (1.0, 0.2, 0.2)
"""Of the CELU after each convex layer."""


class ConvICNN(NamedTuple):
    """Weights of one potential; kernels are (out, in, height, width)."""

    quad: tuple[Float[Array, "rank_out 3 k k"], ...]
    linear: tuple[Float[Array, "out 3 k k"], ...]
    convex: tuple[Float[Array, "out in 4 4"], ...]
    bias: tuple[Float[Array, " out"], ...]
    final: Float[Array, "1 in side side"]
    final_bias: Float[Array, " 1"]


def side_of(dimension: int) -> int:
    """Return the side of a square image in 3 colours from its count of numbers.

    Raises:
        InputError: no such image has that count.
    """
    side = math.isqrt(dimension // COLOURS)
    if COLOURS * side**2 != dimension or dimension < 1:
        raise InputError(f"{dimension} numbers are no square image in {COLOURS} colours")
    return side


def shapes(size: int, widths: Sequence[int], rank: int = RANK) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight, by its name in a prepared file.

    Args:
        size: side of the images in pixels, a multiple of 16.
        widths: channels of the four layers, (128, 256, 512, 1024) in the published networks.
        rank: of the quadratic layers.

    Raises:
        InputError: there is no such network.
    """
    if size < SHRINKS or size % SHRINKS:
        raise InputError(f"ConvICNN: images of side {size}; expected a multiple of {SHRINKS}")
    if len(widths) != 1 + len(ALPHAS) or min(*widths, rank) < 1:
        raise InputError(
            f"ConvICNN: widths {list(widths)}, rank {rank}; expected {1 + len(ALPHAS)} widths and "
            "a rank, all above 0"
        )
    named: dict[str, tuple[int, ...]] = {}
    for i, kernel in enumerate((KERNEL, SKIP_KERNEL)):
        named[f"quad.{i}"] = (rank * widths[i], COLOURS, kernel, kernel)
        named[f"linear.{i}"] = (widths[i], COLOURS, kernel, kernel)
    for i, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        named[f"convex.{i}"] = (after, before, KERNEL, KERNEL)
        named[f"bias.{i}"] = (after,)
    last = size // SHRINKS
    return named | {"final": (1, widths[-1], last, last), "final_bias": (1,)}


def assemble(named: Mapping[str, Any]) -> ConvICNN:
    """Put weights named as in `shapes` into their places."""
    return ConvICNN(
        quad=tuple(named[f"quad.{i}"] for i in range(2)),
        linear=tuple(named[f"linear.{i}"] for i in range(2)),
        convex=tuple(named[f"convex.{i}"] for i in range(len(ALPHAS))),
        bias=tuple(named[f"bias.{i}"] for i in range(len(ALPHAS))),
        final=named["final"],
        final_bias=named["final_bias"],
    )


def init(
    key: Key[Array, ""], size: int, widths: Sequence[int], rank: int = RANK, std: float = 0.01
) -> ConvICNN:
    """Draw all weights, biases too, from N(0, std^2), as the benchmark's authors start theirs."""
    return assemble(drawn(key, shapes(size, widths, rank), std))


def convexify(weights: ConvICNN) -> ConvICNN:
    """Clamp to zero what must not be negative for the potential to be convex."""
    return clamped(weights)


def values(
    weights: ConvICNN,
    strong_convexity: float | Array,
    x: Float[Array, "batch n"],
    drop: Callable[[int, Array], Array] | None = None,
) -> Float[Array, " batch"]:
    """Evaluate the potential at a batch of images.

    Args:
        weights: of the network.
        strong_convexity: mu.
        x: the images.
        drop: what its training does to the output of each convex layer, given the layer's number;
            None for nothing.
    """
    side = weights.final.shape[-1] * SHRINKS
    images = x.reshape(-1, COLOURS, side, side)
    hidden = _quadratic(images, weights.quad[0], weights.linear[0], STRIDE, PADDING)
    skip = _quadratic(images, weights.quad[1], weights.linear[1], SKIP_STRIDE, SKIP_PADDING)
    for i, (kernel, bias) in enumerate(zip(weights.convex, weights.bias, strict=True)):
        hidden = _convolve(hidden, kernel, STRIDE, PADDING) + bias[None, :, None, None]
        hidden = _celu(hidden + skip if i == 0 else hidden, ALPHAS[i])
        hidden = hidden if drop is None else drop(i, hidden)
    last = hidden.reshape(len(x), -1) @ weights.final.reshape(1, -1).T + weights.final_bias[None]
    return last[:, 0] + 0.5 * strong_convexity * jnp.sum(x * x, axis=1)


def push(
    weights: ConvICNN, strong_convexity: float | Array, x: Float[Array, "batch n"]
) -> Float[Array, "batch n"]:
    """Map a batch of images by the potential's gradient."""
    return jax.grad(lambda points: jnp.sum(values(weights, strong_convexity, points)))(x)


def _quadratic(images: Array, quad: Array, linear: Array, stride: int, padding: int) -> Array:
    """Return q(x): one convolution with the kernels of both parts, then the sums of squares."""
    both = _convolve(images, jnp.concatenate([quad, linear]), stride, padding)
    squared, straight = jnp.split(both, [len(quad)], axis=1)
    count, _, height, width = straight.shape
    ranks = squared.reshape(count, len(linear), -1, height, width)
    return jnp.sum(jnp.square(ranks), axis=2) + straight


def _convolve(images: Array, kernel: Array, stride: int, padding: int) -> Array:
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (stride, stride),
        ((padding, padding), (padding, padding)),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def _celu(z: Array, alpha: float) -> Array:
    """Return z where z > 0, else alpha (exp(z / alpha) - 1).

    The truth has its own, so that no change to the networks' activations moves it.
    """
    negative = jnp.where(z > 0, 0.0, z)  # so that the branch not taken cannot overflow
    return jnp.where(z > 0, z, alpha * (jnp.exp(negative / alpha) - 1.0))


_PUBLISHED_NAMES = {
    "convex.0": "convex_layers.0.weight",
    "bias.0": "convex_layers.0.bias",
    "quad.0": "quadratic_layers.0.quadratic_decomposed.weight",
    "linear.0": "quadratic_layers.0.linear.weight",
    "quad.1": "quadratic_layers.1.quadratic_decomposed.weight",
    "linear.1": "quadratic_layers.1.linear.weight",
    "convex.1": "pos_features.1.weight",
    "bias.1": "pos_features.1.bias",
    "convex.2": "pos_features.4.weight",
    "bias.2": "pos_features.4.bias",
    "final": "pos_features.7.weight",
    "final_bias": "pos_features.7.bias",
}
"""Our name of a weight -> that in a published file, in the file's order."""


def published_shapes(
    size: int, widths: Sequence[int], rank: int = RANK
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a published file, by its name there and in its order."""
    ours = shapes(size, widths, rank)
    return {name: ours[key] for key, name in _PUBLISHED_NAMES.items()}


def from_tensors(
    tensors: Mapping[str, np.ndarray],
    size: int,
    widths: Sequence[int],
    name: str,
    rank: int = RANK,
) -> ConvICNN:
    """Take the weights from a published file's tensors.

    Raises:
        InputError: a tensor is missing, unexpected, of a wrong type or shape, or not finite; or a
            weight is negative that must not be, so that the potential is not convex.
    """
    check_arrays(tensors, wanted := published_shapes(size, widths, rank), name)
    if unexpected := sorted(set(tensors) - set(wanted)):
        raise InputError(f"{name}: tensors that a ConvICNN does not have: {unexpected}")
    for key, published in _PUBLISHED_NAMES.items():
        lowest = tensors[published].min()
        if (key.startswith("convex") or key == "final") and lowest < 0:
            raise InputError(
                f"{name}: {published} has negative weights, the lowest {lowest:.3g}; the potential "
                "would not be convex, and its gradient no optimal map"
            )
    return assemble({key: tensors[published] for key, published in _PUBLISHED_NAMES.items()})


def to_arrays(weights: ConvICNN, prefix: str) -> dict[str, np.ndarray]:
    """Name the weights for a prepared file: `prefix.quad.0`, ..., `prefix.final_bias`."""
    arrays = {}
    for field in ("quad", "linear", "convex", "bias"):
        for i, item in enumerate(getattr(weights, field)):
            arrays[f"{prefix}.{field}.{i}"] = np.asarray(item)
    single = {"final": weights.final, "final_bias": weights.final_bias}
    return arrays | {f"{prefix}.{key}": np.asarray(item) for key, item in single.items()}


def from_arrays(
    arrays: Mapping[str, np.ndarray],
    prefix: str,
    size: int,
    widths: Sequence[int],
    name: str,
    rank: int = RANK,
) -> ConvICNN:
    """Take the weights from a prepared file's arrays; the inverse of `to_arrays`.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite.
    """
    wanted = shapes(size, widths, rank)
    check_arrays(arrays, {f"{prefix}.{key}": shape for key, shape in wanted.items()}, name)
    return assemble({key: jnp.asarray(arrays[f"{prefix}.{key}"]) for key in wanted})

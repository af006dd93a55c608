"""DenseICNN, the convex potential that the Wasserstein-2 benchmark is built from.

With quadratic-skip layers q_i(x) = (x Q_i)^2 + L_i x + b_i (the square elementwise),

    h_1 = q_1(x),   h_{i+1} = celu(C_i h_i + q_{i+1}(x)),   f(x) = w h_last + 1/2 mu ||x||^2.

The first layer has no activation. C_i >= 0 and w >= 0 make f convex; mu is its strong convexity.
Source: Korotin et al., NeurIPS 2021, appendix B.1 (rank 1); the activation is CELU with alpha 1.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.measures.base import check_arrays
from w2dual.measures.potential_training import clamped, drawn
from w2dual.records import InputError

VERSIONS = ("v1", "v2")
"""The two potentials of a pair, by their names in the published files."""
BLOCK = 256
"""Points mapped at once."""


class DenseICNN(NamedTuple):
    """Weights of one potential, or of several stacked along a leading axis (see `stack`)."""

    quad: tuple[Float[Array, "n hidden_i"], ...]
    linear: tuple[Float[Array, "hidden_i n"], ...]
    bias: tuple[Float[Array, " hidden_i"], ...]
    convex: tuple[Float[Array, "hidden_next hidden_i"], ...]
    final: Float[Array, "1 hidden_last"]


def hidden_sizes(dimension: int) -> tuple[int, int, int]:
    """Return the benchmark's layer widths in dimension n."""
    return max(2 * dimension, 64), max(2 * dimension, 64), max(dimension, 32)


def shapes(dimension: int, hidden: Sequence[int] = ()) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight in dimension n, by its name in a prepared file.

    Args:
        dimension: n.
        hidden: layer widths; the benchmark's where none are given.
    """
    hidden = hidden or hidden_sizes(dimension)
    named: dict[str, tuple[int, ...]] = {}
    for i, width in enumerate(hidden):
        named[f"quad.{i}"] = (dimension, width)
        named[f"linear.{i}"] = (width, dimension)
        named[f"bias.{i}"] = (width,)
    for i, (before, after) in enumerate(zip(hidden[:-1], hidden[1:], strict=True)):
        named[f"convex.{i}"] = (after, before)
    named["final"] = (1, hidden[-1])
    return named


def assemble(named: Mapping[str, Any]) -> DenseICNN:
    """Put weights named as in `shapes` into their places."""
    layers = sum(name.startswith("bias.") for name in named)
    return DenseICNN(
        quad=tuple(named[f"quad.{i}"] for i in range(layers)),
        linear=tuple(named[f"linear.{i}"] for i in range(layers)),
        bias=tuple(named[f"bias.{i}"] for i in range(layers)),
        convex=tuple(named[f"convex.{i}"] for i in range(layers - 1)),
        final=named["final"],
    )


def init(key: Key[Array, ""], dimension: int, std: float = 0.1) -> DenseICNN:
    """Draw all weights from N(0, std^2), as the benchmark's authors start their training."""
    return assemble(drawn(key, shapes(dimension), std))


def convexify(weights: DenseICNN) -> DenseICNN:
    """Clamp to zero what must not be negative for the potential to be convex."""
    return clamped(weights)


def celu(z: Array) -> Array:
    """Return z where z > 0, else exp(z) - 1: CELU with alpha 1.

    The truth has its own, so that no change to the networks' activations moves it. Faster than
    `jax.nn.celu`, and equal to it but for a rounding of 1 (see `activations.elu`).
    """
    negative = jnp.where(z > 0, 0.0, z)  # so that the branch not taken cannot overflow
    return jnp.where(z > 0, z, jnp.exp(negative) - 1.0)


def values(
    weights: DenseICNN, strong_convexity: float | Array, x: Float[Array, "batch n"]
) -> Float[Array, " batch"]:
    """Evaluate the potential at a batch of points."""
    # All quadratic and linear products share x: one wide product instead of six narrow ones.
    skip_weights = jnp.concatenate([*weights.quad, *(item.T for item in weights.linear)], axis=1)
    quadratic, linear = jnp.split(x @ skip_weights, 2, axis=1)
    skips = jnp.square(quadratic) + linear + jnp.concatenate(weights.bias)[None, :]
    widths = [item.shape[0] for item in weights.bias]
    hidden, *later = jnp.split(skips, np.cumsum(widths)[:-1], axis=1)
    for convex, skip in zip(weights.convex, later, strict=True):
        hidden = celu(hidden @ convex.T + skip)
    return (hidden @ weights.final.T)[:, 0] + 0.5 * strong_convexity * jnp.sum(x * x, axis=1)


def push(
    weights: DenseICNN, strong_convexity: float | Array, x: Float[Array, "batch n"]
) -> Float[Array, "batch n"]:
    """Map a batch of points by the potential's gradient."""
    return jax.grad(lambda points: jnp.sum(values(weights, strong_convexity, points)))(x)


def stack(potentials: list[DenseICNN]) -> DenseICNN:
    """Stack the weights of potentials of one size along a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *potentials)


def push_sum(
    stacked: DenseICNN, strong_convexity: float | Array, x: Float[Array, "batch n"]
) -> Float[Array, "batch n"]:
    """Map points by the gradient of the sum of stacked potentials, each with the same mu.

    One potential after the other; on a CPU also in blocks of points, so that what is computed
    stays in its cache.
    """
    count = stacked.final.shape[0]
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], stacked) for i in range(count)]

    def block(points: Float[Array, "block n"]) -> Float[Array, "block n"]:
        pushed = [push(weights, strong_convexity, points) for weights in each]
        return functools.reduce(jnp.add, pushed)

    whole = len(x) // BLOCK
    if whole < 2 or jax.default_backend() != "cpu":
        return block(x)
    blocks = x[: whole * BLOCK].reshape(whole, BLOCK, -1)
    pushed = jax.lax.map(block, blocks).reshape(-1, x.shape[1])
    rest = x[whole * BLOCK :]
    return jnp.concatenate([pushed, block(rest)]) if len(rest) else pushed


class Joint(NamedTuple):
    """Stacked potentials as one network, for points of shape (batch, n) (see `push_joint`).

    Units come before points in all that it computes, so that the potentials are the leading axis of
    each product, and no product needs a transposition. S is the sum of the widths.
    """

    skip: Float[Array, "2 potentials S n"]  # of the square, and linear
    bias: Float[Array, "potentials S"]
    convex: tuple[Float[Array, "potentials hidden_next hidden_i"], ...]
    final: Float[Array, "potentials hidden_last"]


def join(stacked: DenseICNN) -> Joint:
    """Return stacked potentials as one network."""
    quadratic = jnp.concatenate([item.mT for item in stacked.quad], axis=1)
    linear = jnp.concatenate(stacked.linear, axis=1)
    return Joint(
        jnp.stack([quadratic, linear]),
        jnp.concatenate(stacked.bias, axis=1),
        stacked.convex,
        stacked.final[:, 0],
    )


def push_joint(
    joint: Joint, strong_convexity: float | Array, x: Float[Array, "batch n"]
) -> Float[Array, "batch n"]:
    """Map points as `push_sum` does, all potentials at once; equal to it but for rounding."""
    count = joint.final.shape[0]
    quadratic, linear = jnp.tensordot(joint.skip, x, (3, 1))  # each (potentials, S, batch)
    skips = jnp.square(quadratic) + linear + joint.bias[..., None]
    widths = [item.shape[2] for item in joint.convex]
    hidden, *later = jnp.split(skips, np.cumsum(widths), axis=1)
    inputs = []
    for convex, skip in zip(joint.convex, later, strict=True):
        inputs.append(_batched(convex, hidden) + skip)
        hidden = celu(inputs[-1])
    # Backwards: the derivative in each layer's input, from the last.
    slope = joint.final[..., None] * _celu_slope(inputs[-1])
    slopes = [slope]
    for i in reversed(range(len(joint.convex))):
        slope = _batched(joint.convex[i].mT, slope)
        slope = slope * _celu_slope(inputs[i - 1]) if i else slope
        slopes.insert(0, slope)
    in_skips = jnp.concatenate(slopes, axis=1)
    both = jnp.stack([2 * quadratic * in_skips, in_skips])
    return jnp.tensordot(both, joint.skip, ((0, 1, 2), (0, 1, 2))) + count * strong_convexity * x


def _batched(
    matrices: Float[Array, "potentials after before"],
    units: Float[Array, "potentials before batch"],
) -> Float[Array, "potentials after batch"]:
    return jax.lax.dot_general(matrices, units, (((2,), (1,)), ((0,), (0,))))


def _celu_slope(z: Array) -> Array:
    """Return the derivative of `celu`."""
    return jnp.where(z > 0, 1.0, jnp.exp(jnp.where(z > 0, 0.0, z)))


_PUBLISHED_NAMES = {
    "quad": "quadratic_layers.{}.quadratic_decomposed",
    "linear": "quadratic_layers.{}.weight",
    "bias": "quadratic_layers.{}.bias",
    "convex": "convex_layers.{}.weight",
    "final": "final_layer.weight",
}


def from_tensors(tensors: Mapping[str, np.ndarray], dimension: int, name: str) -> DenseICNN:
    """Take the weights from a published file's tensors.

    Raises:
        InputError: a tensor is missing, unexpected, of a wrong type or shape, or not finite.
    """
    published = {}
    for ours in shapes(dimension):
        field, _, layer = ours.partition(".")
        published[ours] = _PUBLISHED_NAMES[field].format(layer)
    wanted = {}
    for ours, shape in shapes(dimension).items():
        # The file keeps the rank-1 axis of the quadratic layers: [n, 1, hidden].
        full = (shape[0], 1, shape[1]) if ours.startswith("quad.") else shape
        wanted[published[ours]] = full
    check_arrays(tensors, wanted, name)
    if unexpected := sorted(set(tensors) - set(wanted)):
        raise InputError(f"{name}: tensors that a DenseICNN does not have: {unexpected}")
    return assemble(
        {ours: tensors[published[ours]].reshape(shape) for ours, shape in shapes(dimension).items()}
    )


def to_arrays(weights: DenseICNN, prefix: str) -> dict[str, np.ndarray]:
    """Name the weights for a prepared file: `prefix.quad.0`, ..., `prefix.final`."""
    arrays = {f"{prefix}.final": np.asarray(weights.final)}
    for field in ("quad", "linear", "bias", "convex"):
        for i, item in enumerate(getattr(weights, field)):
            arrays[f"{prefix}.{field}.{i}"] = np.asarray(item)
    return arrays


def from_arrays(
    arrays: Mapping[str, np.ndarray], prefix: str, dimension: int, name: str
) -> DenseICNN:
    """Take the weights from a prepared file's arrays; the inverse of `to_arrays`.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite.
    """
    wanted = shapes(dimension)
    check_arrays(arrays, {f"{prefix}.{key}": shape for key, shape in wanted.items()}, name)
    return assemble({key: jnp.asarray(arrays[f"{prefix}.{key}"]) for key in wanted})

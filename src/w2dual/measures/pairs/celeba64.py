"""CelebA64: the pairs of measures of images of the Wasserstein-2 benchmark.

The source is x = G(z) + noise e with z ~ N(0, I), e ~ N(0, I) and G a generator of faces. T* is the
average of the gradients of two ConvICNN potentials, T*(x) = (grad f_1(x) + grad f_2(x)) / 2, all
frozen in the prepared file. The target is the source pushed by T*. Nothing is standardised.

The prepared file's arrays, all float32 but for the moments:

    generator.LAYER.weight, .bias     of G, batch normalisation folded in (celeba64/generator.py)
    v1.NAME, v2.NAME                  of f_1 and f_2 (celeba64/icnn_conv.py)
    noise, strong_convexity           scalars; the second is of each f
    mean_source, mean_target [n], var_source, var_target, cost     moments, float64

A point is an image's numbers colour by colour, each row by row: [3, side, side] flattened.
Source: Korotin et al., NeurIPS 2021, the repository's CelebA64Benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.measures import base
from w2dual.measures.base import FORMAT, Moments, Pair
from w2dual.measures.benchmark.icnn_dense import VERSIONS
from w2dual.measures.celeba64 import generator, icnn_conv
from w2dual.measures.celeba64.generator import Generator, in_blocks, sample
from w2dual.measures.celeba64.icnn_conv import STRONG_CONVEXITY, ConvICNN
from w2dual.records import InputError

KIND = "celeba64"
MAP_PIXELS = 2**19
"""Pixels of the images that are mapped by T* at once, 128 images of 64 x 64."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class CelebaPair(Pair):
    """A prepared pair of images.

    Attributes:
        generator: G.
        potentials: f_1 and f_2.
        noise: standard deviation of what is added to each number of an image.
        strong_convexity: of each potential.
    """

    generator: Generator
    potentials: tuple[ConvICNN, ...]
    noise: Float[Array, ""]
    strong_convexity: Float[Array, ""]

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw images with their noise."""
        return sample(self.generator, self.noise, key, size)

    def ground_truth(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Map images by T*(x) = (grad f_1(x) + grad f_2(x)) / 2."""
        return push_mean(self.potentials, self.strong_convexity, x)

    def ground_truth_unstandardised(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Map images by T* itself: nothing is standardised in this pair."""
        return self.ground_truth(x)


def push_mean(
    potentials: tuple[ConvICNN, ...],
    strong_convexity: Float[Array, ""],
    x: Float[Array, "*batch n"],
) -> Float[Array, "*batch n"]:
    """Map images by the average of potentials' gradients, each with the same mu."""

    def block(images: Float[Array, "block n"]) -> Float[Array, "block n"]:
        pushed = [icnn_conv.push(weights, strong_convexity, images) for weights in potentials]
        return sum(pushed[1:], start=pushed[0]) / len(pushed)

    at_once = max(1, MAP_PIXELS * icnn_conv.COLOURS // x.shape[-1])
    # Full single precision also where a GPU would round products to TF32: this map is what errors
    # of less than a percent are measured against.
    with jax.default_matmul_precision("highest"):
        pushed = in_blocks(block, x.reshape(-1, x.shape[-1]), at_once)
    return pushed.reshape(x.shape)


def to_arrays(
    source: Generator, potentials: list[ConvICNN], noise: float
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays, but the moments, and the metadata that they need."""
    arrays = generator.to_arrays(source, "generator") | {
        "noise": np.array(noise, np.float32),
        "strong_convexity": np.array(STRONG_CONVEXITY, np.float32),
    }
    for version, potential in zip(VERSIONS, potentials, strict=True):
        arrays |= icnn_conv.to_arrays(potential, version)
    first = potentials[0]
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "dimension": source.architecture.dimension,
        "architecture": asdict(source.architecture),
        "widths": [len(item) for item in (*first.linear[:1], *first.convex)],
        "rank": len(first.quad[0]) // len(first.linear[0]),
    }
    return arrays, metadata


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> CelebaPair:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite.
    """
    n = base.dimension_of(metadata, name)
    architecture = generator.architecture_from_json(metadata.get("architecture"), name)
    widths, rank = metadata.get("widths"), metadata.get("rank")
    if not (isinstance(widths, list) and isinstance(rank, int) and all(map(_count, widths))):
        raise InputError(f"{name}: metadata `widths` {widths!r} and `rank` {rank!r} are no counts")
    if architecture.dimension != n:
        raise InputError(
            f"{name}: metadata `dimension` is {n} where images of side {architecture.size} have "
            f"{architecture.dimension} numbers"
        )
    return CelebaPair(
        dimension=n,
        moments=Moments.from_arrays(arrays, n, name, covariances=False),
        generator=generator.from_arrays(arrays, "generator", architecture, name),
        potentials=tuple(
            icnn_conv.from_arrays(arrays, version, architecture.size, widths, name, rank)
            for version in VERSIONS
        ),
        **base.float_arrays(arrays, {"noise": (), "strong_convexity": ()}, name),
    )


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0

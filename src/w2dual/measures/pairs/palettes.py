"""A law over images, for a method that learns to move the colours of any one to any other.

A point of either end is one image, flattened:

    [its number | the one that it may not be paired with, or -1 | its encoding | colours]

The encoding is what a network sees of it: `histogram`, the shares of its pixels in bins^3 cells of
the cube of colours, or `image`, the picture squashed to side x side, RGB from 0 to 1. The colours
are pixels that are drawn from it, RGB from 0 to 1. Source and target are drawn independently.

Some ordered pairs are held out: no training pair may be one of them. Each is of another source, so
that one number says it. They have points of their own, always the same, with the exact cost of
transport between them. The prepared file's arrays, besides `Palettes`' own:

    picture.I [height, width, 4]      the images, small, for figures; the last channel: painted
    exact, floor [pairs], float64     see `Palettes`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from w2dual.measures.base import Pair
from w2dual.records import InputError

KIND = "palettes"
ENCODINGS = ("histogram", "image")
NUMBERS = 2
"""Numbers of a point before its encoding."""
COLOUR = 3
"""Numbers of a colour: the dimension of what is transported."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Palettes(Pair):
    """The law.

    Attributes:
        pixels: of each image, drawn once with replacement, 0 to 255.
        encodings: of each image.
        held_out: for each image as a source, the target of its pair that is held out, or -1.
        test_pairs: the ordered pairs that are held out.
        test_source, test_target: their points, 0 to 255.
        exact: squared W2 distance between those points, by an exact assignment.
        floor: the same between two samples of the target, which no map can go below.
        points: colours of a point; static under `jit`.
    """

    pixels: Int[Array, "images pixels 3"]
    encodings: Array
    held_out: Int[Array, " images"]
    test_pairs: Int[Array, "pairs 2"]
    test_source: Int[Array, "pairs test_points 3"]
    test_target: Int[Array, "pairs test_points 3"]
    exact: Float[Any, " pairs"]
    floor: Float[Any, " pairs"]
    points: int = field(metadata={"static": True})

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw images, each with fresh colours."""
        which_key, pixel_key = jax.random.split(key)
        count, stored = self.pixels.shape[:2]
        which = jax.random.randint(which_key, (size,), 0, count)
        pixel = jax.random.randint(pixel_key, (size, self.points), 0, stored)
        colours = self.pixels[which[:, None], pixel]
        numbers = jnp.stack([which, self.held_out[which]], axis=-1).astype(jnp.float32)
        return jnp.concatenate(
            [numbers, self.encoding(which), unit(colours).reshape(size, -1)], axis=-1
        )

    def sample_target(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw images of the same law."""
        return self.sample_source(key, size)

    def encoding(self, which: Int[Array, "*axes"]) -> Float[Array, "*axes encoding"]:
        """Return the encodings of images by their numbers."""
        found = self.encodings[which]
        return unit(found) if found.dtype == jnp.uint8 else found


def unit(colours: Array) -> Float[Array, "*axes"]:
    """Return colours from 0 to 1."""
    return colours.astype(jnp.float32) / 255.0


def dimension(encoded: int, points: int) -> int:
    """Return the length of a point.

    Args:
        encoded: numbers of an encoding.
        points: colours.
    """
    return NUMBERS + encoded + COLOUR * points


_ARRAYS = {
    "pixels": (np.uint8, 3),
    "encodings": (None, 2),
    "held_out": (np.int32, 1),
    "test_pairs": (np.int32, 2),
    "test_source": (np.uint8, 3),
    "test_target": (np.uint8, 3),
    "exact": (np.float64, 1),
    "floor": (np.float64, 1),
}


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> Palettes:
    """Take the law from a prepared file's content.

    Raises:
        InputError: an array is missing, or of a wrong type or shape.
    """
    found: dict[str, np.ndarray] = {}
    for key, (dtype, axes) in _ARRAYS.items():
        array = arrays.get(key)
        if array is None or array.ndim != axes or (dtype is not None and array.dtype != dtype):
            raise InputError(f"{name}: `{key}` is missing, or not as `prepare` writes it")
        found[key] = array
    images, pairs = len(found["pixels"]), len(found["test_pairs"])
    points = metadata.get("points")
    fits = (
        isinstance(points, int)
        and len(found["encodings"]) == len(found["held_out"]) == images > 1
        and found["encodings"].dtype in (np.uint8, np.float32)
        and len(found["test_source"]) == len(found["test_target"]) == pairs > 0
        and len(found["exact"]) == len(found["floor"]) == pairs
        and metadata.get("dimension") == dimension(found["encodings"].shape[1], points)
    )
    if not fits or not isinstance(points, int):
        raise InputError(f"{name}: its arrays do not fit together, or its `points` or `dimension`")
    # The costs stay on the host, in float64.
    parts: dict[str, Any] = {
        key: array if array.dtype == np.float64 else jnp.asarray(array)
        for key, array in found.items()
    }
    return Palettes(dimension=metadata["dimension"], points=points, **parts)

"""A pair of grayscale images as measures on the plane (w2ot/data.py, `ImageSampler`).

Dark is mass: a pixel's probability is proportional to 1 - intensity. A point is the place of a
pixel, on the square [-scale/2, scale/2]^2 that the longer side of the image fills; up is up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from w2dual.measures.base import Pair, check_arrays
from w2dual.records import InputError

KIND = "images"
ENDS = ("source", "target")


class Image(NamedTuple):
    """An image as a discrete law: Walker's tables of aliases (Vose 1991), one place a pixel.

    Attributes:
        places: of the pixels with mass, [pixels, 2].
        keep: probability to take the pixel that was drawn, [pixels].
        alias: the pixel to take otherwise, [pixels].
    """

    places: Float[Array, "pixels 2"]
    keep: Float[Array, " pixels"]
    alias: Int[Array, " pixels"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class ImagePair(Pair):
    """Two images; `scale` is the side of the square that they fill, static under `jit`."""

    source: Image
    target: Image
    scale: float = field(metadata={"static": True})

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} 2"]:
        """Draw places of pixels of the source image."""
        return sample(self.source, key, size)

    def sample_target(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} 2"]:
        """Draw places of pixels of the target image."""
        return sample(self.target, key, size)


def sample(image: Image, key: Key[Array, ""], size: int) -> Float[Array, "{size} 2"]:
    """Draw places of pixels: a pixel uniformly, then it or its alias."""
    pixel_key, keep_key = jax.random.split(key)
    pixel = jax.random.randint(pixel_key, (size,), 0, len(image.keep))
    kept = jax.random.uniform(keep_key, (size,)) < image.keep[pixel]
    return image.places[jnp.where(kept, pixel, image.alias[pixel])]


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> ImagePair:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite.
    """
    images = {}
    for end in ENDS:
        count = len(arrays[f"{end}/places"]) if f"{end}/places" in arrays else 0
        check_arrays(arrays, {f"{end}/places": (count, 2), f"{end}/keep": (count,)}, name)
        alias = arrays.get(f"{end}/alias", np.zeros(0))
        fits = alias.shape == (count,) and alias.dtype == np.int32
        if not fits or count == 0 or alias.min() < 0 or alias.max() >= count:
            raise InputError(f"{name}: `{end}/alias` does not fit the image's {count} pixels")
        images[end] = Image(*(jnp.asarray(arrays[f"{end}/{key}"]) for key in Image._fields))
    scale = metadata.get("scale")
    if not isinstance(scale, float) or not scale > 0:
        raise InputError(f"{name}: metadata `scale` is {scale!r}, not a number above 0")
    return ImagePair(dimension=2, scale=scale, **images)

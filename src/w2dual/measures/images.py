"""A pair of grayscale images as measures on the plane (w2ot/data.py, `ImageSampler`).

Dark is mass: a pixel's probability is proportional to 1 - intensity. A point is the place of a
pixel, on the square [-scale/2, scale/2]^2 that the longer side of the image fills; up is up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from w2dual.measures.base import FORMAT, Measures
from w2dual.measures.icnn_dense import check_arrays
from w2dual.measures.image_files import read_image
from w2dual.records import InputError, file_sha256

KIND = "images"
KEYS = ("source", "target", "scale")
"""Of the settings, beside the kind."""
DRAWN_SIZE = 128
"""Side of the project's own images, in pixels."""
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
class ImagePair(Measures):
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


def alias_tables(
    mass: Float[np.ndarray, " pixels"],
) -> tuple[Float[np.ndarray, " pixels"], Int[np.ndarray, " pixels"]]:
    """Give the tables (keep, alias) of a discrete law (Vose 1991, linear time)."""
    scaled = mass.astype(np.float64) * (len(mass) / mass.sum(dtype=np.float64))
    alias = np.arange(len(mass))
    small, large = list(np.flatnonzero(scaled < 1.0)), list(np.flatnonzero(scaled >= 1.0))
    while small and large:
        poor, rich = small.pop(), large[-1]
        alias[poor] = rich
        scaled[rich] -= 1.0 - scaled[poor]
        if scaled[rich] < 1.0:
            small.append(large.pop())
    # What is left on either side differs from 1 by rounding only.
    scaled[small + large] = 1.0
    return scaled.astype(np.float32), alias.astype(np.int32)


def drawn(end: str) -> Float[np.ndarray, "height width"]:
    """Draw the project's own image: a heart as the source, a star with five points as the target.

    Edges are smooth over a pixel; the mass within is uniform.
    """
    side = (np.arange(4 * DRAWN_SIZE) + 0.5) / (2 * DRAWN_SIZE) - 1.0
    x, y = np.meshgrid(side, -side)
    if end == "source":
        u, v = 1.45 * x, 1.45 * y + 0.15
        inside = (u**2 + v**2 - 1.0) ** 3 - u**2 * v**3 < 0
    else:
        # In polar coordinates the edge between a tip and a notch is a straight line.
        tip, notch, half = 0.92, 0.42, np.pi / 5
        angle = np.arctan2(x, y) % (2 * half)
        angle = np.minimum(angle, 2 * half - angle)
        chord = tip * notch * np.sin(half)
        edge = chord / (notch * np.sin(half - angle) + tip * np.sin(angle))
        inside = np.hypot(x, y) < edge
    blocks = inside.reshape(DRAWN_SIZE, 4, DRAWN_SIZE, 4)
    return blocks.mean(axis=(1, 3)).astype(np.float32)


def image_arrays(mass: Float[np.ndarray, "height width"], scale: float) -> dict[str, np.ndarray]:
    """Give an image's tables; pixels without mass are left out."""
    height, width = mass.shape
    row, column = np.nonzero(mass > 0)
    places = np.stack([column, height - row], axis=1) / max(height, width) * scale - scale / 2
    keep, alias = alias_tables(mass[row, column])
    return {"places": places.astype(np.float32), "keep": keep, "alias": alias}


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Give a prepared file's arrays and metadata.

    Args:
        name: of the pair.
        settings: of the config's `measures.synthetic.NAME`: `source` and `target`, paths of
            grayscale images or None for the project's own; `scale`, the side of their square.

    Raises:
        InputError: an image, or a setting, cannot be used.
    """
    where, scale = f"measures.synthetic.{name}", settings["scale"]
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise InputError(f"{where}.scale: {scale!r}; expected a number above 0")
    arrays: dict[str, np.ndarray] = {}
    origin: dict[str, str] = {}
    for end in ENDS:
        given = settings[end]
        if not isinstance(given, str | None):
            raise InputError(f"{where}.{end}: {given!r}; expected the path of an image, or null")
        mass = drawn(end) if given is None else read_image(Path(given))
        origin[end] = "drawn" if given is None else file_sha256(given)
        tables = image_arrays(mass, scale)
        arrays |= {f"{end}/{key}": array for key, array in tables.items()}
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "pair": name,
        "dimension": 2,
        "source": "images",
        "scale": float(scale),
        "images": origin,
    }
    return arrays, metadata


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

"""Laws over images as measures on a square grid: two independent draws make a pair of measures.

A point of the source, and of the target, is the vector of an image's weights, which add up to 1.

The prepared file's arrays, both uint8: `train` [images, pixels] and `held_out` [others, pixels].
Source: Amos, Cohen, Luise, Redko, Meta Optimal Transport, ICML 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from w2dual.measures import base
from w2dual.measures.base import Pair
from w2dual.measures.discrete.support import Support, grid_points
from w2dual.records import InputError

KIND = "grid_images"


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class GridImages(Pair):
    """Images to draw from.

    Attributes:
        images: brightnesses, [images, pixels].
        others: those that are not trained on.
        side: pixels; static under `jit`.
        epsilon: weight of the entropy; static.
    """

    images: UInt8[Array, "images pixels"]
    others: UInt8[Array, "others pixels"]
    side: int = field(metadata={"static": True})
    epsilon: float = field(metadata={"static": True})

    @property
    def support(self) -> Support:
        """The grid, whose cost is the squared distance on the unit square."""
        points = grid_points(self.side)
        return Support(
            rows=points, columns=points, cost="grid", epsilon=self.epsilon, side=self.side
        )

    def held_out(self) -> GridImages:
        """Return the law over the images that are not trained on."""
        return replace(self, images=self.others)

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw images as weights."""
        chosen = jax.random.randint(key, (size,), 0, len(self.images))
        bright = self.images[chosen].astype(jnp.float32)
        return bright / jnp.sum(bright, axis=1, keepdims=True)

    def sample_target(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw images as weights: the law is that of the source."""
        return self.sample_source(key, size)


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> GridImages:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or has an image without mass.
    """
    n = base.dimension_of(metadata, name)
    side, epsilon = metadata.get("side"), metadata.get("epsilon")
    if side is None or side**2 != n or not isinstance(epsilon, float) or not epsilon > 0:
        raise InputError(
            f"{name}: metadata `side` {side!r} and `epsilon` {epsilon!r} are not those of images "
            f"of {n} pixels"
        )
    for key in ("train", "held_out"):
        found = arrays.get(key)
        fits = found is not None and found.dtype == np.uint8 and found.shape[1:] == (n,)
        if found is None or not fits or not len(found) or not found.any(axis=1).all():
            raise InputError(f"{name}: `{key}` is no array of images with mass, of {n} bytes each")
    return GridImages(
        dimension=n,
        images=jnp.asarray(arrays["train"]),
        others=jnp.asarray(arrays["held_out"]),
        side=side,
        epsilon=epsilon,
    )

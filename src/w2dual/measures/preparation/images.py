"""Preparing a pair of images: read, or drawn, and turned into tables to sample from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from w2dual.measures.base import FORMAT
from w2dual.measures.pairs.images import ENDS, KIND
from w2dual.measures.preparation.keys import check_keys
from w2dual.measures.synthetic.image_files import read_image
from w2dual.records import InputError, file_sha256

SECTION = "measures.synthetic"
"""Of the config, which has such pairs."""
KEYS = ("source", "target", "scale")
"""Of the settings, besides the kind."""
DRAWN_SIZE = 128
"""Side of the project's own images, in pixels."""


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays and metadata.

    Args:
        name: of the pair.
        settings: of the config's `measures.synthetic.NAME`: `source` and `target`, paths of
            grayscale images or None for the project's own; `scale`, the side of their square.

    Raises:
        InputError: an image, or a setting, cannot be used.
    """
    check_keys(f"{SECTION}.{name}", settings, KEYS)
    where, scale = f"{SECTION}.{name}", settings["scale"]
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
        "source": "drawn" if "drawn" in origin.values() else "images",
        "scale": float(scale),
        "images": origin,
    }
    return arrays, metadata


def image_arrays(mass: Float[np.ndarray, "height width"], scale: float) -> dict[str, np.ndarray]:
    """Return an image's tables; pixels without mass are left out."""
    height, width = mass.shape
    row, column = np.nonzero(mass > 0)
    places = np.stack([column, height - row], axis=1) / max(height, width) * scale - scale / 2
    keep, alias = alias_tables(mass[row, column])
    return {"places": places.astype(np.float32), "keep": keep, "alias": alias}


def alias_tables(
    mass: Float[np.ndarray, " pixels"],
) -> tuple[Float[np.ndarray, " pixels"], Int[np.ndarray, " pixels"]]:
    """Return the tables (keep, alias) of a discrete law (Vose 1991, linear time)."""
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

"""Images that the project draws itself: patches of a few colours. A stand-in, for tests and smoke.

A pixel has the colour of the nearest of some places, and some noise: so the palette is a mixture of
a few narrow laws, as that of a poster is.
"""

from __future__ import annotations

import numpy as np

from w2dual.measures.colour.pictures import Picture

PLACES, SIDE = 9, 64
"""Patches of an image, and its side in pixels."""
SPREAD = 14.0
"""Standard deviation of the noise, in steps of 255."""


def draw(images: int, seed: int) -> list[Picture]:
    """Draw images.

    Args:
        images: their number.
        seed: of the generator.
    """
    return [_picture(number, seed) for number in range(images)]


def _picture(number: int, seed: int) -> Picture:
    generator = np.random.default_rng([seed, number])
    colours = generator.uniform(20.0, 235.0, (PLACES, 3))
    colours = 0.65 * colours + 0.35 * generator.uniform(20.0, 235.0, 3)  # a key of its own
    sites = generator.uniform(0.0, SIDE, (PLACES, 2))
    grid = np.moveaxis(np.mgrid[:SIDE, :SIDE], 0, -1)[..., None, :] + 0.5
    nearest = np.argmin(np.sum((grid - sites) ** 2, axis=-1), axis=-1)
    pixels = colours[nearest] + SPREAD * generator.standard_normal((SIDE, SIDE, 3))
    whole = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Picture(f"palette {number + 1}", whole, np.ones((SIDE, SIDE), bool))

"""Points that are images, as PNG: square images side by side, each a point of [-1, 1]^n.

A point is an image's numbers colour by colour, each row by row, as in the pairs of CelebA64: n = 3
side^2. In a file a number is one of 256 levels, so that reading gives back what was written but for
half a level, 1/255, and numbers beyond [-1, 1] are cut off, which the log says.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
from jaxtyping import Float

from w2dual.measures.synthetic.image_files import opened, upright_of
from w2dual.records import InputError, atomic_path

log = logging.getLogger(__name__)

COLOURS = 3
LEVELS = 255


def read(path: Path) -> tuple[Float[np.ndarray, "images n"], str]:
    """Read images that stand side by side; each is as wide as the file is high.

    Returns:
        The points, and what was taken for what, in words.

    Raises:
        InputError: it is no image, not of 8 bits in three colours, or not some squares wide.
    """
    with opened(path) as image:
        if image.mode != "RGB" or "transparency" in image.info:
            raise InputError(
                f"{path}: is of the mode {image.mode}; expected 8-bit RGB without transparency, as "
                "ImageMagick's `-background white -flatten -type TrueColor -depth 8` makes"
            )
        pixels = np.asarray(upright_of(path, image), np.float32)
    side, width, _ = pixels.shape
    if width % side:
        raise InputError(
            f"{path}: is {width} x {side} pixels; expected square images side by side, so that the "
            "width is a multiple of the height"
        )
    images = pixels.reshape(side, -1, side, COLOURS).transpose(1, 3, 0, 2)
    points = images.reshape(len(images), -1) * np.float32(2 / LEVELS) - 1
    return points, f"images of {side} x {side} pixels, levels 0 to {LEVELS} as -1 to 1"


def write(path: Path, points: Float[np.ndarray, "images n"]) -> None:
    """Write images side by side, atomically.

    Raises:
        InputError: points of so many coordinates are no square images of three colours.
    """
    from PIL import Image as Pillow

    side = math.isqrt(points.shape[1] // COLOURS)
    if COLOURS * side * side != points.shape[1]:
        raise InputError(
            f"{path}: points of {points.shape[1]} coordinates are no square images of {COLOURS} "
            "colours, which a .png holds; write a .npy or a .csv file"
        )
    beyond = int(np.count_nonzero(np.abs(points) > 1))
    if beyond:
        log.warning(
            "%s: %d of %d numbers are beyond [-1, 1] and cut off", path, beyond, points.size
        )
    levels = np.rint((np.clip(points, -1, 1) + 1) * (LEVELS / 2)).astype(np.uint8)
    strip = levels.reshape(-1, COLOURS, side, side).transpose(2, 0, 3, 1)
    with atomic_path(path) as partial:
        Pillow.fromarray(strip.reshape(side, -1, COLOURS), "RGB").save(partial, format="PNG")

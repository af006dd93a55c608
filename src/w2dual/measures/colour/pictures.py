"""Images in colour, from files: what a folder of the user's holds.

A measure of colours is the multiset of an image's pixels. What is no plain image of 8 bits a
colour is refused, as in `synthetic.image_files`; a grayscale image has colours too, all gray.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from w2dual.measures.synthetic.depth import bits
from w2dual.measures.synthetic.image_files import opened, upright_of
from w2dual.records import InputError

log = logging.getLogger(__name__)

PLAIN = ("RGB", "L", "P", "1", "RGBA", "LA", "CMYK", "YCbCr")
"""Modes of 8 bits or fewer a channel, which have an exact or a usual form in RGB."""


@dataclass(frozen=True)
class Picture:
    """An image.

    Attributes:
        name: for people.
        pixels: RGB, 0 to 255.
        painted: which pixels belong to it; others are ground that shows through.
    """

    name: str
    pixels: Int[np.ndarray, "height width 3"]
    painted: Bool[np.ndarray, "height width"]

    @property
    def colours(self) -> Int[np.ndarray, "pixels 3"]:
        """The colours of its pixels, row by row."""
        return self.pixels[self.painted]


def read_picture(path: Path) -> Picture:
    """Read an image in colour, the way up that it is shown; transparent pixels are left out.

    Raises:
        InputError: it is missing, no image, of several frames, of more than 8 bits a colour, or
            transparent throughout; the message names it and says what helps.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected an image")
    if not path.is_file():
        raise InputError(f"{path}: no such image")
    with opened(path) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise InputError(
                f"{path}: is animated, or holds several pages: {frames} frames; save the one that "
                "you mean as an image of its own, as ImageMagick's `FILE[0]` does"
            )
        if image.mode not in PLAIN:
            raise InputError(
                f"{path}: has 16 bits a colour or more, or floats (mode {image.mode}); save it "
                "with 8 bits, as ImageMagick's `-depth 8` does"
            )
        if (found := bits(path, image)) > 8:
            raise InputError(
                f"{path}: has {found} bits a colour, of which 8 would be kept; save it with "
                "8 bits, as ImageMagick's `-depth 8` does"
            )
        pixels = np.asarray(upright_of(path, image).convert("RGBA"))
    picture = Picture(path.name, pixels[..., :3].copy(), pixels[..., 3] == 255)
    if not picture.painted.any():
        raise InputError(f"{path}: is transparent throughout; expected an image with colours")
    return picture


def read_folder(folder: Path, at_least: int = 2) -> list[Picture]:
    """Read the images of a folder, by their names; files of other kinds are named in the log.

    Args:
        folder: of the user's.
        at_least: images that are needed.

    Raises:
        InputError: as `listed`, or one cannot be used.
    """
    return [read_picture(path) for path in listed(folder, at_least)]


def listed(folder: Path, at_least: int = 2) -> list[Path]:
    """Return the images of a folder by their names; files of other kinds are named in the log.

    Raises:
        InputError: there is no such folder, or it has fewer images.
    """
    from PIL import Image

    if not folder.is_dir():
        what = "is a file" if folder.exists() else "there is no such folder"
        raise InputError(f"{folder}: {what}; expected a folder of images")
    known = Image.registered_extensions()
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    images = [path for path in files if path.suffix.lower() in known]
    if others := [path.name for path in files if path not in images]:
        log.warning("%s: left out, no images by their names: %s", folder, ", ".join(others))
    if len(images) < at_least:
        found = ", ".join(path.name for path in images) or "none"
        word = "image" if len(images) == 1 else "images"
        raise InputError(
            f"{folder}: holds {len(images)} {word} ({found}); expected {at_least} at least, since "
            "colours are moved from one to another"
        )
    return images

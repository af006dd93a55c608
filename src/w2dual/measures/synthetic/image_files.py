"""Files of grayscale images, read as they are seen.

An array of pixels leaves out what else a file says: which way up it is, what is transparent, which
of several frames it is. The way up is applied; what a grayscale picture cannot show is refused.
Tones are taken as stored, as the published code takes them: colour profiles and gamma are not
applied, which the log says where there are any.
"""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from w2dual.measures.synthetic.depth import bits
from w2dual.records import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

MOST_PIXELS = 1_048_576
"""Of an image: 1024 x 1024; the pair then takes some 25 MB of the device's memory."""
FORMATS = (
    *("PNG", "JPEG", "MPO", "TIFF", "GIF", "BMP", "DIB", "PPM", "WEBP", "AVIF", "JPEG2000"),
    *("TGA", "PCX", "PSD", "ICO"),
)
"""That hold pixels. Others, such as EPS, are programs, which are not run."""
_REMEDY = (
    "save it as 8-bit grayscale, as ImageMagick's "
    "`-background white -flatten -colorspace gray -depth 8` does"
)
_MODES = {
    "P": "has a palette of colours",
    "PA": "has a palette of colours, and transparency",
    "RGB": "is in colour",
    "RGBA": "is in colour, and has transparency",
    "RGBa": "is in colour, and has transparency",
    "LA": "has transparency",
    "La": "has transparency",
    "CMYK": "is in the colours of print",
    "YCbCr": "is in colour",
    "LAB": "is in colour",
    "HSV": "is in colour",
    "F": "has floats for pixels",
}
_ORIENTATION = 0x0112
_TURNS = {
    2: "mirrored left to right",
    3: "turned upside down",
    4: "mirrored top to bottom",
    5: "transposed",
    6: "turned right by 90 degrees",
    7: "transposed along the other diagonal",
    8: "turned left by 90 degrees",
}
_SQUARE = 0.01
"""Relative difference of a pixel's sides up to which it counts as square: densities are rounded."""


def read_image(path: Path) -> Float[np.ndarray, "height width"]:
    """Read a grayscale image as mass, the way up that it is shown: 1 where black, 0 where white.

    Raises:
        InputError: it is missing, no image, of several frames, in colour, transparent, of more
            than 8 bits, too large, or has fewer than two pixels that are not white; the message
            names it and says what helps.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected an image")
    if not path.is_file():
        raise InputError(f"{path}: no such image")
    with opened(path) as image:
        _check_size(path, *image.size)
        _check_frames(path, image)
        _check_mode(path, image)
        upright = upright_of(path, image)
        _check_transparency(path, image)  # again: some formats say it when they are decoded
        _say_what_is_left_out(path, image)
        intensity = np.asarray(upright.convert("L"), np.float32) / 255.0
    mass = 1.0 - intensity
    dark = np.count_nonzero(mass > 0)
    if dark < 2:
        what = "is blank (white throughout)" if dark == 0 else "has one pixel that is not white"
        raise InputError(f"{path}: {what}; dark pixels carry the mass, expected two at least")
    return mass


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """Open an image; what goes wrong with it, also later, is an error that names the file."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    Pillow.init()
    try:
        # Whatever $PYTHONWARNINGS makes of warnings, they go to the log.
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            # By its stream: of a turned TIFF that it opens by name, Pillow 13.0 mixes up the rows.
            with (
                path.open("rb") as stream,
                Pillow.open(stream, formats=[f for f in FORMATS if f in Pillow.OPEN]) as image,
            ):
                yield image
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path}: is not an image, is damaged, or has an unsupported format, such as HEIC, SVG "
            "and PDF; save it as PNG"
        ) from error
    except Pillow.DecompressionBombError as error:
        raise InputError(f"{path}: is too large: {error}") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        MemoryError,
        EOFError,
        NotImplementedError,
        struct.error,
    ) as error:
        raise InputError(f"{path}: cannot be read as an image: {error}") from error
    for item in said:
        log.warning("%s: %s", path, item.message)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{path}: has {width} x {height} pixels, expected {MOST_PIXELS:,} at most, as "
            "in 1024 x 1024; make it smaller, and no point will notice"
        )


def _check_frames(path: Path, image: Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise InputError(
            f"{path}: holds {frames} frames, pages or layers, and one would be taken; save "
            "the one that you mean as an image of its own, as ImageMagick's `FILE[0]` does"
        )


def _check_mode(path: Path, image: Image) -> None:
    mode = image.mode
    if mode not in ("L", "1"):
        what = _MODES.get(mode, "has more than 8 bits" if mode.startswith("I") else "is not gray")
        raise InputError(f"{path}: {what} (mode {mode}); {_REMEDY}")
    if (found := bits(path, image)) > 8:
        raise InputError(f"{path}: has more than 8 bits ({found}); {_REMEDY}")
    _check_transparency(path, image)


def _check_transparency(path: Path, image: Image) -> None:
    if image.has_transparency_data or "transparency" in image.info:
        raise InputError(f"{path}: has transparency (one of its tones is transparent); {_REMEDY}")


def upright_of(path: Path, image: Image) -> Image:
    """Turn an image as its orientation says (EXIF, or XMP), which cameras write."""
    from PIL import ImageOps

    orientation = image.getexif().get(_ORIENTATION, 1)
    upright = ImageOps.exif_transpose(image)
    if orientation in _TURNS:
        size = f"{upright.width} x {upright.height}"
        log.info("%s: %s, as its orientation says: %s pixels", path, _TURNS[orientation], size)
    elif orientation != 1:
        log.warning(
            "%s: its orientation is %r, which means nothing; taken as stored", path, orientation
        )
    return upright


def _say_what_is_left_out(path: Path, image: Image) -> None:
    info = image.info
    named = {"icc_profile": "colour profile", "gamma": "gamma"}
    found = " and ".join(words for key, words in named.items() if info.get(key))
    if found:
        log.warning("%s: its %s is not applied; tones are taken as stored", path, found)
    across, up = info.get("aspect") or info.get("jfif_density") or info.get("dpi") or (1, 1)
    if across and up and abs(across / up - 1) > _SQUARE:
        log.warning(
            "%s: its pixels are %g to %g by what it says, and are taken as square", path, up, across
        )

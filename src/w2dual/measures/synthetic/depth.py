"""How many bits a file keeps of a colour, which Pillow reduces to 8 in silence for some formats.

Sources: the PNG specification, 11.2.2; TIFF 6.0, tag 258; netpbm's ppm(5); ITU-T T.800, A.5.1; AV1
Codec ISO Media File Format Binding, 2.3. Of the others no file that Pillow reads has more than 8.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2dual.records import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

EIGHT = ("JPEG", "MPO", "GIF", "BMP", "DIB", "WEBP", "TGA", "PCX", "PSD")
"""Formats whose files have 8 bits or fewer, or are refused by Pillow."""


def bits(path: Path, image: Image) -> int:
    """Return the most bits that a file has for one number of a pixel; 8 where it has fewer.

    Args:
        path: of the file.
        image: as Pillow opened it.

    Raises:
        InputError: the file does not say it where its format does.
    """
    if image.format in EIGHT:
        return 8
    of = BITS.get(str(image.format), lambda content, image: [])
    if not (found := of(path.read_bytes(), image)):
        raise InputError(
            f"{path}: does not say how many bits a colour has, as {image.format} goes; save it as "
            "PNG with 8 bits, as ImageMagick's `-depth 8` does"
        )
    return max(8, *found)


def _of_png(content: bytes, image: Any) -> list[int]:
    """Read the first chunk: signature, length, `IHDR`, width, height, bits; icons hold such too."""
    return [found[0] for found in re.findall(rb"(?s)\x89PNG\r\n\x1a\n.{16}(.)", content)]


def _of_icon(content: bytes, image: Any) -> list[int]:
    return [8, *_of_png(content, image)]


def _of_tiff(content: bytes, image: Any) -> list[int]:
    return list(image.tag_v2.get(258, (1,)))


def _of_netpbm(content: bytes, image: Any) -> list[int]:
    """Read the largest number, the fourth item of the header, which a bitmap has not."""
    if image.mode == "1":
        return [1]
    items = re.sub(rb"#[^\r\n]*[\r\n]", b"", content).split(maxsplit=4)
    return [int(items[3]).bit_length()]


def _of_jpeg2000(content: bytes, image: Any) -> list[int]:
    """Read the size segment, which starts the code stream: 40 bytes, then 3 for each component."""
    start = content.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return []
    components = int.from_bytes(content[start + 40 : start + 42])
    sizes = content[start + 42 : start + 42 + 3 * components : 3]
    return [1 + (size & 0x7F) for size in sizes]


def _of_avif(content: bytes, image: Any) -> list[int]:
    """Read the third byte of each `av1C` box: its second bit says more than 8, the third 12."""
    flags = [found[0] for found in re.findall(rb"(?s)av1C\x81.(.)", content)]
    return [8 if not flag & 0x40 else 12 if flag & 0x20 else 10 for flag in flags]


BITS: dict[str, Callable[[bytes, Any], list[int]]] = {
    "PNG": _of_png,
    "ICO": _of_icon,
    "TIFF": _of_tiff,
    "PPM": _of_netpbm,
    "JPEG2000": _of_jpeg2000,
    "AVIF": _of_avif,
}
"""Where the others say it, by Pillow's names."""

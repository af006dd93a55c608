"""Reading IDX files, the form that MNIST's images come in; plain or compressed by gzip.

A file has two zero bytes, the type of its numbers, how many axes it has, the length of each as 4
bytes, the most significant first, then the numbers. Source: LeCun, Cortes, Burges, the MNIST page.
"""

from __future__ import annotations

import zlib

import numpy as np
from jaxtyping import UInt8

from w2dual.records import InputError

_TYPES = {
    0x08: "unsigned bytes",
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}
_BYTES = 0x08
_GZIP = b"\x1f\x8b"
_MOST_BYTES = 2**30
"""Of a file that is unpacked; MNIST's have 47 million."""


def read_images(content: bytes, where: str, side: int) -> UInt8[np.ndarray, "images pixels"]:
    """Return the square images of an IDX file, each flattened row by row.

    Args:
        content: of the file.
        where: to name in messages.
        side: of an image, in pixels.

    Raises:
        InputError: it is cut short or has more than it says, holds numbers of another type or
            something else than images of that side, or no image; or an image without mass.
    """
    content = unpacked(content, where)
    axes = _header(content, where)
    if len(axes) != 3:
        what = "labels" if len(axes) == 1 else f"an array with {len(axes)} axes"
        raise InputError(f"{where}: holds {what}; expected images, which have 3 axes")
    count, height, width = axes
    if (height, width) != (side, side):
        raise InputError(
            f"{where}: holds images of {height} x {width} pixels; expected {side} x {side}"
        )
    if count == 0:
        raise InputError(f"{where}: holds no image; expected at least one")
    start, wanted = 4 + 4 * len(axes), count * side**2
    if (found := len(content) - start) != wanted:
        how = "is cut short" if found < wanted else "has more than it says"
        raise InputError(
            f"{where}: {how}: {found} bytes of images, where {count} of {side} x {side} pixels, "
            f"as its header says, are {wanted}; fetch it again"
        )
    images = np.frombuffer(content, np.uint8, offset=start).reshape(count, side**2)
    return checked_mass(images, where)


def checked_mass(
    images: UInt8[np.ndarray, "images pixels"], where: str
) -> UInt8[np.ndarray, "images pixels"]:
    """Return images, each of which has mass.

    Raises:
        InputError: one has not.
    """
    empty = np.flatnonzero(~images.any(axis=1))
    if empty.size:
        raise InputError(
            f"{where}: image {empty[0]} (from 0) is black, a measure with no mass; "
            "expected images with a bright pixel"
        )
    return images


def unpacked(content: bytes, where: str) -> bytes:
    """Return what a file holds, which is compressed by gzip or is not.

    Raises:
        InputError: it is cut short or damaged, or unpacks to far more than images are.
    """
    if not content.startswith(_GZIP):
        return content
    try:
        unpacker = zlib.decompressobj(wbits=31)
        found = unpacker.decompress(content, _MOST_BYTES)
        if unpacker.unconsumed_tail:
            raise InputError(f"{where}: unpacks to more than {_MOST_BYTES} bytes")
        if not unpacker.eof:
            raise InputError(f"{where}: is cut short, as gzip files go; fetch it again")
    except zlib.error as error:
        raise InputError(f"{where}: is damaged, as gzip files go ({error})") from error
    return found


def _header(content: bytes, where: str) -> tuple[int, ...]:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise InputError(
            f"{where}: is no IDX file: it starts with {content[:4].hex() or 'nothing'}; "
            "expected 00000803, as train-images-idx3-ubyte of MNIST does"
        )
    if content[2] != _BYTES:
        raise InputError(f"{where}: holds {_TYPES[content[2]]}; expected unsigned bytes, type 0x08")
    axes = content[3]
    if len(content) < 4 + 4 * axes:
        raise InputError(f"{where}: is cut short: its header of {axes} axes is not whole")
    return tuple(int(n) for n in np.frombuffer(content, ">u4", axes, 4))

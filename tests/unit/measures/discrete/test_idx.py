"""IDX files that are what they say, and those that are not."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from w2dual.measures.discrete.idx import read_images
from w2dual.records import InputError

SIDE = 3
IMAGES = np.arange(1, 2 * SIDE**2 + 1, dtype=np.uint8).reshape(2, SIDE**2)


def idx(content: bytes = IMAGES.tobytes(), count: int = 2, kind: int = 8, axes: int = 3) -> bytes:
    sizes = (count, SIDE, SIDE)[:axes]
    return struct.pack(f">BBBB{axes}I", 0, 0, kind, axes, *sizes) + content


@pytest.mark.parametrize("packed", [False, True])
def test_images_are_read_row_by_row(packed: bool) -> None:
    content = gzip.compress(idx()) if packed else idx()
    np.testing.assert_array_equal(read_images(content, "file", SIDE), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx()[:-1], r"file: is cut short: 17 bytes of images, where 2 of 3 x 3 .* are 18"),
        (idx() + b"\0", "has more than it says: 19 bytes"),
        (idx(count=3), "is cut short: 18 bytes of images, where 3 of"),
        (idx(count=0, content=b""), "holds no image; expected at least one"),
        (idx(kind=0x0D), "holds 32-bit floats; expected unsigned bytes, type 0x08"),
        (idx(axes=1), "holds labels; expected images"),
        (idx()[:9], "is cut short: its header of 3 axes is not whole"),
        (b"\x89PNG\r\n", "is no IDX file: it starts with 89504e47; expected 00000803"),
        (b"", "is no IDX file: it starts with nothing"),
        (gzip.compress(idx(), mtime=0)[:-4], "is cut short, as gzip files go"),
        (b"\x1f\x8b" + b"\0" * 20, "is damaged, as gzip files go"),
        (idx(content=bytes(18)), r"image 0 \(from 0\) is black, a measure with no mass"),
        (idx(content=IMAGES[:1].tobytes() + bytes(9)), r"image 1 \(from 0\) is black"),
    ],
)
def test_what_is_not_such_a_file_is_refused_in_words(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_images(content, "file", SIDE)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="holds images of 3 x 3 pixels; expected 28 x 28"):
        read_images(idx(), "file", 28)

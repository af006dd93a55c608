"""What a folder of images may hold, and what is said of what it may not."""

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from w2dual.measures.colour.drawn import draw
from w2dual.measures.colour.pictures import read_folder, read_picture
from w2dual.measures.synthetic import depth
from w2dual.measures.synthetic.image_files import FORMATS, read_image
from w2dual.records import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)


def save(folder: Path, name: str, pixels: np.ndarray = PIXELS, **options: object) -> Path:
    Image.fromarray(pixels).save(folder / name, **options)  # pyright: ignore[reportArgumentType]
    return folder / name


def png_of_16_bits(path: Path, colour_type: int) -> None:
    """A PNG of 2 x 2 pixels with 16 bits a channel: Pillow writes none in colour."""
    channels = {0: 1, 2: 3}[colour_type]
    raw = b"".join(b"\0" + bytes(2 * 2 * channels) for _ in range(2))

    def chunk(kind: bytes, content: bytes) -> bytes:
        tail = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + tail

    head = struct.pack(">IIBBBBB", 2, 2, 16, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def test_colours_are_those_of_the_pixels(tmp_path: Path):
    picture = read_picture(save(tmp_path, "a.png"))
    np.testing.assert_array_equal(picture.colours, PIXELS.reshape(-1, 3))
    gray = read_picture(save(tmp_path, "g.png", PIXELS[..., 0]))
    np.testing.assert_array_equal(gray.pixels, np.repeat(PIXELS[..., :1], 3, axis=-1))


def test_transparent_pixels_are_left_out(tmp_path: Path):
    alpha = np.full((6, 5, 1), 255, np.uint8)
    alpha[:2] = 0
    picture = read_picture(save(tmp_path, "a.png", np.concatenate([PIXELS, alpha], axis=-1)))
    np.testing.assert_array_equal(picture.colours, PIXELS[2:].reshape(-1, 3))
    with pytest.raises(InputError, match="transparent throughout"):
        read_picture(save(tmp_path, "b.png", np.concatenate([PIXELS, 0 * alpha], axis=-1)))


def test_a_folder_is_read_by_names_and_the_rest_is_said(tmp_path: Path, caplog):
    save(tmp_path, "b.png")
    save(tmp_path, "a.jpg")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_text("not an image")
    with caplog.at_level(logging.WARNING):
        assert [picture.name for picture in read_folder(tmp_path)] == ["a.jpg", "b.png"]
    assert "notes.txt" in caplog.text
    assert "hidden" not in caplog.text


def test_a_folder_with_one_image_is_refused(tmp_path: Path):
    save(tmp_path, "only.png")
    with pytest.raises(InputError, match=r"holds 1 image \(only.png\); expected 2 at least"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_folder(tmp_path / "absent")
    with pytest.raises(InputError, match="is a file; expected a folder"):
        read_folder(tmp_path / "only.png")


def test_an_animated_image_is_refused(tmp_path: Path):
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(tmp_path / "moves.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="moves.gif: is animated.*2 frames"):
        read_picture(tmp_path / "moves.gif")


@pytest.mark.parametrize("colour_type", [0, 2])
def test_16_bits_are_refused(tmp_path: Path, colour_type: int):
    png_of_16_bits(tmp_path / "deep.png", colour_type)
    with pytest.raises(InputError, match="deep.png: has 16 bits a colour"):
        read_picture(tmp_path / "deep.png")


def deep_tiff() -> bytes:
    """Of 2 x 2 pixels, RGB, 16 bits: its header, then its tags, the bits, and the pixels."""
    tags = [(256, 1, 2), (257, 1, 2), (258, 3, 134), (259, 1, 1), (262, 1, 2), (273, 1, 140)]
    tags += [(277, 1, 3), (278, 1, 2), (279, 1, 24), (284, 1, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 3, count, at) for tag, count, at in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head + struct.pack("<HHH", 16, 16, 16) + bytes(range(24))


def deep_jpeg2000() -> bytes:
    """A picture of 8 bits whose size segment says 12 for its second component."""
    Image.fromarray(PIXELS).save(stream := io.BytesIO(), format="JPEG2000")
    content = bytearray(stream.getvalue())
    content[content.index(b"\xff\x4f\xff\x51") + 45] = 11
    return bytes(content)


def deep_avif(pixels: np.ndarray) -> bytes:
    """A picture of 8 bits whose header says 10."""
    Image.fromarray(pixels).save(stream := io.BytesIO(), format="AVIF")
    content = bytearray(stream.getvalue())
    content[content.index(b"av1C") + 6] |= 0x40
    channels = content.index(b"pixi") + 8
    for channel in range(content[channels]):
        content[channels + 1 + channel] = 10
    return bytes(content)


def deep_icon(folder: Path) -> bytes:
    png_of_16_bits(folder / "inner.png", 2)
    inner = (folder / "inner.png").read_bytes()
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 2, 2, 0, 0, 1, 48, len(inner), 22) + inner


def test_more_than_8_bits_are_refused_in_all_formats(tmp_path: Path):
    files = {
        "binary.ppm": (b"P6 # of 3\n2 #2\n2\n65535\n" + bytes(24), 16),
        "plain.ppm": (b"P3 1 2 1023\n" + b"0 1 2 3 4 1023\n", 10),
        "deep.tif": (deep_tiff(), 16),
        "deep.jp2": (deep_jpeg2000(), 12),
        "deep.avif": (deep_avif(PIXELS), 10),
        "deep.ico": (deep_icon(tmp_path), 16),
    }
    for name, (content, bits) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: has {bits} bits a colour, of which 8"):
            read_picture(tmp_path / name)


def test_more_than_8_bits_of_gray_are_refused(tmp_path: Path):
    (tmp_path / "gray.avif").write_bytes(deep_avif(PIXELS[..., 0]))
    with pytest.raises(InputError, match=r"gray.avif: has more than 8 bits \(10\); save it as"):
        read_image(tmp_path / "gray.avif")


def test_8_bits_are_read_in_all_formats(tmp_path: Path):
    lossless = {"png", "tif", "ppm", "bmp", "tga", "pcx", "jp2"}
    for ending in (*lossless, "jpg", "gif", "webp", "avif", "ico"):
        found = read_picture(save(tmp_path, f"a.{ending}")).pixels
        assert found.shape[-1] == 3, ending
        if ending in lossless:
            np.testing.assert_array_equal(found, PIXELS, ending)
    assert {*depth.EIGHT, *depth.BITS} == {*FORMATS}


def test_what_is_no_image_is_refused(tmp_path: Path):
    (tmp_path / "no.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(InputError, match="no.png"):
        read_picture(tmp_path / "no.png")


def test_drawn_images_are_the_same_each_time_and_differ():
    first, again = draw(2, 5), draw(2, 5)
    np.testing.assert_array_equal(first[1].pixels, again[1].pixels)
    assert (first[0].pixels != first[1].pixels).any()
    assert (draw(1, 6)[0].pixels != first[0].pixels).any()

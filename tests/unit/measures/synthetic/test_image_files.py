"""What a file says of an image beside its pixels: applied, said in the log, or refused."""

import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, ImageCms, PngImagePlugin
from PIL import Image as Pillow

from w2dual.measures.synthetic.image_files import read_image
from w2dual.records import InputError

TONES = np.kron(np.arange(0, 240, 40).reshape(2, 3), np.ones((16, 16))).astype(np.uint8)
"""Six blocks, so that no turn or mirror image is the picture itself."""
SEEN: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.transpose(np.rot90(stored, 2)),
    8: lambda stored: np.rot90(stored, 1),
}
"""EXIF 2.32, Orientation: from the stored pixels to those seen."""


def gray(mode: str = "L") -> Pillow.Image:
    return Pillow.fromarray(TONES).convert(mode)


def oriented(value: object) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


# ---------------------------------------------------------------- which way up


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"quality": 100}),
        ("a.png", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ],
    ids=["JPEG", "PNG", "TIFF", "TIFF-LZW"],
)
def test_an_image_is_taken_as_it_is_seen(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    orientation: int,
    name: str,
    options: dict[str, Any],
):
    gray().save(tmp_path / name, exif=oriented(orientation), **options)
    with caplog.at_level(logging.INFO):
        mass = read_image(tmp_path / name)
    # JPEG at its best rounds flat blocks by a tone or two.
    np.testing.assert_allclose(mass, 1 - SEEN[orientation](TONES) / 255, atol=0.01)
    assert ("as its orientation says" in caplog.text) == (orientation != 1)


def test_the_orientation_may_be_said_in_xmp(tmp_path: Path):
    text = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", text)
    gray().save(tmp_path / "a.png", pnginfo=info)
    np.testing.assert_allclose(read_image(tmp_path / "a.png"), 1 - SEEN[6](TONES) / 255, atol=1e-6)


@pytest.mark.parametrize("value", [0, 9])
def test_an_orientation_that_means_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, value: int
):
    gray().save(tmp_path / "a.png", exif=oriented(value))
    np.testing.assert_allclose(read_image(tmp_path / "a.png"), 1 - TONES / 255, atol=1e-6)
    assert f"its orientation is {value}, which means nothing" in caplog.text


# ---------------------------------------------------------------- what is refused

PLAIN: dict[str, Any] = {
    "optimize": False
}  # of a GIF: its tones are not renumbered, so that it stays gray
TWO: dict[str, Any] = {"save_all": True, "append_images": [Pillow.fromarray(255 - TONES)]}
PALETTE = Pillow.fromarray(TONES).convert("P")

REFUSED: dict[str, tuple[str, Pillow.Image, dict[str, Any], str]] = {
    "a transparent tone": ("a.png", gray(), {"transparency": 40}, "has transparency"),
    "a transparent tone of two": ("a.png", gray("1"), {"transparency": 0}, "has transparency"),
    "gray, transparent": ("a.png", gray("LA"), {}, "has transparency (mode LA)"),
    "colour, transparent": ("a.png", gray("RGBA"), {}, "is in colour, and has transparency"),
    "a transparent colour": ("a.png", gray("RGB"), {"transparency": (0, 0, 0)}, "is in colour"),
    "a palette": ("a.png", PALETTE, {}, "has a palette of colours (mode P)"),
    "a palette, transparent": ("a.png", PALETTE, {"transparency": 0}, "has a palette"),
    "a GIF's transparency": ("a.gif", gray(), {"transparency": 40} | PLAIN, "has transparency"),
    "a TIFF's transparency": ("a.tif", gray("LA"), {}, "has transparency (mode LA)"),
    "a GIF's frames": ("a.gif", gray(), TWO, "holds 2 frames"),
    "a PNG's frames": ("a.png", gray(), TWO, "holds 2 frames"),
    "a TIFF's pages": ("a.tif", gray(), TWO, "holds 2 frames, pages or layers"),
    "a phone's two pictures": ("a.mpo", gray(), TWO, "holds 2 frames"),
    "a WebP's frames": ("a.webp", gray(), TWO, "holds 2 frames"),
    "16 bits": ("a.png", Pillow.fromarray(TONES.astype(np.uint16)), {}, "more than 8 bits"),
    "32 bits": ("a.tif", Pillow.fromarray(TONES.astype(np.int32)), {}, "more than 8 bits (mode I"),
    "floats": ("a.tif", Pillow.fromarray(TONES.astype(np.float32)), {}, "has floats for pixels"),
    "print": ("a.jpg", gray("CMYK"), {}, "is in the colours of print (mode CMYK)"),
    "JPEG in colour": ("a.jpg", gray("RGB"), {}, "is in colour (mode RGB)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_gray_picture_cannot_show_is_refused(tmp_path: Path, case: str):
    name, image, options, message = REFUSED[case]
    image.save(tmp_path / name, **options)
    said = refusal(tmp_path / name)
    assert message in said
    assert "save it as 8-bit grayscale" in said or "save the one that you mean" in said


def test_one_frame_is_one_picture(tmp_path: Path):
    for name in ("a.gif", "a.tif", "a.png"):
        gray().save(tmp_path / name, save_all=True, **PLAIN)
        np.testing.assert_allclose(read_image(tmp_path / name), 1 - TONES / 255, atol=1e-6)


def test_a_program_is_not_run(tmp_path: Path):
    """Pillow hands EPS to Ghostscript, whatever the file's name is."""
    gray().save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    assert "has an unsupported format" in refusal(tmp_path / "a.png")


def header_of(width: int, height: int) -> bytes:
    """A PNG that announces its size, and has no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = b"IEND"
    parts = [b"\x89PNG\r\n\x1a\n"]
    for chunk in (body, b"IDAT" + zlib.compress(b""), end):
        parts += [struct.pack(">I", len(chunk) - 4), chunk, struct.pack(">I", zlib.crc32(chunk))]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("side", "message"), [(10_000, "has 10000 x 10000"), (50_000, "too large")]
)
def test_a_size_that_would_fill_the_memory_is_refused(tmp_path: Path, side: int, message: str):
    """The smaller is a warning of Pillow's, which $PYTHONWARNINGS may make an error."""
    (tmp_path / "a.png").write_bytes(header_of(side, side))
    assert message in refusal(tmp_path / "a.png")


def test_pixels_that_are_missing_are_no_picture(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(header_of(20, 20))
    assert "cannot be read as an image" in refusal(tmp_path / "a.png")


# ---------------------------------------------------------------- what is left out, and said


def test_profile_gamma_and_shape_of_pixels_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", 100_000))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, full = tmp_path / "plain.png", tmp_path / "full.png"
    gray().save(plain, dpi=(72, 72))
    gray().save(full, pnginfo=info, icc_profile=profile, dpi=(72, 144))
    mass = read_image(plain)
    assert caplog.text == ""
    np.testing.assert_array_equal(read_image(full), mass)
    assert f"{full}: its colour profile and gamma is not applied" in caplog.text
    assert "are taken as square" in caplog.text


def test_damaged_metadata_give_no_other_error(tmp_path: Path):
    """Flipped bits where the orientation stands: an image, or an error that names the file."""
    path = tmp_path / "a.jpg"
    gray().save(path, exif=oriented(6))
    content = path.read_bytes()
    start = content.index(b"Exif")
    for place in range(start, start + 40):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            try:
                read_image(path)
            except InputError as error:
                assert str(error).startswith(f"{path}: ")  # noqa: PT017

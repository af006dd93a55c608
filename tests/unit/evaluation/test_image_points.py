"""Points as images in PNG files, there and back."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from w2dual.evaluation.points import read_points, write_points
from w2dual.records import InputError


def test_images_there_and_back(tmp_path: Path):
    points = np.random.default_rng(0).uniform(-1, 1, (3, 3 * 8 * 8)).astype(np.float32)
    write_points(tmp_path / "three.png", points)
    with Image.open(tmp_path / "three.png") as image:
        assert (image.size, image.mode) == ((24, 8), "RGB")
    np.testing.assert_allclose(read_points(tmp_path / "three.png"), points, atol=1 / 255 + 1e-6)


def test_colours_rows_and_columns_are_in_their_places(tmp_path: Path):
    point = np.full((1, 3, 4, 4), -1.0, np.float32)
    point[0, 1, 2, 3] = 1.0  # green, third row, fourth column
    write_points(tmp_path / "green.png", point.reshape(1, -1))
    with Image.open(tmp_path / "green.png") as image:
        assert image.getpixel((3, 2)) == (0, 255, 0)
        assert image.getpixel((2, 3)) == (0, 0, 0)
    assert (read_points(tmp_path / "green.png") == point.reshape(1, -1)).all()


def test_numbers_beyond_are_cut_off_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        write_points(tmp_path / "x.png", np.array([[1.5, -2.0, 0.0]], np.float32))
    assert "2 of 3 numbers are beyond [-1, 1] and cut off" in caplog.text
    assert read_points(tmp_path / "x.png")[0, :2].tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    ("mode", "size", "said"),
    [("L", (4, 4), "of the mode L"), ("RGBA", (4, 4), "RGBA"), ("RGB", (6, 4), "6 x 4 pixels")],
)
def test_other_pictures_are_refused(tmp_path: Path, mode: str, size: tuple[int, int], said: str):
    Image.new(mode, size).save(tmp_path / "x.png")
    with pytest.raises(InputError, match=said):
        read_points(tmp_path / "x.png")


def test_points_that_are_no_images_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="2 coordinates are no square images"):
        write_points(tmp_path / "x.png", np.zeros((1, 2), np.float32))
    assert not (tmp_path / "x.png").exists()
    (tmp_path / "y.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="is not an image"):
        read_points(tmp_path / "y.png")

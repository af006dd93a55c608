"""Images as measures: tables of aliases, places of pixels, files in and files refused."""

import io
import json
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image as Pillow
from scipy import stats

from w2dual import measures
from w2dual.__main__ import main
from w2dual.measures.pairs import images
from w2dual.measures.preparation import images as preparation
from w2dual.measures.synthetic.image_files import MOST_PIXELS, read_image
from w2dual.records import InputError, file_sha256, load_arrays, save_arrays

Tables = tuple[np.ndarray, np.ndarray]
SIZE = 200_000


def write(path: Path, intensity: np.ndarray) -> Path:
    """Write 8-bit values as an image."""
    Pillow.fromarray(intensity.astype(np.uint8)).save(path)
    return path


def noise(height: int, width: int) -> np.ndarray:
    """Random tones, none of them white."""
    return np.random.default_rng(0).integers(0, 255, (height, width))


# ---------------------------------------------------------------- tables of aliases


def law_of(keep: np.ndarray, alias: np.ndarray) -> list[Fraction]:
    """The probabilities that drawing with the tables has, without any rounding."""
    count = len(keep)
    mass = [Fraction(0)] * count
    for pixel, (kept, other) in enumerate(zip(keep, alias, strict=True)):
        mass[pixel] += Fraction(float(kept)) / count
        mass[other] += (1 - Fraction(float(kept))) / count
    return mass


@pytest.mark.parametrize(
    "mass",
    [[4], [1, 1, 1, 1], [1, 1, 1, 29], [29, 1, 1, 1], [1, 2, 3, 5, 7, 11, 13, 22], [15, 1] * 8],
    ids=str,
)
def test_alias_tables_are_exact_where_no_number_is_rounded(mass: list[int]):
    """Their sum, and so the mean, is a power of two."""
    keep, alias = preparation.alias_tables(np.array(mass, np.float32))
    expected = [Fraction(item, sum(mass)) for item in mass]
    assert law_of(keep, alias) == expected


@pytest.mark.parametrize("count", [2, 3, 10, 1000])
@pytest.mark.parametrize("power", [1, 8])
def test_alias_tables_are_the_law_up_to_float32(count: int, power: int):
    mass = np.random.default_rng(count).uniform(0.01, 1, count).astype(np.float32) ** power
    keep, alias = preparation.alias_tables(mass)
    assert (keep.dtype, alias.dtype) == (np.float32, np.int32)
    assert (keep >= 0).all()
    assert (keep <= 1).all()
    total = sum(map(Fraction, map(float, mass)))
    for pixel, found in enumerate(law_of(keep, alias)):
        expected = Fraction(float(mass[pixel])) / total
        # Each `keep` that a pixel's mass is made of is rounded by at most 2^-25.
        rounded = 1 + np.sum(alias == pixel)
        assert abs(found - expected) * count <= rounded * Fraction(1, 2**25) + Fraction(1, 10**12)


def test_alias_tables_sum_in_double_precision():
    """A million pixels, whose sum in single precision would be off by some 1e-3."""
    mass = np.full(MOST_PIXELS, 0.1, np.float32)
    keep, _ = preparation.alias_tables(mass)
    np.testing.assert_allclose(keep, 1.0, atol=1e-7)


# ---------------------------------------------------------------- sampling


def place_counts(tables: dict[str, np.ndarray], points: np.ndarray) -> np.ndarray:
    """How often each place was drawn; every point must be a place."""
    order = {tuple(place): i for i, place in enumerate(tables["places"].tolist())}
    found, counts = np.unique(points, axis=0, return_counts=True)
    result = np.zeros(len(order))
    for place, count in zip(found.tolist(), counts, strict=True):
        result[order[tuple(place)]] = count
    return result


def test_frequencies_are_the_masses():
    mass = np.random.default_rng(0).uniform(0.2, 1, (6, 9)).astype(np.float32)
    mass[2, 3:6] = 0
    tables = preparation.image_arrays(mass, 10.0)
    image = images.Image(*(jnp.asarray(tables[key]) for key in images.Image._fields))
    draw = jax.jit(images.sample, static_argnums=2)
    counts = place_counts(tables, np.asarray(draw(image, jax.random.key(0), SIZE)))
    weights = mass[mass > 0].astype(np.float64)
    assert len(counts) == len(weights) == 51
    assert stats.chisquare(counts, SIZE * weights / weights.sum()).pvalue > 1e-3
    weights[7] *= 1.2
    assert stats.chisquare(counts, SIZE * weights / weights.sum()).pvalue < 1e-6


def test_a_key_names_the_points():
    pair = drawn_pair()
    one, other = jax.random.split(jax.random.key(0))
    sample = jax.jit(lambda pair, key: pair.sample_source(key, 100))
    np.testing.assert_array_equal(sample(pair, one), sample(pair, one))
    np.testing.assert_array_equal(sample(pair, one), pair.sample_source(one, 100))
    assert not np.array_equal(sample(pair, one), sample(pair, other))


def test_source_and_target_are_not_exchanged(tmp_path: Path):
    left, right = (np.full((4, 4), 255) for _ in range(2))
    left[:, 0] = 0
    right[:, 3] = 0
    settings = {
        "source": str(write(tmp_path / "left.png", left)),
        "target": str(write(tmp_path / "right.png", right)),
        "scale": 4.0,
    }
    pair = images.from_arrays(*preparation.prepare("mine", settings))
    key = jax.random.key(0)
    assert set(np.asarray(pair.sample_source(key, 50))[:, 0].tolist()) == {-2.0}
    assert set(np.asarray(pair.sample_target(key, 50))[:, 0].tolist()) == {1.0}


# ---------------------------------------------------------------- where a pixel is


def published_places(intensity: np.ndarray, scale: float) -> dict[tuple[float, float], float]:
    """Places and probabilities by the published formula (w2ot/data.py), pixel after pixel."""
    height, width = intensity.shape
    flat = 1.0 - intensity.reshape(-1) / 255.0
    found = {}
    for index in np.flatnonzero(flat):
        x1, x2 = index % width, height - index // width
        place = np.array([x1, x2]) / max(height, width) * scale - scale / 2.0
        found[tuple(place.astype(np.float32).tolist())] = flat[index] / flat.sum()
    return found


@pytest.mark.parametrize("shape", [(5, 5), (4, 8), (9, 3)], ids=["square", "wide", "high"])
@pytest.mark.parametrize("scale", [10.0, 3.0])
def test_places_and_masses_are_the_published_ones(
    tmp_path: Path, shape: tuple[int, int], scale: float
):
    intensity = noise(*shape)
    intensity[1, 1] = 255
    tables = preparation.image_arrays(read_image(write(tmp_path / "a.png", intensity)), scale)
    expected = published_places(intensity, scale)
    assert len(expected) < intensity.size
    mass = np.array([float(item) for item in law_of(tables["keep"], tables["alias"])])
    found = dict(zip(map(tuple, tables["places"].tolist()), mass, strict=True))
    assert found.keys() == expected.keys()
    for place, value in found.items():
        assert value == pytest.approx(expected[place], abs=1e-6)
    assert np.abs(tables["places"]).max() == pytest.approx(scale / 2)


@pytest.mark.parametrize(
    ("row", "column", "quadrant"),
    [(0, 0, (-1, 1)), (0, 7, (1, 1)), (7, 0, (-1, -1)), (7, 7, (1, -1))],
    ids=["top left", "top right", "bottom left", "bottom right"],
)
def test_up_is_up_and_dark_is_mass(
    tmp_path: Path, row: int, column: int, quadrant: tuple[int, int]
):
    intensity = np.full((8, 8), 255)
    intensity[row, column] = 0
    intensity[4, 4] = 254  # all but white: it takes 1/256 of the mass
    mass = read_image(write(tmp_path / "a.png", intensity))
    assert mass[row, column] == 1
    tables = preparation.image_arrays(mass, 10.0)
    law = [float(item) for item in law_of(tables["keep"], tables["alias"])]
    assert max(law) == pytest.approx(255 / 256, abs=1e-6)
    assert tuple(np.sign(tables["places"][int(np.argmax(law))])) == quadrant


def test_an_image_of_two_tones_is_one_of_black_and_white(tmp_path: Path):
    Pillow.fromarray(noise(6, 6) > 100).save(tmp_path / "two.png")
    with Pillow.open(tmp_path / "two.png") as image:
        assert image.mode == "1"
    mass = read_image(tmp_path / "two.png")
    np.testing.assert_array_equal(mass, noise(6, 6) <= 100)


# ---------------------------------------------------------------- the project's own images


def drawn_pair() -> images.ImagePair:
    settings = {"source": None, "target": None, "scale": 10.0}
    return images.from_arrays(*preparation.prepare("images", settings))


def test_own_images_are_a_heart_and_a_star():
    heart, star = preparation.drawn("source"), preparation.drawn("target")
    for picture in (heart, star):
        assert picture.shape == (preparation.DRAWN_SIZE, preparation.DRAWN_SIZE)
        assert picture.min() == 0
        assert picture.max() == 1
        # Both are their own mirror images, and keep off the border.
        np.testing.assert_allclose(picture, picture[:, ::-1], atol=1e-6)
        border = np.concatenate([picture[[0, -1]].ravel(), picture[:, [0, -1]].ravel()])
        assert border.max() == 0
    assert np.abs(heart - star).mean() > 0.1
    # The areas of (x^2 + y^2 - 1)^3 = x^2 y^3, which is 3.6621, at 1/1.45 of its size, and of a
    # star with tips at 0.92 and notches at 0.42, in the square [-1, 1]^2; edges in 128 pixels.
    assert heart.mean() == pytest.approx(3.6621 / 1.45**2 / 4, rel=0.01)
    assert star.mean() == pytest.approx(5 * 0.92 * 0.42 * np.sin(np.pi / 5) / 4, rel=0.01)


def test_own_images_are_the_right_way_up():
    """The heart has one point, below; the star has one tip, above, and two below."""

    def parts(line: np.ndarray) -> int:
        inside = np.concatenate([[False], line > 0])
        return int(np.sum(inside[1:] & ~inside[:-1]))

    for end, top, bottom in (("source", 2, 1), ("target", 1, 2)):
        rows = [row for row in preparation.drawn(end) if row.any()]
        assert parts(rows[0]) == top
        assert parts(rows[-1]) == bottom


# ---------------------------------------------------------------- prepare, load, sample


def prepare(folder: Path, **settings: Any) -> int:
    given = {"kind": "images", "source": None, "target": None, "scale": 10.0} | settings
    out = str(folder / "images.safetensors")
    argv = ["prepare", "--pair", "images", "--settings", json.dumps(given), "--out", out]
    return main(argv)


def test_a_prepared_pair_has_the_images_in_it(tmp_path: Path):
    picture = write(tmp_path / "mine.png", noise(16, 24))
    assert prepare(tmp_path, source=str(picture), scale=3) == 0
    path = tmp_path / "images.safetensors"
    _, metadata = load_arrays(path)
    assert metadata == {
        "format": 1,
        "kind": "images",
        "pair": "images",
        "dimension": 2,
        "source": "drawn",
        "scale": 3.0,
        "images": {"source": file_sha256(picture), "target": "drawn"},
    }
    picture.unlink()  # what was prepared needs it no more
    pair = measures.load(path)
    assert isinstance(pair, images.ImagePair)
    assert (pair.dimension, pair.scale) == (2, 3.0)
    draw = jax.jit(lambda pair, key: (pair.sample_source(key, 5000), pair.sample_target(key, 5000)))
    source, target = map(np.asarray, draw(pair, jax.random.key(0)))
    assert {tuple(place) for place in source.tolist()} <= published_places(noise(16, 24), 3).keys()
    star = preparation.drawn("target")
    places = preparation.image_arrays(star, 3.0)["places"]
    assert {tuple(p) for p in target.tolist()} <= {tuple(p) for p in places.tolist()}
    # The star's centre of mass is the middle, up to half a pixel; standard error 0.008.
    np.testing.assert_allclose(target.mean(axis=0), 0, atol=0.05)


def test_the_same_images_give_the_same_file(tmp_path: Path):
    content = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        assert prepare(tmp_path / name) == 0
        content.append((tmp_path / name / "images.safetensors").read_bytes())
    assert content[0] == content[1]


# ---------------------------------------------------------------- images that are refused


def in_mode(mode: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        Pillow.fromarray(noise(8, 8).astype(np.uint8)).convert(mode).save(path)

    return make


def deep(path: Path) -> None:
    Pillow.fromarray(257 * noise(8, 8).astype(np.uint16)).save(path)


def blank(path: Path) -> None:
    write(path, np.full((8, 8), 255))


def huge(path: Path) -> None:
    write(path, np.zeros((1025, 1024)))


def cut(path: Path) -> None:
    write(path, noise(64, 64))
    path.write_bytes(path.read_bytes()[:2000])


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
REFUSED = {
    "missing": (lambda path: None, "no such image"),
    "folder": (lambda path: path.mkdir(), "is a folder; expected an image"),
    "colour": (in_mode("RGB"), "(mode RGB); save it as 8-bit grayscale"),
    "transparent": (in_mode("RGBA"), "(mode RGBA); save it as 8-bit grayscale"),
    "gray and transparent": (in_mode("LA"), "(mode LA)"),
    "palette": (in_mode("P"), "(mode P)"),
    "16 bits": (deep, "more than 8 bits (mode I;16)"),
    "blank": (blank, "is blank (white throughout)"),
    "one dark pixel": (lambda path: write(path, np.zeros((1, 1))), "has one pixel that is not"),
    "huge": (huge, "has 1024 x 1025 pixels, expected 1,048,576 at most"),
    "truncated": (cut, "cannot be read as an image"),
    "empty": (
        lambda path: path.write_bytes(b""),
        "is not an image, is damaged, or has an unsupported",
    ),
    "text": (lambda path: path.write_text("no image"), "is not an image, is damaged, or has an"),
    "heic": (lambda path: path.write_bytes(HEIC), "unsupported format, such as HEIC"),
}


@pytest.mark.parametrize("end", images.ENDS)
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_grayscale_image_is_named(
    tmp_path: Path, case: str, end: str, capsys: pytest.CaptureFixture[str]
):
    make, message = REFUSED[case]
    path = tmp_path / "picture.png"
    make(path)
    assert prepare(tmp_path, **{end: str(path)}) == 2
    error = capsys.readouterr().err
    assert f"{path}: " in error
    assert message in error
    assert not (tmp_path / "images.safetensors").exists()


def test_the_largest_image_is_taken(tmp_path: Path):
    mass = read_image(write(tmp_path / "a.png", np.zeros((1024, 1024))))
    assert mass.size == MOST_PIXELS


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_no_damage_gives_another_error(tmp_path: Path, kind: str):
    """Cut at every length, and with flipped bits: an image, or an error that names the file."""
    stream = io.BytesIO()
    Pillow.fromarray(noise(12, 12).astype(np.uint8)).save(stream, kind)
    content = stream.getvalue()
    path = tmp_path / f"a.{kind.lower()}"
    draws = random.Random(0)  # noqa: S311
    damaged = [content[:size] for size in range(len(content))]
    for _ in range(400):
        changed = bytearray(content)
        changed[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
        damaged.append(bytes(changed))
    errors = []
    for item in damaged:
        path.write_bytes(item)
        try:
            mass = read_image(path)
        except InputError as error:
            errors.append(str(error))
        else:
            assert mass.size <= MOST_PIXELS
            assert mass.min() >= 0
            assert mass.max() <= 1
    assert len(errors) > 100
    assert all(error.startswith(f"{path}: ") for error in errors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0}, "measures.synthetic.images.scale: 0; expected a number above 0"),
        ({"scale": True}, "measures.synthetic.images.scale: True; expected a number above 0"),
        ({"scale": "10"}, "measures.synthetic.images.scale: '10'; expected a number above 0"),
        ({"source": 1}, "measures.synthetic.images.source: 1; expected the path of an image"),
        ({"reverse": True}, "measures.synthetic.images: unknown ['reverse']"),
    ],
    ids=["zero", "bool", "text", "path", "key"],
)
def test_settings_are_checked(
    tmp_path: Path, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
):
    assert prepare(tmp_path, **change) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- prepared files that are refused


@pytest.fixture
def content(tmp_path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    picture = str(write(tmp_path / "a.png", noise(6, 6)))
    return preparation.prepare("images", {"source": picture, "target": picture, "scale": 10.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source/places": None}, r"lacks \['source/places'\]"),
        ({"target/keep": None}, r"lacks \['target/keep'\]"),
        ({"target/alias": None}, "`target/alias` does not fit the image's 36 pixels"),
        ({"target/alias": np.full(36, 36, np.int32)}, "`target/alias` does not fit"),
        ({"target/alias": np.full(36, -1, np.int32)}, "`target/alias` does not fit"),
        ({"target/alias": np.zeros(36, np.int64)}, "`target/alias` does not fit"),
        ({"target/alias": np.zeros(35, np.int32)}, "`target/alias` does not fit"),
        ({"source/keep": np.full(36, np.nan, np.float32)}, "source/keep holds numbers that are no"),
        ({"source/keep": np.zeros(36)}, "source/keep is float64"),
        ({"source/places": np.zeros((36, 3), np.float32)}, "source/places is float32"),
        (
            {
                "source/places": np.zeros((0, 2), np.float32),
                "source/keep": np.zeros(0, np.float32),
                "source/alias": np.zeros(0, np.int32),
            },
            "`source/alias` does not fit the image's 0 pixels",
        ),
        ({"scale": -1.0}, "metadata `scale` is -1.0, not a number above 0"),
        ({"scale": None}, "metadata `scale` is None"),
    ],
)
def test_a_prepared_file_that_lacks_a_part_is_named(
    tmp_path: Path,
    content: tuple[dict[str, np.ndarray], dict[str, Any]],
    change: dict[str, Any],
    message: str,
):
    arrays, metadata = content
    metadata |= {key: value for key, value in change.items() if key == "scale"}
    arrays |= {key: value for key, value in change.items() if key != "scale"}
    path = tmp_path / "pair.safetensors"
    save_arrays(path, {k: v for k, v in arrays.items() if v is not None}, metadata)
    with pytest.raises(InputError, match=message) as caught:
        measures.load(path)
    assert str(caught.value).startswith(str(path))


def test_a_truncated_prepared_file_is_named(
    tmp_path: Path, content: tuple[dict[str, np.ndarray], dict[str, Any]]
):
    path = tmp_path / "pair.safetensors"
    save_arrays(path, *content)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="is truncated or no safetensors file"):
        measures.load(path)

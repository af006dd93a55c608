"""What is prepared of images: encodings, pairs that are held out, and their exact costs."""

from itertools import permutations
from pathlib import Path

import jax
import numpy as np
import pytest

from w2dual.measures.pairs import palettes
from w2dual.measures.pairs.palettes import Palettes
from w2dual.measures.preparation.palettes import histogram, prepare, squared_w2
from w2dual.records import InputError

SETTINGS = {"sources": ["folder", "drawn"], "folder": None, "paintings": None, "drawn": 5}
SETTINGS |= {"pixels": 40, "points": 7, "bins": 2, "side": 8, "held_out": 3, "test_points": 6}
SETTINGS |= {"seed": 0, "encoding": "histogram"}


@pytest.fixture(scope="module")
def law() -> Palettes:
    arrays, metadata = prepare("palettes", SETTINGS)
    return palettes.from_arrays(arrays, metadata)


def test_held_out_pairs_are_of_sources_that_differ(law: Palettes):
    pairs = np.asarray(law.test_pairs)
    assert len(pairs) == 3
    assert len(set(pairs[:, 0])) == 3
    assert (pairs[:, 0] != pairs[:, 1]).all()
    held_out = np.full(5, -1)
    held_out[pairs[:, 0]] = pairs[:, 1]
    np.testing.assert_array_equal(law.held_out, held_out)


def test_a_point_is_an_image(law: Palettes):
    points = np.asarray(law.sample_source(jax.random.key(0), 50))
    assert points.shape == (50, law.dimension)
    assert law.dimension == 2 + 2**3 + 3 * 7
    which = points[:, 0].astype(int)
    assert set(which) == set(range(5))
    np.testing.assert_array_equal(points[:, 1], np.asarray(law.held_out)[which])
    np.testing.assert_array_equal(points[:, 2:10], np.asarray(law.encodings)[which])
    colours = points[:, 10:].reshape(50, 7, 3)
    for image, drawn in zip(which, colours, strict=True):
        kept = {tuple(colour) for colour in np.asarray(law.pixels[image])}
        assert {tuple(np.rint(255 * c).astype(int)) for c in drawn} <= kept


def test_the_exact_cost_is_the_cheapest_assignment():
    x, y = np.random.default_rng(0).integers(0, 256, (2, 5, 3))
    costs = [np.mean(np.sum((x - y[list(p)]) ** 2, axis=-1)) for p in permutations(range(5))]
    assert squared_w2(x, y) == pytest.approx(min(costs) / 255**2)


def test_a_histogram_has_the_shares_of_cells():
    colours = np.array([[0, 0, 0], [127, 0, 255], [128, 0, 0], [255, 255, 255]])
    shares = histogram(colours, 2).reshape(2, 2, 2)
    assert shares[0, 0, 0] == shares[0, 0, 1] == shares[1, 0, 0] == shares[1, 1, 1] == 0.25


def test_images_as_encodings_are_squashed():
    arrays, metadata = prepare("palettes", SETTINGS | {"encoding": "image"})
    law = palettes.from_arrays(arrays, metadata)
    assert arrays["encodings"].shape == (5, 3 * 8**2)
    assert law.dimension == 2 + 3 * 8**2 + 3 * 7
    assert 0 <= float(law.encoding(np.arange(5)).max()) <= 1  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"held_out": 6}, "held_out: 6 pairs, but there are 5 images"),
        ({"sources": ["folder"]}, "`measures.palettes.folder` names no folder"),
        ({"sources": ["web"]}, "is not a list of folder, packaged, drawn"),
        ({"encoding": "sound"}, "expected one of histogram, image"),
        ({"bins": 1}, "bins: 1; expected a whole number from 2"),
        ({"paintings": "/nowhere/p.rcc", "sources": ["packaged"]}, "get_paintings.sh fetches it"),
        ({"folder": "/nowhere/images"}, "there is no such folder"),
        ({"colour": 1}, "unknown key `colour`"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, object], said: str):
    with pytest.raises(InputError, match=said):
        prepare("palettes", SETTINGS | changes)


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path):
    arrays, metadata = prepare("palettes", SETTINGS)
    with pytest.raises(InputError, match="`exact` is missing"):
        palettes.from_arrays({k: v for k, v in arrays.items() if k != "exact"}, metadata)
    with pytest.raises(InputError, match="do not fit together"):
        palettes.from_arrays(arrays | {"held_out": arrays["held_out"][:2]}, metadata)

"""Preparing images as palettes: read, assembled or drawn, and what is held out of training."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from w2dual import seeds
from w2dual.config import places
from w2dual.decoding import decode
from w2dual.measures.base import FORMAT
from w2dual.measures.colour import drawn, paintings
from w2dual.measures.colour.pictures import Picture, listed, read_folder
from w2dual.measures.pairs.palettes import ENCODINGS, KIND, dimension
from w2dual.records import InputError, file_sha256, short_hash

log = logging.getLogger(__name__)

SECTION = "measures.palettes"
"""Of the config, which has such a law."""
SOURCES = ("folder", "packaged", "drawn")
SHOWN_HEIGHT = 160
"""Pixels, height of an image that is kept for figures, at most."""


@dataclass(frozen=True)
class Settings:
    """The config's `measures.palettes`, and what networks see of an image.

    Attributes:
        sources: tried in order; the first that there is gives all images.
        folder: of the user's images.
        paintings: Debian's resource; None for where it is installed, or fetched.
        drawn: images that are drawn.
        pixels: kept of each image.
        points: of them in a batch.
        bins: cells of a histogram, along each axis.
        side: of a squashed image, in pixels.
        held_out: ordered pairs that training never sees.
        test_points: of each end of such a pair.
        seed: of what is drawn here.
        encoding: `histogram` or `image`.
    """

    sources: tuple[str, ...]
    folder: str | None
    paintings: str | None
    drawn: int
    pixels: int
    points: int
    bins: int
    side: int
    held_out: int
    test_points: int
    seed: int
    encoding: str


class Images(NamedTuple):
    """Images, which source they are of, and what the record says of that."""

    pictures: list[Picture]
    source: str
    origin: dict[str, Any]


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays and metadata.

    Args:
        name: of the law.
        settings: the config's `measures.palettes`, and `encoding`.

    Raises:
        InputError: no source has images, one cannot be used, or there are too few to hold out as
            many pairs.
    """
    checked = decode(Settings, settings, SECTION)
    _check(checked)
    images = obtain(checked)
    count = len(images.pictures)
    if checked.held_out > count:
        raise InputError(
            f"{SECTION}.held_out: {checked.held_out} pairs, but there are {count} images, each of "
            "which is the source of one such pair at most; lower it, or add images"
        )
    generator = np.random.default_rng(checked.seed)
    pixels = np.stack([drawn_from(p, checked.pixels, generator) for p in images.pictures])
    order = generator.permutation(count)
    pairs = np.stack([order, np.roll(order, -1)], axis=-1)[: checked.held_out].astype(np.int32)
    held_out = np.full(count, -1, np.int32)
    held_out[pairs[:, 0]] = pairs[:, 1]
    ends = [
        np.stack([drawn_from(images.pictures[i], checked.test_points, generator) for i in end])
        for end in (pairs[:, 0], pairs[:, 1], pairs[:, 1])
    ]
    exact = [squared_w2(x, y) for x, y in zip(ends[0], ends[1], strict=True)]
    floor = [squared_w2(x, y) for x, y in zip(ends[2], ends[1], strict=True)]
    log.info("%s: W2^2 of the held-out pairs %.4g, floor %.4g", name, *map(np.mean, (exact, floor)))
    encode = {
        "histogram": lambda picture: histogram(picture.colours, checked.bins),
        "image": lambda picture: squashed(picture, checked.side),
    }[checked.encoding]
    encodings = np.stack([encode(picture) for picture in images.pictures])
    arrays = {
        "pixels": pixels,
        "encodings": encodings,
        "held_out": held_out,
        "test_pairs": pairs,
        "test_source": ends[0],
        "test_target": ends[1],
        "exact": np.array(exact),
        "floor": np.array(floor),
    }
    arrays |= {f"picture.{i}": shown(picture) for i, picture in enumerate(images.pictures)}
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "pair": name,
        "dimension": dimension(encodings.shape[1], checked.points),
        "points": checked.points,
        "encoding": checked.encoding,
        "bins": checked.bins,
        "side": checked.side,
        "source": images.source,
        "images": [picture.name for picture in images.pictures],
        "origin": images.origin,
    }
    return arrays, metadata


def _check(settings: Settings) -> None:
    if not settings.sources or set(settings.sources) - set(SOURCES):
        raise InputError(
            f"{SECTION}.sources: {list(settings.sources)} is not a list of {', '.join(SOURCES)}"
        )
    if settings.encoding not in ENCODINGS:
        raise InputError(
            f"{SECTION}.encoding: {settings.encoding!r}; expected one of {', '.join(ENCODINGS)}"
        )
    least = {"drawn": 2, "pixels": 2, "points": 2, "bins": 2, "side": 8, "held_out": 1}
    least |= {"test_points": 4}
    for key, lowest in least.items():
        if getattr(settings, key) < lowest:
            raise InputError(
                f"{SECTION}.{key}: {getattr(settings, key)}; expected a whole number from {lowest}"
            )
    seeds.checked(settings.seed, f"{SECTION}.seed")


def obtain(settings: Settings) -> Images:
    """Return the images of the first source that there is.

    Raises:
        InputError: there is none, or what it has cannot be used.
    """
    source, path = chosen(settings.sources, settings.folder, settings.paintings)
    if path is None:
        return Images(drawn.draw(settings.drawn, settings.seed), source, {})
    if source == "packaged":
        return Images(paintings.read_paintings(path), source, {"sha256": file_sha256(path)})
    pictures = read_folder(path)
    content = short_hash([p.colours.tobytes().hex() for p in pictures])
    return Images(pictures, source, {"content": content})


def at_hand(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return which source `prepare` would take, and what is there (`preparation.at_hand`).

    Images of a folder are told by their names, and not opened.
    """
    source, path = chosen(*(settings[key] for key in ("sources", "folder", "paintings")))
    if path is None:
        return source, f"{settings['drawn']} images that the project draws"
    if source == "packaged":
        return source, f"paintings of a Debian package, {path}"
    return source, f"{len(listed(path))} images in {path}"


def chosen(
    sources: Sequence[str], folder: str | None, resource: str | None
) -> tuple[str, Path | None]:
    """Return the first source that there is, and its folder or file; none of what is drawn.

    Args:
        sources: in the order in which they are tried.
        folder: of the user's images; None for none.
        resource: of the package; None for where it is installed, or fetched.

    Raises:
        InputError: there is none, or the config names a resource that is not there.
    """
    for source in sources:
        if source == "folder" and folder is not None:
            return source, Path(places.of_config(folder, places.CHECKOUT))
        if source == "packaged" and (path := paintings.located(resource)) is not None:
            return source, path
        if source == "drawn":
            return source, None
    lacking = {
        "folder": f"`{SECTION}.folder` names no folder of images",
        "packaged": f"there is no {paintings.INSTALLED} and no {paintings.FETCHED}; "
        + paintings.REMEDY,
    }
    raise InputError(
        f"{SECTION}.sources: none of {', '.join(sources)} has images: "
        + "; ".join(lacking[source] for source in sources)
    )


def drawn_from(
    picture: Picture, size: int, generator: np.random.Generator
) -> Int[np.ndarray, "size 3"]:
    """Draw pixels of an image, with replacement."""
    colours = picture.colours
    return colours[generator.integers(0, len(colours), size)]


def histogram(colours: Int[np.ndarray, "pixels 3"], bins: int) -> Float[np.ndarray, " cells"]:
    """Return the shares of the pixels in each of bins^3 cells of the cube of colours."""
    cell = colours.astype(np.int64) * bins // 256
    index = (cell[:, 0] * bins + cell[:, 1]) * bins + cell[:, 2]
    return (np.bincount(index, minlength=bins**3) / len(colours)).astype(np.float32)


def squashed(picture: Picture, side: int) -> Int[np.ndarray, " numbers"]:
    """Return an image squashed to a square, flattened; what is not painted is white."""
    from PIL import Image

    whole = np.where(picture.painted[..., None], picture.pixels, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(whole).resize((side, side))).reshape(-1).copy()


def shown(picture: Picture) -> Int[np.ndarray, "height width 4"]:
    """Return an image small enough for figures, and which of its pixels are painted."""
    from PIL import Image

    channels = [picture.pixels, (255 * picture.painted[..., None]).astype(np.uint8)]
    image = Image.fromarray(np.concatenate(channels, axis=-1))
    height = min(SHOWN_HEIGHT, image.height)
    width = max(1, round(image.width * height / image.height))
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST)).copy()


def squared_w2(x: Sequence[Any] | np.ndarray, y: Sequence[Any] | np.ndarray) -> float:
    """Return the exact squared W2 distance of as many colours each, of 0 to 255, in units of 1."""
    costs = cdist(np.asarray(x) / 255.0, np.asarray(y) / 255.0, "sqeuclidean")
    return float(costs[linear_sum_assignment(costs)].mean())

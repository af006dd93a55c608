"""The two potentials of a benchmark pair, from the first source that has them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from w2dual.measures.benchmark import files, icnn_dense, torchfile
from w2dual.measures.benchmark.files import BenchmarkFile
from w2dual.measures.benchmark.generated import Budget, Generated, train
from w2dual.measures.benchmark.icnn_dense import VERSIONS, DenseICNN
from w2dual.records import InputError

log = logging.getLogger(__name__)

SOURCES = ("mirror", "download", "generated")


@dataclass(frozen=True)
class Weights:
    """The two potentials of a pair, and where they come from."""

    potentials: list[DenseICNN]
    source: str
    files: dict[str, str]
    generated: dict[str, Any] | None


def obtain(
    dimension: int,
    sources: Sequence[str],
    published_dimensions: Sequence[int],
    mirror: str | None,
    url: str,
    budget: Budget,
) -> Weights:
    """Return the weights from the first source that has them.

    Args:
        dimension: n.
        sources: of `SOURCES`, in the order in which they are tried.
        published_dimensions: those that the benchmark has files of.
        mirror: folder that holds them, or None for the environment's.
        url: where they are downloaded from.
        budget: of a pair that is trained here.

    Raises:
        InputError: none has them, with what was tried; or a source's file is not the published one.
    """
    published = dimension in published_dimensions
    if not published and "generated" not in sources:
        raise InputError(
            f"n={dimension}: the benchmark publishes weights for n in "
            f"{list(published_dimensions)} only; any other dimension needs `generated` "
            "in measures.benchmark.sources (a new pair is then trained)"
        )
    section = "measures.benchmark"
    paths = files.weight_paths(dimension)
    label = f"n={dimension}"
    found = files.search(label, paths, sources, mirror, url, section) if published else None
    return generate(dimension, budget) if found is None else published_weights(dimension, *found)


def published_weights(dimension: int, source: str, found: list[BenchmarkFile]) -> Weights:
    """Read the two potentials from verified published files."""
    potentials = [
        icnn_dense.from_tensors(torchfile.read(file.content, file.name), dimension, file.name)
        for file in found
    ]
    return Weights(potentials, source, {file.name: file.git_blob_sha1 for file in found}, None)


def generate(dimension: int, budget: Budget) -> Weights:
    """Train the two potentials, and record the budget and what it reached."""
    log.warning("n=%d: training a new pair; it will not be the published one", dimension)
    trained: Generated = train(dimension, budget)
    record = asdict(budget) | {
        "identity_mse": dict(zip(VERSIONS, trained.identity_mse, strict=True)),
        "cycle_mse": dict(zip(VERSIONS, trained.cycle_mse, strict=True)),
    }
    return Weights(trained.potentials, "generated", {}, record)

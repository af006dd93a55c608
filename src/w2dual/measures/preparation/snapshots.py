"""Preparing samples of successive times: read from a file of the user's, or made here.

No published file comes with the project, since its repository names no licence.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from w2dual import seeds
from w2dual.decoding import decode
from w2dual.measures.pairs.snapshots import to_arrays
from w2dual.measures.snapshots import files, generated
from w2dual.records import InputError, file_sha256

log = logging.getLogger(__name__)

SECTION = "measures.snapshots"
"""Of the config, which has such pairs."""


@dataclass(frozen=True)
class Generated:
    """A set that is made here.

    Attributes:
        particles: of each leg of the recipe.
        seed: of all that is drawn.
    """

    particles: int
    seed: int


@dataclass(frozen=True)
class Settings:
    """The config's `measures.snapshots.NAME`.

    Attributes:
        truth: name of the metric, and of the recipe.
        file: path of a file of samples; None to make them.
        bounds: lower and upper bound of each coordinate.
        generated: how they are made, where there is no file.
    """

    truth: str
    file: str | None
    bounds: tuple[tuple[float, float], tuple[float, float]]
    generated: Generated


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays and metadata.

    Args:
        name: of the pair.
        settings: of the config's `measures.snapshots.NAME`.

    Raises:
        InputError: a setting or the file cannot be used, or samples are beyond the bounds.
    """
    where = f"{SECTION}.{name}"
    checked = decode(Settings, settings, where)
    if checked.truth not in generated.RECIPES:
        known = ", ".join(generated.RECIPES)
        raise InputError(f"{where}.truth: unknown {checked.truth!r}; expected one of {known}")
    low, high = (np.array(side, np.float32) for side in zip(*checked.bounds, strict=True))
    made = checked.generated
    if made.particles < 2:
        raise InputError(f"{where}.generated.particles: {made.particles}; expected 2 or more")
    seeds.checked(made.seed, f"{where}.generated.seed")
    extra: dict[str, Any]
    if checked.file is not None:
        samples = files.samples(files.read_bytes(checked.file), checked.file)
        extra = {"source": "file", "sha256": file_sha256(checked.file)}
    else:
        log.info("%s: %d particles a leg by the published recipe", name, made.particles)
        samples = generated.generate(checked.truth, made.particles, made.seed)
        extra = {"source": "generated", "particles": made.particles, "seed": made.seed}
    arrays, metadata = to_arrays(samples, low, high, checked.truth, name)
    return arrays, metadata | extra

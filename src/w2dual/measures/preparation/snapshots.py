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
class Settings:
    """The config's `measures.snapshots.NAME`.

    Attributes:
        truth: name of the metric, and of the recipe.
        file: path of a file of samples; None to make them.
        times: of the set.
        samples: of each time.
        bounds: lower and upper bound of each coordinate.
        seed: of what is drawn, where there is no file.
    """

    truth: str
    file: str | None
    times: int
    samples: int
    bounds: tuple[tuple[float, float], tuple[float, float]]
    seed: int


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
    seeds.checked(checked.seed, f"{where}.seed")
    wanted = (checked.times, checked.samples, 2)
    extra: dict[str, Any]
    if checked.file is not None:
        samples = files.samples(files.read_bytes(checked.file), checked.file)
        if samples.shape != wanted:
            raise InputError(
                f"{checked.file}: has {samples.shape[0]} times of {samples.shape[1]} samples; "
                f"`{where}` says {checked.times} of {checked.samples}: change one of them"
            )
        extra = {"source": "file", "sha256": file_sha256(checked.file)}
    else:
        log.info("%s: %d samples of %d times by the published recipe", name, *wanted[1::-1])
        samples = generated.generate(checked.truth, checked.times, checked.samples, checked.seed)
        extra = {"source": "generated", "seed": checked.seed}
    arrays, metadata = to_arrays(samples, low, high, checked.truth, name)
    return arrays, metadata | extra

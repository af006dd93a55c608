"""A file of the samples of all times, as Scarvelis and Solomon's repository has them.

It is a PyTorch file of one tensor, float32 or float64: [times, samples, 2], or [groups, times,
samples, 2], whose groups are taken together. It is never run, as files of weights are not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from w2dual.measures.benchmark import torchfile
from w2dual.records import InputError, no_file


def read_bytes(path: str) -> bytes:
    """Return the content of a file that the config names.

    Raises:
        InputError: it is not there, or cannot be read.
    """
    if not Path(path).is_file():
        raise InputError(no_file(path))
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def samples(content: bytes, name: str) -> Float[np.ndarray, "times samples 2"]:
    """Return the samples of all times, in float32.

    Raises:
        InputError: the content is no such file, or its tensor has another shape.
    """
    found = torchfile.read_tensor(content, name)
    if found.ndim not in (3, 4) or found.shape[-1] != 2 or found.dtype.kind != "f":
        raise InputError(
            f"{name}: holds a tensor of {found.dtype} and shape {list(found.shape)}; expected "
            "floats of shape [times, samples, 2] or [groups, times, samples, 2]"
        )
    joined = found if found.ndim == 3 else np.concatenate(list(found), axis=1)
    return joined.astype(np.float32)

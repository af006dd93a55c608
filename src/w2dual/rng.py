"""Named key streams: a key is a function of (seed, stream name, step) and of nothing else.

What is drawn for evaluation, timing or plotting therefore never moves what is drawn for
training, however often it happens.
"""

from __future__ import annotations

import zlib

import jax
from jaxtyping import Array, Key


def stream(seed: int | Array, name: str) -> Key[Array, ""]:
    """Give the key of the stream `name` under an integer seed."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def at(key: Key[Array, ""], step: int | Array) -> Key[Array, ""]:
    """Give a stream's key at an integer step."""
    return jax.random.fold_in(key, step)

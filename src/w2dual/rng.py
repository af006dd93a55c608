"""Named key streams: a key is a function of (seed, stream name, step) and of nothing else.

What is drawn for evaluation, timing or plotting therefore never moves what is drawn for
training, however often it happens.
"""

from __future__ import annotations

import zlib

import jax
from jaxtyping import Array, Key

from w2dual import environment, seeds
from w2dual.records import InputError

DRAWS = (
    "jax_threefry_partitionable",
    "jax_default_prng_impl",
    "jax_random_seed_offset",
    "jax_high_dynamic_range_gumbel",
    "jax_enable_x64",
)
"""Settings of JAX that what a key draws depends on."""


def stream(seed: int | Array, name: str) -> Key[Array, ""]:
    """Return the key of the stream `name` under a seed.

    Args:
        seed: a whole number of 32 bits, or an array of JAX's, which has no more.
        name: any text.

    Raises:
        InputError: the seed is out of range or no whole number; or JAX is set to draw otherwise.
    """
    for setting in DRAWS:
        found, wanted = getattr(jax.config, setting), environment.DEFAULTS[setting]
        if found != wanted:
            raise InputError(
                f"{setting} is {found!r}, and seeds would draw other numbers; expected {wanted!r}: "
                f"unset {setting.upper()}, or call w2dual.backend.configure() first"
            )
    if not isinstance(seed, jax.Array):
        seed = seeds.checked(seed)
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def at(key: Key[Array, ""], step: int | Array) -> Key[Array, ""]:
    """Return a stream's key at an integer step."""
    return jax.random.fold_in(key, step)

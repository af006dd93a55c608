"""Key streams: a key depends on seed, stream and step, and on nothing else."""

import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import rng


def data(key: jax.Array) -> tuple[int, ...]:
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_keys_are_those_of_the_definition():
    """Fixed for good: another hash of the name would move every number of the evaluation."""
    expected = jax.random.fold_in(jax.random.key(3), zlib.crc32(b"source"))
    assert data(rng.stream(3, "source")) == data(expected)
    assert data(rng.at(rng.stream(3, "source"), 7)) == data(jax.random.fold_in(expected, 7))
    assert zlib.crc32(b"source") == 1602912115  # the same on every machine, unlike hash()


def test_seeds_names_and_steps_give_different_keys():
    names = ["source", "target", "potential", "evaluation", "trivial maps"]
    # Half of all hashes are above the largest signed 32-bit integer, and must be taken too.
    assert any(zlib.crc32(name.encode()) >= 2**31 for name in names)
    keys = {
        data(rng.at(rng.stream(seed, name), step))
        for seed, name, step in itertools.product(range(4), names, [0, 1, 2, 250_000])
    }
    assert len(keys) == 4 * 5 * 4


def test_a_stream_is_not_moved_by_what_others_draw():
    alone = data(rng.at(rng.stream(0, "source"), 5))
    for step in range(3):
        jax.random.normal(rng.at(rng.stream(0, "evaluation"), step), (3,))
    assert data(rng.at(rng.stream(0, "source"), 5)) == alone


def test_traced_seeds_and_steps_give_the_same_keys():
    seeds, steps = jnp.arange(3), jnp.arange(3) * 10
    keys = jax.jit(jax.vmap(lambda seed, step: rng.at(rng.stream(seed, "target"), step)))(
        seeds, steps
    )
    for key, seed, step in zip(keys, range(3), (0, 10, 20), strict=True):
        assert data(key) == data(rng.at(rng.stream(seed, "target"), step))

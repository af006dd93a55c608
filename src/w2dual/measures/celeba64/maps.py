"""Images of a generator with their noise, and T*: what a pair samples, within bounds of memory."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from w2dual.measures.celeba64 import generator, icnn_conv
from w2dual.measures.celeba64.generator import Generator
from w2dual.measures.celeba64.icnn_conv import ConvICNN

STRONG_CONVEXITY = 1e-2
"""Of each of the two potentials, in the ground truth and while they were trained."""
IMAGES_PIXELS = 2**18
"""Pixels of the images that a generator makes at once, 64 images of 64 x 64: bounds memory."""
MAP_PIXELS = 2**19
"""Pixels of the images that are mapped by T* at once, 128 images of 64 x 64."""


def sample(
    source: Generator, noise: Float[Array, ""], key: Key[Array, ""], size: int
) -> Float[Array, "{size} n"]:
    """Draw images of a generator, and add noise to each of their numbers."""
    architecture = source.architecture
    latent_key, noise_key = jax.random.split(key)
    latent = jax.random.normal(latent_key, (size, architecture.latent), jnp.float32)
    at_once = max(1, IMAGES_PIXELS // architecture.size**2)
    drawn = in_blocks(lambda z: generator.images(source, z), latent, at_once)
    return drawn + noise * jax.random.normal(noise_key, drawn.shape, jnp.float32)


def push_mean(
    potentials: tuple[ConvICNN, ...],
    strong_convexity: Float[Array, ""],
    x: Float[Array, "*batch n"],
) -> Float[Array, "*batch n"]:
    """Map images by the average of potentials' gradients, each with the same mu."""

    def block(images: Float[Array, "block n"]) -> Float[Array, "block n"]:
        pushed = [icnn_conv.push(weights, strong_convexity, images) for weights in potentials]
        return sum(pushed[1:], start=pushed[0]) / len(pushed)

    at_once = max(1, MAP_PIXELS * icnn_conv.COLOURS // x.shape[-1])
    # Full single precision also where a GPU would round products to TF32: this map is what errors
    # of less than a percent are measured against.
    with jax.default_matmul_precision("highest"):
        pushed = in_blocks(block, x.reshape(-1, x.shape[-1]), at_once)
    return pushed.reshape(x.shape)


def in_blocks(
    function: Callable[[Float[Array, "block a"]], Float[Array, "block b"]],
    rows: Float[Array, "batch a"],
    at_once: int,
) -> Float[Array, "batch b"]:
    """Apply a function of rows to blocks of them, one block after the other, to bound memory."""
    count = len(rows)
    if count <= at_once:
        return function(rows)
    whole = count - count % at_once
    blocks = rows[:whole].reshape(-1, at_once, rows.shape[1])
    done = jax.lax.map(function, blocks)
    done = done.reshape(whole, done.shape[-1])
    return done if whole == count else jnp.concatenate([done, function(rows[whole:])])

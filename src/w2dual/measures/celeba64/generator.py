"""ResNet_G, the generator whose images are the source of the CelebA64 benchmark.

A latent z ~ N(0, I) becomes a first image of 4 x 4 pixels, which residual blocks refine, doubled in
size between them (nearest neighbour), and a last convolution and tanh turn into 3 colours:

    block(x) = lrelu(s(x) + 0.1 c_1(lrelu(c_0(x)))),    lrelu of slope 0.2,

c_0, c_1 convolutions of 3 x 3, s the identity or, where the number of channels changes, one of
1 x 1. After each of them, and after the first layer, comes batch normalisation with stored
statistics, an affine map that `fold` makes part of the layer before it.
Source: Korotin et al., NeurIPS 2021, the repository's `resnet2.ResNet_G` (of WGAN-QC).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.decoding import decode
from w2dual.measures.base import check_arrays
from w2dual.measures.celeba64.icnn_conv import COLOURS
from w2dual.records import InputError

FIRST_SIDE = 4
"""Pixels, side of the image that the first layer makes."""
IMAGES_PIXELS = 2**18
"""Pixels of the images that a generator makes at once, 64 images of 64 x 64: bounds memory."""
SLOPE = 0.2
RESIDUAL = 0.1
EPSILON = 1e-5
"""Added to a stored variance in batch normalisation."""
FIRST, LAST = "fc", "conv_img"
"""Names of the first and the last layer."""


@dataclass(frozen=True)
class Architecture:
    """What decides the layers of a generator.

    Attributes:
        size: side of the images, 4 times a power of 2.
        latent: numbers that an image is made from.
        filters: channels of the last block.
        max_filters: of any block, at most.
    """

    size: int
    latent: int
    filters: int
    max_filters: int

    def __post_init__(self) -> None:
        """Check that there is such a generator."""
        doublings = self.size // FIRST_SIDE
        if self.size < 2 * FIRST_SIDE or self.size != FIRST_SIDE << (doublings.bit_length() - 1):
            raise InputError(f"generator of side {self.size}; expected 8, 16, 32, 64, ...")
        if min(self.latent, self.filters, self.max_filters) < 1:
            raise InputError(
                f"generator of latent {self.latent}, filters {self.filters}, max_filters "
                f"{self.max_filters}; expected numbers above 0"
            )

    @property
    def dimension(self) -> int:
        """Numbers of an image."""
        return COLOURS * self.size**2

    @property
    def widths(self) -> list[int]:
        """Channels of each pair of blocks, after the first layer's own."""
        doublings = (self.size // FIRST_SIDE).bit_length() - 1
        powers = range(doublings + 1, -1, -1)
        return [min(self.filters << power, self.max_filters) for power in powers]

    @property
    def blocks(self) -> list[Block]:
        """The residual blocks, in their order."""
        widths = self.widths
        found = []
        for i, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            # Each doubling of the size is one entry of the published list of layers.
            doubled = i < len(widths) - 2
            found.append(Block(f"resnet.{3 * i}", before, after, False))
            found.append(Block(f"resnet.{3 * i + 1}", after, after, doubled))
        return found

    @property
    def layers(self) -> dict[str, tuple[int, ...]]:
        """The shape of each layer's weight, by its published name and in the published order."""
        widths = self.widths
        shapes: dict[str, tuple[int, ...]] = {FIRST: (widths[0] * FIRST_SIDE**2, self.latent)}
        for block in self.blocks:
            hidden = min(block.before, block.after)
            shapes[f"{block.name}.conv_0"] = (hidden, block.before, 3, 3)
            shapes[f"{block.name}.conv_1"] = (block.after, hidden, 3, 3)
            if block.before != block.after:
                shapes[f"{block.name}.conv_s"] = (block.after, block.before, 1, 1)
        return shapes | {LAST: (COLOURS, widths[-1], 3, 3)}


def architecture_from_json(record: Any, name: str) -> Architecture:
    """Return an architecture from a file's metadata, in which its fields are a mapping.

    Raises:
        InputError: there is no such generator.
    """
    return decode(Architecture, record, name, "architecture")


class Block(NamedTuple):
    """A residual block: its name, its channels before and after, whether the size is doubled."""

    name: str
    before: int
    after: int
    doubled: bool


class Layer(NamedTuple):
    """A layer's weight and bias, batch normalisation folded in."""

    weight: Float[Any, "out ..."]
    bias: Float[Any, " out"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Generator:
    """A generator for inference: its layers by name."""

    architecture: Architecture = field(metadata={"static": True})
    layers: dict[str, Layer]


Apply = Callable[[str, Array], Array]
"""What a layer, by its name, does to its input."""


def images(generator: Generator, latent: Float[Array, "batch latent"]) -> Float[Array, "batch n"]:
    """Make images from latents: numbers from -1 to 1, colour by colour, row by row."""

    def apply(name: str, x: Array) -> Array:
        layer = generator.layers[name]
        return affine(x, layer.weight) + broadcast(layer.bias, x)

    return run(generator.architecture, latent, apply)


def sample(
    source: Generator, noise: Float[Array, ""], key: Key[Array, ""], size: int
) -> Float[Array, "{size} n"]:
    """Draw images of a generator, and add noise to each of their numbers."""
    architecture = source.architecture
    latent_key, noise_key = jax.random.split(key)
    latent = jax.random.normal(latent_key, (size, architecture.latent), jnp.float32)
    at_once = max(1, IMAGES_PIXELS // architecture.size**2)
    drawn = in_blocks(lambda z: images(source, z), latent, at_once)
    return drawn + noise * jax.random.normal(noise_key, drawn.shape, jnp.float32)


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


def run(
    architecture: Architecture, latent: Float[Array, "batch latent"], apply: Apply
) -> Float[Array, "batch n"]:
    """Run the network with whatever a layer does, its batch normalisation included."""
    side = FIRST_SIDE
    x = _leaky(apply(FIRST, latent)).reshape(len(latent), -1, side, side)
    for name, before, after, doubled in architecture.blocks:
        change = apply(f"{name}.conv_1", _leaky(apply(f"{name}.conv_0", x)))
        straight = x if before == after else apply(f"{name}.conv_s", x)
        x = _leaky(straight + RESIDUAL * change)
        if doubled:
            x = jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3)
    return jnp.tanh(apply(LAST, x)).reshape(len(latent), -1)


def affine(x: Array, weight: Array) -> Array:
    """Apply a layer's weight: a product, or a convolution that keeps the image's size."""
    if weight.ndim == 2:
        return x @ weight.T
    margin = weight.shape[-1] // 2
    return jax.lax.conv_general_dilated(
        x,
        weight,
        (1, 1),
        ((margin, margin), (margin, margin)),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def broadcast(per_channel: Float[Array, " out"], x: Array) -> Array:
    """Return numbers of each channel in a shape that meets a layer's output."""
    return per_channel.reshape(1, -1, *(1,) * (x.ndim - 2))


def _leaky(x: Array) -> Array:
    return jnp.where(x > 0, x, SLOPE * x)


def fold(
    weight: np.ndarray, bias: np.ndarray | None, norm: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias of a layer with the batch normalisation after it, in float64.

    Args:
        weight: of the layer, the output's channels first.
        bias: of the layer, or None where it has none.
        norm: `weight`, `bias`, `running_mean` and `running_var` of the normalisation.
    """
    exact = {key: np.asarray(item, np.float64) for key, item in norm.items()}
    scale = exact["weight"] / np.sqrt(exact["running_var"] + EPSILON)
    shift = exact["bias"] - exact["running_mean"] * scale
    folded = np.asarray(weight, np.float64) * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return folded, shift if bias is None else shift + scale * np.asarray(bias, np.float64)


NORM = ("weight", "bias", "running_mean", "running_var")
"""What batch normalisation stores of each channel."""


def norm_of(layer: str) -> str | None:
    """Return the published name of the normalisation after a layer, or None after the last."""
    if layer == LAST:
        return None
    block, _, name = layer.rpartition(".")
    return "bn1d" if layer == FIRST else f"{block}.{name.replace('conv', 'bn2d')}"


def published_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a published file, by its name and in its order.

    Counts of the batches that a normalisation has seen, `NAME.num_batches_tracked`, are left out:
    they take no part in inference.
    """
    found: dict[str, tuple[int, ...]] = {}
    for layer, shape in architecture.layers.items():
        found[f"{layer}.weight"] = shape
        if layer in (FIRST, LAST):
            found[f"{layer}.bias"] = shape[:1]
        if (norm := norm_of(layer)) is not None:
            found |= {f"{norm}.{part}": shape[:1] for part in NORM}
    return found


def from_tensors(
    tensors: Mapping[str, np.ndarray],
    architecture: Architecture,
    name: str,
    dtype: type[np.floating] = np.float32,
) -> Generator:
    """Take a generator from a published file's tensors, batch normalisation folded in.

    Args:
        tensors: of the file.
        architecture: that they must fit.
        name: of the file, for messages.
        dtype: to which weights are rounded after they are folded in float64.

    Raises:
        InputError: a tensor is missing, unexpected, of a wrong type or shape, or not finite; or a
            variance is negative.
    """
    check_arrays(tensors, wanted := published_shapes(architecture), name)
    counts = {f"{norm_of(layer)}.num_batches_tracked" for layer in architecture.layers}
    if unexpected := sorted(set(tensors) - set(wanted) - counts):
        raise InputError(f"{name}: tensors that a ResNet_G does not have: {unexpected}")
    layers = {}
    for layer in architecture.layers:
        norm = norm_of(layer)
        weight, bias = tensors[f"{layer}.weight"], tensors.get(f"{layer}.bias")
        if norm is not None:
            stored = {part: tensors[f"{norm}.{part}"] for part in NORM}
            if (lowest := stored["running_var"].min()) < 0:
                raise InputError(f"{name}: {norm}.running_var has the negative variance {lowest}")
            weight, bias = fold(weight, bias, stored)
        layers[layer] = Layer(np.asarray(weight, dtype), np.asarray(bias, dtype))
    return Generator(architecture, layers)


def to_arrays(generator: Generator, prefix: str) -> dict[str, np.ndarray]:
    """Name the layers for a prepared file: `prefix.fc.weight`, `prefix.fc.bias`, ..."""
    return {
        f"{prefix}.{name}.{part}": np.asarray(item)
        for name, layer in generator.layers.items()
        for part, item in layer._asdict().items()
    }


def from_arrays(
    arrays: Mapping[str, np.ndarray], prefix: str, architecture: Architecture, name: str
) -> Generator:
    """Take a generator from a prepared file's arrays; the inverse of `to_arrays`.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite.
    """
    wanted: dict[str, tuple[int, ...]] = {}
    for layer, shape in architecture.layers.items():
        wanted |= {f"{prefix}.{layer}.weight": shape, f"{prefix}.{layer}.bias": shape[:1]}
    check_arrays(arrays, wanted, name)
    layers = {
        layer: Layer(*(jnp.asarray(arrays[f"{prefix}.{layer}.{part}"]) for part in Layer._fields))
        for layer in architecture.layers
    }
    return Generator(architecture, layers)

"""Files of the published form, at any size: zip archives as PyTorch writes them."""

from pathlib import Path
from typing import Any

import numpy as np
from tests.unit.measures.benchmark.test_torchfile import (
    archive,
    dictionary,
    name_of,
    storage,
    tensor,
)
from tests.unit.measures.celeba64 import formula

from w2dual.measures.base import Moments
from w2dual.measures.celeba64 import generator, icnn_conv
from w2dual.measures.celeba64.generator import Architecture
from w2dual.measures.pairs import celeba64

SMALL = Architecture(size=16, latent=16, filters=8, max_filters=32)
WIDTHS = (4, 8, 8, 16)
FOLDER = "CelebA64"
Tensors = dict[str, np.ndarray]


def torch_file(tensors: Tensors) -> bytes:
    """Return tensors as the content of a file of weights."""
    kinds = {"float32": "FloatStorage", "int64": "LongStorage"}
    entries, buffers = {}, {}
    for i, (name, array) in enumerate(tensors.items()):
        strides = tuple(step // array.itemsize for step in array.strides)
        kind = name_of("torch", kinds[array.dtype.name])
        entries[name] = tensor(storage(str(i), array.size, kind), array.shape, strides)
        buffers[str(i)] = array.tobytes()
    return archive(dictionary(**entries), buffers)


def generator_tensors(architecture: Architecture) -> Tensors:
    """Return a generator's tensors, with the counts of batches that a published file has too."""
    tensors = formula.generator_tensors(generator.published_shapes(architecture))
    counts = {
        f"{generator.norm_of(layer)}.num_batches_tracked": np.array(1000)
        for layer in architecture.layers
        if layer != generator.LAST
    }
    return tensors | counts


def potential_tensors(size: int, widths: tuple[int, ...], seed: int) -> Tensors:
    """Return the tensors of a random potential that is convex."""
    drawn = np.random.default_rng(seed)
    tensors = {}
    for name, shape in icnn_conv.published_shapes(size, widths).items():
        weight = drawn.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        if name.startswith(("convex_layers", "pos_features")) and name.endswith("weight"):
            weight = np.abs(weight)
        tensors[name] = weight.astype(np.float32)
    return tensors


def contents(
    architecture: Architecture = SMALL, widths: tuple[int, ...] = WIDTHS, pair: str = "Early"
) -> dict[str, bytes]:
    """Return the content of each file that a pair needs, by its name."""
    found = {"Final_G.pt": torch_file(generator_tensors(architecture))}
    for seed, version in enumerate(("v1", "v2")):
        tensors = potential_tensors(architecture.size, widths, seed)
        found[f"{pair}_{version}.pt"] = torch_file(tensors)
    return found


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files where a mirror has them, and return the mirror."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / FOLDER / name).write_bytes(content)
    return folder


def prepared_pair(moments: Moments) -> tuple[Tensors, dict[str, Any]]:
    """Return a prepared file's arrays and metadata, of small networks."""
    source = generator.from_tensors(generator_tensors(SMALL), SMALL, "x")
    potentials = [
        icnn_conv.from_tensors(potential_tensors(16, WIDTHS, seed), 16, WIDTHS, "x")
        for seed in (0, 1)
    ]
    arrays, metadata = celeba64.to_arrays(source, potentials, noise=0.01)
    return arrays | moments.to_arrays(), metadata

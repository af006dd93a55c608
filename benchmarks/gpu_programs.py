"""The programs of cells as a GPU runs them, on a machine without one.

Shapes are all that a program is made from, so neither weights nor data are needed: pairs whose
preparation takes files, or long, have zeros in their place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import measures
from w2dual.config.cells import Cell
from w2dual.config.grid import grid
from w2dual.config.reader import pairs, read
from w2dual.measures.base import FORMAT, Moments
from w2dual.measures.benchmark import icnn_dense
from w2dual.measures.celeba64 import generator, icnn_conv
from w2dual.measures.celeba64.weights import PUBLISHED, PUBLISHED_WIDTHS
from w2dual.measures.pairs import benchmark, celeba64, grid_images, snapshots
from w2dual.measures.preparation import DEFAULT_KIND, prepare
from w2dual.measures.preparation.benchmark import parse_pair
from w2dual.records import InputError
from w2dual.training import loop, methods
from w2dual.training.pretraining import fresh_params

ROOT = Path(__file__).parents[1]
MNIST = {"train": 60_000, "held_out": 10_000}
"""Images of its two files."""


@functools.cache
def config() -> dict[str, Any]:
    """Return the paper's config."""
    return read([ROOT / "config.yaml"])


@functools.cache
def cells() -> dict[str, Cell]:
    """Return all cells of the paper's config by their names."""
    return {cell.name: cell for cell in grid(config())}


def chosen(names: list[str]) -> list[Cell]:
    """Return cells by their names.

    Raises:
        InputError: one is unknown.
    """
    if unknown := [name for name in names if name not in cells()]:
        raise InputError(f"no cell {', '.join(unknown)} in {ROOT / 'config.yaml'}")
    return [cells()[name] for name in names]


@contextlib.contextmanager
def as_gpu() -> Iterator[None]:
    """Let our code take its branches for a GPU; what JAX computes, it still computes on the CPU."""
    true = jax.default_backend
    jax.default_backend = lambda: "gpu"
    try:
        yield
    finally:
        jax.default_backend = true


@dataclass(frozen=True)
class Program:
    """The loop of a cell's training, as `loop.compile_loop` has it on one device.

    Attributes:
        method: what is trained.
        run: (state, pair, steps) -> (state, chunk).
        state: its shapes.
        pair: the shapes of the pair of measures.
    """

    method: Any
    run: Any
    state: Any
    pair: Any

    def lower(self, device: Any = None, **options: Any) -> jax.stages.Lowered:
        """Lower it, with options of `jax.jit`, for a device's `Sharding`, else for the CPU."""

        def placed(leaf: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device)

        steps = jax.ShapeDtypeStruct((), jnp.int32)
        arguments = jax.tree.map(placed, (self.state, self.pair, steps))
        with as_gpu():
            return jax.jit(self.run, **options).lower(*arguments)


def program(cell: Cell, without_solver: bool = False) -> Program:
    """Return a cell's program.

    Args:
        cell: the cell.
        without_solver: leave the conjugate solver out, as if it found x_tilde.
    """
    pair = pair_shapes(cell.pair)
    with as_gpu():
        method: Any = methods.make(cell.settings, cell.dimension)
        state = jax.eval_shape(
            lambda: method.init(fresh_params(method, cell, lambda function: function))
        )
        if without_solver:
            method = dataclasses.replace(method, solver=None)
        batch_size, whole = cell.training.batch_size, pair.whole_batches
        run = loop._chunk(method, cell.seeds, batch_size, 1, whole=whole)
    return Program(method, run, state, pair)


@functools.cache
def pair_shapes(name: str) -> Any:
    """Return the shapes of a pair of measures."""
    settings = pairs(config())[name]
    if settings.get("kind", DEFAULT_KIND) == benchmark.KIND:
        pair = _zeros(parse_pair(name))
    elif settings["kind"] == celeba64.KIND:
        pair = _images()
    elif settings["kind"] == grid_images.KIND:
        pair = _digits(settings)
    elif settings["kind"] == snapshots.KIND:
        pair = _samples(settings)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pair.safetensors"
            prepare(name, settings, path)
            pair = measures.load(path)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype), pair)


def _images() -> celeba64.CelebaPair:
    """Return a pair of images of the published size with zeros for weights."""
    size = PUBLISHED.size
    layers = generator.published_shapes(PUBLISHED)
    source = generator.from_tensors(_of_zeros(layers), PUBLISHED, "zeros")
    weights = _of_zeros(icnn_conv.published_shapes(size, PUBLISHED_WIDTHS))
    potential = icnn_conv.from_tensors(weights, size, PUBLISHED_WIDTHS, "zeros")
    arrays, metadata = celeba64.to_arrays(source, [potential, potential], noise=0.0)
    axes = {"mean": (PUBLISHED.dimension,), "var": (), "cost": ()}
    moments = {item.name: axes.get(item.name.split("_")[0]) for item in fields(Moments)}
    arrays |= {name: np.zeros(shape) for name, shape in moments.items() if shape is not None}
    return celeba64.from_arrays(arrays, metadata, "zeros")


def _digits(settings: dict[str, Any]) -> grid_images.GridImages:
    """Return as many images as MNIST has, of one bright pixel each."""
    side = settings["side"]
    arrays = {name: np.zeros((count, side**2), np.uint8) for name, count in MNIST.items()}
    for images in arrays.values():
        images[:, 0] = 1
    metadata = {"dimension": side**2} | {key: settings[key] for key in ("side", "epsilon")}
    return grid_images.from_arrays(arrays, metadata)


def _samples(settings: dict[str, Any]) -> snapshots.SnapshotPair:
    """Return samples at successive times, all in the middle of their rectangle."""
    low, high = np.array(settings["bounds"]).T
    samples = np.broadcast_to((low + high) / 2, (settings["times"], settings["samples"], len(low)))
    return snapshots.from_arrays(
        *snapshots.to_arrays(samples, low, high, settings["truth"], "middle")
    )


def _of_zeros(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _zeros(n: int) -> benchmark.BenchmarkPair:
    """Return a pair of the benchmark with zeros for what takes weights to know."""
    axes = {"mean": (n,), "cov": (n, n)}
    arrays = benchmark.source_arrays(n) | {
        item.name: np.zeros(axes.get(item.name.split("_")[0], ())) for item in fields(Moments)
    }
    single = {"shift": (n,), "scale": (), "strong_convexity": ()} | {
        f"{version}.{name}": shape
        for version in icnn_dense.VERSIONS
        for name, shape in icnn_dense.shapes(n).items()
    }
    arrays |= {name: np.zeros(shape, np.float32) for name, shape in single.items()}
    return benchmark.from_arrays(arrays, {"format": FORMAT, "kind": benchmark.KIND, "dimension": n})

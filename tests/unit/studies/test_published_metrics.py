"""Published weights of a learned metric: scored as elsewhere, and what is refused."""

import struct
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit.measures.benchmark.test_torchfile import (
    archive,
    dictionary,
    name_of,
    storage,
    tensor,
)

from w2dual.measures.snapshots import alignment, published, truths
from w2dual.records import InputError
from w2dual.studies import published_metrics

BOUNDS = [[-1.5, 1.5], [-1.5, 1.5]]
GENERATOR = np.random.default_rng(0)


def layers(bias: list[float] | None = None) -> dict[str, np.ndarray]:
    """A network of 5 and 4 hidden units; with `bias` its output is that, everywhere."""
    sizes = (2, 5, 4, 4)
    found = {}
    for name, inputs, outputs in zip(published.LAYERS, sizes, sizes[1:], strict=False):
        found[f"{name}.weight"] = GENERATOR.normal(size=(outputs, inputs))
        found[f"{name}.bias"] = GENERATOR.normal(size=outputs)
    if bias is not None:
        found["out_layer.weight"] = np.zeros((4, 4))
        found["out_layer.bias"] = np.array(bias)
    return found


def weights(path: Path, tensors: dict[str, np.ndarray]) -> str:
    """Write a state dictionary of float64, as PyTorch does."""
    double = name_of("torch", "DoubleStorage")
    entries, buffers = {}, {}
    for key, (name, values) in enumerate(tensors.items()):
        strides = tuple(int(step) // 8 for step in np.zeros(values.shape).strides)
        entries[name] = tensor(storage(str(key), values.size, double), values.shape, strides)
        buffers[str(key)] = struct.pack(f"<{values.size}d", *values.ravel())
    path.write_bytes(archive(dictionary(**entries), buffers))
    return str(path)


def scored(file: str, **changes: Any) -> float:
    entry = {"file": file, "truth": "circle", "bounds": BOUNDS} | changes
    frame = published_metrics.scores({"sets": {"circle": entry}, "grid": 100})
    assert frame.loc[0, "set"] == "circle"
    return float(frame["alignment"].iloc[0])


def test_weights_are_scored_as_by_a_loop(tmp_path: Path):
    """Point by point, by the largest eigenvector of N^T N + 1e-3 I."""
    tensors = layers()
    file = weights(tmp_path / "a.pt", tensors)
    found = published.read(Path(file).read_bytes(), file)
    points = alignment.grid(np.array([-1.5, -1.5]), np.array([1.5, 1.5]), 100)
    some = points[::977]
    directions = published.directions(found, some, file)
    true = np.asarray(truths.circle(jnp.asarray(some)), np.float64)
    products = []
    for point in some:
        z = point.astype(float)
        for name in published.LAYERS:
            z = tensors[f"{name}.weight"] @ z + tensors[f"{name}.bias"]
            if name != "out_layer":
                z = np.log1p(np.exp(z))
        factor = z.reshape(2, 2)
        _, vectors = np.linalg.eigh(factor.T @ factor + 1e-3 * np.eye(2))
        products.append(abs(vectors[:, 1] @ np.array([-point[1], point[0]])) / np.hypot(*point))
    assert alignment.of_directions(true, directions) == pytest.approx(np.mean(products), abs=1e-6)


def test_a_constant_tensor_scores_as_its_direction_does(tmp_path: Path):
    """N = [[1, 0], [0, 0]] is large along (1, 0), which scores 0.648 on the circle."""
    file = weights(tmp_path / "a.pt", layers([1.0, 0.0, 0.0, 0.0]))
    assert scored(file) == pytest.approx(0.648, abs=1e-3)
    assert scored(file, truth="mass_splitting") == pytest.approx(0.707, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out_layer.bias": None}, "lacks `out_layer.weight` or `.bias`"),
        ({"input_layer.0.weight": np.zeros((5, 3))}, r"weights \[5, 3\] and biases \[5\]; expect"),
        ({"out_layer.weight": np.zeros((3, 4)), "out_layer.bias": np.zeros(3)}, "has 3 outputs"),
        ({"out_layer.bias": np.full(4, np.inf)}, "not finite"),
    ],
)
def test_other_weights_are_refused(tmp_path: Path, changes: dict[str, Any], message: str):
    tensors = {k: v for k, v in (layers() | changes).items() if v is not None}
    with pytest.raises(InputError, match=message):
        scored(weights(tmp_path / "a.pt", tensors))


def test_an_unknown_truth_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"sets.circle.truth` is unknown: 'sphere'"):
        scored(weights(tmp_path / "a.pt", layers()), truth="sphere")

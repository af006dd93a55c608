"""Samples of successive times: made here, read from a file, drawn; and what is refused."""

import struct
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tests.unit.measures.benchmark.test_torchfile import archive, name_of, storage, tensor

from w2dual import measures
from w2dual.measures.pairs import snapshots
from w2dual.measures.preparation import prepare
from w2dual.measures.snapshots import generated
from w2dual.records import InputError, load_arrays

BOUNDS = [[-2.5, 15.0], [-15.0, 15.0]]
KEY = jax.random.key(0)


def settings(**changes: Any) -> dict[str, Any]:
    own = {"truth": "mass_splitting", "file": None, "bounds": BOUNDS, "seed": 0}
    own |= {"times": 3, "samples": 5}
    return {"kind": "snapshots", **own, **changes}


def torch_file(path: Path, values: np.ndarray) -> str:
    """Write a tensor of float64 as PyTorch does."""
    strides = tuple(int(step) // 8 for step in np.zeros(values.shape).strides)
    stored = storage("0", values.size, name_of("torch", "DoubleStorage"))
    pickled = b"\x80\x02" + tensor(stored, values.shape, strides) + b"."
    raw = struct.pack(f"<{values.size}d", *values.ravel())
    path.write_bytes(archive(pickled, {"0": raw}))
    return str(path)


def read(path: Path, **changes: Any) -> snapshots.SnapshotPair:
    out = path / "prepared.safetensors"
    prepare("set", settings(**changes), out)
    pair = measures.load(out)
    assert isinstance(pair, snapshots.SnapshotPair)
    return pair


def test_a_set_is_made_by_the_published_recipe(tmp_path: Path):
    """Means of the published file: from the origin, ever faster, to half +10 and half -10."""
    pair = read(tmp_path, times=10, samples=6)
    samples = np.asarray(pair.samples)
    assert (pair.dimension, samples.shape) == (18, (10, 6, 2))
    _, metadata = load_arrays(tmp_path / "prepared.safetensors")
    assert metadata["source"] == "generated"
    ends = samples[-1]
    assert (ends[:3, 1] > 6).all()
    assert (ends[3:, 1] < -6).all()
    steps = np.diff(samples.mean(axis=1)[:, 0])
    assert (np.diff(steps) > 0).all()
    assert np.abs(samples[0]).max() < 4


def test_a_chained_set_closes_and_one_side_by_side_keeps_its_groups(
    monkeypatch: pytest.MonkeyPatch,
):
    """Which slices come of which leg; where the particles go is replaced by straight lines."""

    def straight(field: Any, leg: Any, times: int, particles: int, key: Any) -> np.ndarray:
        share = np.linspace(0, 1, times)[:, None, None]
        ends = np.repeat(np.array(leg.ends), particles // len(leg.ends), axis=0)
        return (1 - share) * np.array(leg.start) + share * ends

    monkeypatch.setattr(generated, "_follow", straight)
    circle = generated.generate("circle", 25, 4, 0)
    assert circle.shape == (25, 4, 2)
    np.testing.assert_array_equal(circle[-1], circle[0])
    np.testing.assert_allclose(circle[6, 0], [0, 1], atol=1e-6)
    crossing = generated.generate("x_paths", 10, 8, 0)
    assert crossing.shape == (10, 8, 2)
    np.testing.assert_array_equal(crossing[0, :, 1], [-1] * 4 + [1] * 4)
    np.testing.assert_array_equal(crossing[-1, :, 1], [1] * 4 + [-1] * 4)


@pytest.mark.parametrize("shape", [(3, 5, 2), (2, 3, 5, 2)])
def test_a_file_of_the_users_is_read_and_its_groups_are_joined(tmp_path: Path, shape: Any):
    values = np.arange(np.prod(shape), dtype=float).reshape(shape) / 10
    count = 5 if len(shape) == 3 else 10
    pair = read(tmp_path, file=torch_file(tmp_path / "a.pt", values), samples=count)
    joined = values if len(shape) == 3 else np.concatenate(list(values), axis=1)
    np.testing.assert_allclose(pair.samples, joined, rtol=1e-6)
    _, metadata = load_arrays(tmp_path / "prepared.safetensors")
    assert metadata["source"] == "file"


def test_a_batch_of_all_samples_has_each_once(tmp_path: Path):
    values = np.arange(30.0).reshape(3, 5, 2) / 10
    pair = read(tmp_path, file=torch_file(tmp_path / "a.pt", values))
    x, y = pair.sample_source(KEY, 5), pair.sample_target(KEY, 5)
    assert x.shape == (5, 4)
    np.testing.assert_allclose(x.reshape(5, 2, 2).swapaxes(0, 1), values[:-1], rtol=1e-6)
    np.testing.assert_allclose(y.reshape(5, 2, 2).swapaxes(0, 1), values[1:], rtol=1e-6)
    few = np.asarray(pair.sample_source(KEY, 4))
    assert len(np.unique(few[:, 0])) == 4
    assert pair.sample_source(KEY, 7).shape == (7, 4)


BAD: list[tuple[np.ndarray, dict[str, Any], str]] = [
    (np.zeros((3, 5, 3)), {}, r"shape \[3, 5, 3\]; expected floats of shape \[times"),
    (np.zeros((1, 5, 2)), {"times": 1}, r"shape \[1, 5, 2\]; expected \[times, samples, 2\]"),
    (np.zeros((4, 5, 2)), {}, "has 4 times of 5 samples; `measures.snapshots.set` says 3 of 5"),
    (np.zeros((0, 5, 2)), {"file": None, "truth": "circle"}, "3 times; expected a multiple of 4"),
    (np.zeros((0, 5, 2)), {"file": None, "truth": "x_paths"}, "5 samples; expected a multiple of"),
    (np.full((3, 5, 2), 20.0), {}, r"15 samples are beyond the bounds .* at time 0: \(20, 20\)"),
    (np.full((3, 5, 2), np.nan), {}, "not finite"),
    (np.zeros((3, 5, 2)), {"bounds": [[1.0, -1.0], [0.0, 1.0]]}, "hold no rectangle"),
    (np.zeros((3, 5, 2)), {"bounds": [[1.0, 2.0]]}, "measures.snapshots.set: `bounds`"),
    (np.zeros((3, 5, 2)), {"truth": "sphere"}, "truth: unknown 'sphere'"),
    (np.zeros((3, 5, 2)), {"file": "nowhere.pt"}, "nowhere.pt"),
]


@pytest.mark.parametrize(("values", "changes", "message"), BAD, ids=[item[2] for item in BAD])
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, values: np.ndarray, changes: dict[str, Any], message: str
):
    file = torch_file(tmp_path / "a.pt", values)
    with pytest.raises(InputError, match=message):
        prepare("set", settings(**({"file": file} | changes)), tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_file_of_weights_is_no_file_of_samples(tmp_path: Path):
    path = tmp_path / "weights.pt"
    path.write_bytes(archive(b"\x80\x02}."))
    with pytest.raises(InputError, match="holds a dict, not a tensor"):
        prepare("set", settings(file=str(path)), tmp_path / "out.safetensors")

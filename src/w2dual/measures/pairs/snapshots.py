"""Samples of a population at successive times: one optimal transport problem for each two times.

A "point" of the pair is a row through the times, flattened: of the source a sample of each time but
the last, of the target one of each time but the first. So n = 2 (times - 1), and coordinates 2 t
and 2 t + 1 belong to the problem from time t to t + 1. Which samples share a row means nothing.

The prepared file's arrays, float32:

    samples [times, samples, 2]
    low, high [2]     corners of the rectangle that maps are clipped to and metrics judged on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.measures.base import FORMAT, Pair, check_arrays
from w2dual.measures.snapshots.truths import TRUTHS
from w2dual.records import InputError

KIND = "snapshots"
EVALUATION = "alignment"
"""What evaluates the cells on such a pair."""
PLANE = 2


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class SnapshotPair(Pair):
    """A prepared set of samples.

    Attributes:
        samples: of each time.
        low, high: corners of the rectangle.
        truth: name of the metric that the population moved under; static under `jit`.
    """

    samples: Float[Array, "times samples 2"]
    low: Float[Array, " 2"]
    high: Float[Array, " 2"]
    truth: str = field(metadata={"static": True})
    whole_batches: ClassVar[bool] = True

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw a sample of each time but the last; as many as there are: all, each once."""
        return _rows(self.samples[:-1], key, size)

    def sample_target(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw a sample of each time but the first; as many as there are: all, each once."""
        return _rows(self.samples[1:], key, size)


def _rows(
    samples: Float[Array, "times samples 2"], key: Key[Array, ""], size: int
) -> Float[Array, "{size} n"]:
    times, count, _ = samples.shape
    if size != count:
        taken = jax.random.choice(key, count, (size,), replace=size > count)
        samples = samples[:, taken]
    return jnp.moveaxis(samples, 0, 1).reshape(size, times * PLANE)


def to_arrays(
    samples: np.ndarray, low: np.ndarray, high: np.ndarray, truth: str, name: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays, and the metadata that they need, checked.

    Raises:
        InputError: the samples are not of the right shape, or beyond the bounds.
    """
    checked = {
        "samples": np.asarray(samples, np.float32),
        "low": np.asarray(low, np.float32),
        "high": np.asarray(high, np.float32),
    }
    _check(checked, truth, name)
    times = len(checked["samples"])
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "pair": name,
        "dimension": PLANE * (times - 1),
        "truth": truth,
    }
    return checked, metadata


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> SnapshotPair:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite; samples are
            beyond the bounds; or the true metric is unknown.
    """
    truth = metadata.get("truth")
    _check(arrays, truth, name)
    on_device = {key: jnp.asarray(arrays[key]) for key in ("samples", "low", "high")}
    dimension = PLANE * (len(arrays["samples"]) - 1)
    return SnapshotPair(dimension=dimension, truth=str(truth), **on_device)


def _check(arrays: Mapping[str, np.ndarray], truth: Any, name: str) -> None:
    if truth not in TRUTHS:
        raise InputError(f"{name}: unknown metric {truth!r}; expected one of {', '.join(TRUTHS)}")
    samples = np.asarray(arrays.get("samples", np.zeros(0)))
    if samples.ndim != 3 or samples.shape[0] < 2 or samples.shape[1] < 2 or samples.shape[2] != 2:
        raise InputError(
            f"{name}: samples have the shape {list(samples.shape)}; expected [times, samples, 2] "
            "with at least two times and two samples of each"
        )
    check_arrays(arrays, {"samples": samples.shape, "low": (2,), "high": (2,)}, name)
    low, high = arrays["low"], arrays["high"]
    if not (low < high).all():
        raise InputError(
            f"{name}: bounds {low.tolist()} to {high.tolist()} hold no rectangle; the lower corner "
            "comes first"
        )
    beyond = ((samples < low) | (samples > high)).any(axis=-1)
    if beyond.any():
        time, sample = np.argwhere(beyond)[0]
        point = ", ".join(f"{value:.4g}" for value in samples[time, sample])
        raise InputError(
            f"{name}: {int(beyond.sum())} samples are beyond the bounds {low.tolist()} to "
            f"{high.tolist()}, the first at time {time}: ({point}); widen `bounds`, to which maps "
            "are clipped"
        )

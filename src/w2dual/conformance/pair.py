"""The suite for a pair of measures: what its prepared file gives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import measures
from w2dual.conformance.base import Check, Verdict, judge, keeps_no_state, require, same
from w2dual.measures import Pair, SolvedPair
from w2dual.records import file_sha256

SIZE = 256
ENDS = ("source", "target")
Prepare = Callable[[Path], None]
"""Writes a pair's prepared file."""


def verdicts(prepare: Prepare) -> list[Verdict]:
    """Check a pair of measures; `prepare` writes its file, and is called twice."""
    with tempfile.TemporaryDirectory() as folder:
        suite = _Suite(prepare, Path(folder))
        return judge(
            [
                Check("is prepared and read", suite.read, needed=True),
                Check("shapes and types", suite.shapes, needed=True),
                Check("keeps no state", suite.no_state),
                Check("finite", suite.finite),
                Check("keys", suite.keys),
                Check("prepared again", suite.again),
                Check("optimal map", suite.optimal_map),
            ]
        )


class _Suite:
    """A pair as it is read from its file, and points of it."""

    def __init__(self, prepare: Prepare, folder: Path) -> None:
        self.prepare, self.folder = prepare, folder
        self.key = jax.random.key(0)

    @cached_property
    def pair(self) -> Pair:
        return self._prepared("once")

    @cached_property
    def sampled(self) -> Any:
        """Return the compiled samplers."""
        return jax.jit(_sample)

    @cached_property
    def points(self) -> dict[str, np.ndarray]:
        return self._points(self.pair, self.key)

    def read(self) -> str:
        kind = type(self.pair).__name__
        return f"a prepared file gives a {kind} in dimension {self.pair.dimension}"

    def shapes(self) -> str:
        sizes = {"source": self.pair.dimension, "target": self.pair.target_dimension}
        for end, found in self.points.items():
            wanted = (SIZE, sizes[end])
            require(
                found.shape == wanted and found.dtype == np.float32,
                f"`sample_{end}(key, {SIZE})` gives shape {found.shape} of {found.dtype}; expected "
                f"float32 of shape {wanted}, one point a row",
            )
        others = "" if len({*sizes.values()}) == 1 else f", of the target (size, {sizes['target']})"
        return f"points of shape (size, {self.pair.dimension}) in float32{others}"

    def no_state(self) -> str:
        other = self._prepared("once more")
        keeps_no_state(
            lambda key: _sample(self.pair, key), lambda key: _sample(other, key), self.key
        )
        return "two calls, and two pairs made of the same settings, give the same program"

    def finite(self) -> str:
        for end, found in self.points.items():
            require(np.isfinite(found).all(), f"`sample_{end}` gives points that are not finite")
            require(
                len(np.unique(found, axis=0)) > 1,
                f"`sample_{end}` gives one point only",
            )
        return "points are finite and differ"

    def keys(self) -> str:
        require(
            same(self._points(self.pair, self.key), self.points),
            "the same key gives other points when it is used again",
        )
        other = self._points(self.pair, jax.random.key(1))
        for end in ENDS:
            require(
                not np.array_equal(other[end], self.points[end]),
                f"`sample_{end}` gives the same points for different keys; draw from its `key`",
            )
        return "the same key gives the same points, another key gives others"

    def again(self) -> str:
        found = self._points(self._prepared("again"), self.key)
        require(
            same(found, self.points), "prepared and read again, it gives other points for a key"
        )
        digests = {file_sha256(self.folder / f"{name}.safetensors") for name in ("once", "again")}
        require(len(digests) == 1, "prepared again, its file has other bytes")
        return "prepared and read again, it gives the same points"

    def optimal_map(self) -> str:
        if not isinstance(self.pair, SolvedPair):
            return "none is known: the pair is evaluated by samples"
        x = self.points["source"]
        image = np.asarray(self.pair.ground_truth(jnp.asarray(x)), np.float64)
        require(image.shape == x.shape, f"T* maps points of shape {x.shape} to {image.shape}")
        step, moved = x - x[::-1], image - image[::-1]
        require(
            (np.sum(step * moved, axis=-1) >= -1e-4).all(),
            "T* is not monotone, so that it is no gradient of a convex function",
        )
        return "T* is monotone where it was tried"

    def _prepared(self, name: str) -> Pair:
        path = self.folder / f"{name}.safetensors"
        self.prepare(path)
        return measures.load(path)

    def _points(self, pair: Pair, key: Any) -> dict[str, np.ndarray]:
        return {end: np.asarray(found) for end, found in self.sampled(pair, key).items()}


def _sample(pair: Pair, key: Any) -> dict[str, Any]:
    return {end: getattr(pair, f"sample_{end}")(key, SIZE) for end in ENDS}

"""The suite for pairs of measures."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest
from tests.unit.measures.celeba64 import published
from tests.unit.measures.pairs.test_celeba64 import MOMENTS
from tests.unit.settings import PAPER

from w2dual import closure
from w2dual.conformance import pair
from w2dual.conformance.base import Verdict
from w2dual.measures import base, pairs
from w2dual.measures.benchmark import icnn_dense
from w2dual.measures.pairs import benchmark, gaussian, snapshots
from w2dual.measures.preparation import benchmark as preparation
from w2dual.measures.preparation import prepare
from w2dual.records import save_arrays

SQUARE = """\
import numpy as np
from w2dual.measures.synthetic.laws import LAWS, Law
from w2dual.measures.pairs.synthetic import SyntheticPair

MADE = []

@dataclass(frozen=True)
class Square(Law):
    side: float

    def sample(self, key, size):
        return jax.random.uniform(key, (size, 2), maxval=self.side)

def make(settings):
    return SyntheticPair(dimension=2, source=Square(settings["side"]), target=LAWS["gauss_8"])
"""

Write = Callable[[ModuleType, str], None]


def failed(verdicts: list[Verdict]) -> dict[str, str]:
    return {verdict.check: verdict.words for verdict in verdicts if not verdict.passed}


def _prepared(kind: str) -> pair.Prepare:
    if kind == "gaussian":  # for tests: no config prepares one
        return lambda path: save_arrays(path, *gaussian.draw(3, 0))
    if kind == "benchmark":
        return lambda path: save_arrays(path, *_content())
    if kind == "celeba64":
        arrays, metadata = published.prepared_pair(MOMENTS)
        known = metadata | {"pair": "celeba64_early"}
        return lambda path: save_arrays(path, arrays, known)
    if kind == "snapshots":  # making one takes a minute: how is tested by itself
        samples = np.random.default_rng(0).normal(size=(3, 20, 2))
        bounds = (np.full(2, -9.0), np.full(2, 9.0))
        arrays, metadata = snapshots.to_arrays(samples, *bounds, "circle", "circle")
        return lambda path: save_arrays(path, arrays, metadata)
    if kind == "palettes":
        small = {"sources": ["drawn"], "drawn": 3, "pixels": 64, "points": 16, "bins": 2}
        small |= {"held_out": 1, "test_points": 16, "encoding": "histogram", "kind": kind}
        return partial(prepare, "palettes_histogram", PAPER["measures"]["palettes"] | small)
    if kind in ("grid_images", "sphere"):  # what they are made of is tested by itself
        return lambda path: save_arrays(path, *_weights(kind))
    entries = PAPER["measures"]["synthetic"].items()
    name, settings = next(item for item in entries if item[1]["kind"] == kind)
    return partial(prepare, name, settings)


def _weights(kind: str) -> tuple[Any, Any]:
    """The content of a file of a law over measures, of random images or places."""
    generator = np.random.default_rng(0)
    metadata = {"format": base.FORMAT, "kind": kind, "pair": kind, "epsilon": 0.01}
    if kind == "grid_images":
        images = {
            key: generator.integers(1, 256, (8, 9), np.uint8) for key in ("train", "held_out")
        }
        return images, metadata | {"dimension": 9, "side": 3}
    places = {key: generator.normal(size=(n, 3)) for key, n in (("supply", 5), ("demand", 7))}
    unit = {key: x / np.linalg.norm(x, axis=1, keepdims=True) for key, x in places.items()}
    arrays = {key: x.astype(np.float32) for key, x in unit.items()}
    return arrays, metadata | {"dimension": 5, "probability": 0.5, "cosine_margin": 0.0}


@cache
def _content() -> tuple[Any, Any]:
    """The content of a file with random potentials in the place of the published ones."""
    convex = [icnn_dense.convexify(icnn_dense.init(jax.random.key(s), 2, 0.3)) for s in (1, 2)]
    arrays = benchmark.source_arrays(2)
    arrays |= preparation.fix_constants(convex, arrays, samples=1000, seed=5)
    for version, potential in zip(icnn_dense.VERSIONS, convex, strict=True):
        arrays |= icnn_dense.to_arrays(potential, version)
    metadata = {"format": base.FORMAT, "kind": benchmark.KIND, "pair": "hd2", "dimension": 2}
    return arrays, metadata


LONG = ("celeba64",)
"""Kinds that take many seconds to examine."""


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.long] if kind in LONG else [])
        for kind in closure.modules_with("measures.pairs", "from_arrays")
    ],
)
def test_ours_pass(kind: str) -> None:
    verdicts = pair.verdicts(_prepared(kind))
    assert len(verdicts) == 7
    assert not failed(verdicts)


def test_a_right_one_passes(write: Write) -> None:
    write(pairs, SQUARE)
    assert not failed(pair.verdicts(partial(prepare, "square", {"kind": "mine", "side": 2.0})))


WRONG = {
    "NaN": ("maxval=self.side)", "maxval=self.side) / 0", "finite", "`sample_source` gives points"),
    "one point": ("jax.random.uniform(key, (size, 2), maxval=self.side)", "jnp.ones((size, 2))",
        "finite", "gives one point only"),
    "wrong shape": ("(size, 2)", "(size, 3)", "is prepared and read", r"gives shape \(5, 3\)"),
    "wrong type": ("maxval=self.side)", "maxval=self.side).astype(jnp.bfloat16)",
        "shapes and types|is prepared and read", "bfloat16"),
    "drawn on the host": ("jax.random.uniform(key, (size, 2), maxval=self.side)",
        "jnp.asarray(np.random.default_rng().random((size, 2)), jnp.float32)",
        "keeps no state", "two calls differ"),
    "no use of the key": ("uniform(key", "uniform(jax.random.key(0)", "keys",
        "`sample_source` gives the same points for different keys"),
    "keeps a state": ("def make(settings):\n",
        "def make(settings):\n    MADE.append(1); settings = {'side': 1.0 * len(MADE)}\n",
        "keeps no state", "differs from one call of it to the next"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_way_to_be_wrong_has_its_words(write: Write, tmp_path: Path, case: str) -> None:
    old, new, check, words = WRONG[case]
    assert old in SQUARE
    write(pairs, SQUARE.replace(old, new))
    found = failed(pair.verdicts(partial(prepare, "square", {"kind": "mine", "side": 2.0})))
    first = next(iter(found))
    assert first in check.split("|")
    assert re.search(words, found[first]), found

"""What the tests of the measures share: config, a toy pair, and the published weights."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tests.unit import settings as given

from w2dual.measures import base, preparation
from w2dual.measures.benchmark import icnn_dense
from w2dual.measures.pairs import benchmark
from w2dual.measures.preparation import benchmark as prepare

Arrays = dict[str, np.ndarray]


@pytest.fixture
def settings() -> dict[str, Any]:
    """The config's `measures.benchmark`, small, with no mirror and an address nobody answers at."""
    return given.benchmark()


@pytest.fixture(scope="session")
def toy_content() -> tuple[Arrays, dict[str, Any]]:
    """A prepared file's content at n = 3, with random potentials in the published ones' place."""
    potentials = [
        icnn_dense.convexify(icnn_dense.init(jax.random.key(seed), 3, 0.3)) for seed in (1, 2)
    ]
    arrays = benchmark.source_arrays(3)
    arrays |= prepare.fix_constants(potentials, arrays, 20_000, seed=5)
    for version, potential in zip(("v1", "v2"), potentials, strict=True):
        arrays |= icnn_dense.to_arrays(potential, version)
    metadata = {"format": base.FORMAT, "kind": benchmark.KIND, "pair": "hd3", "dimension": 3}
    return arrays, metadata


@pytest.fixture(scope="session")
def toy_pair(toy_content: tuple[Arrays, dict[str, Any]]) -> benchmark.BenchmarkPair:
    return benchmark.from_arrays(*toy_content)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder with the published weights; only for tests marked `benchmark_weights`."""
    folder = Path(os.environ["W2BENCHMARK_MIRROR"])
    if not (folder / "Mix3toMix10" / "2_v1.pt").is_file():
        pytest.fail(
            f"W2BENCHMARK_MIRROR is {folder}, which has no Mix3toMix10/2_v1.pt: point it at the "
            "published weights, or unset it to leave out the tests that need them",
            pytrace=False,
        )
    return folder.resolve()


@pytest.fixture(scope="session")
def prepared(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Return a function from n to the prepared file of the published pair, made once a session."""
    folder = tmp_path_factory.mktemp("prepared")

    def of(dimension: int) -> Path:
        path = folder / f"hd{dimension}.safetensors"
        if not path.exists():
            published = given.benchmark(
                sources=["mirror"],
                mirror=str(mirror),
                # The fewer dimensions, the noisier the averages over them.
                moment_samples=65_536 if dimension <= 16 else 16_384,
            )
            preparation.prepare(f"hd{dimension}", published, path)
        return path

    return of

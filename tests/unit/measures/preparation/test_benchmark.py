"""The job `prepare`: which source serves, what is said when none does, and the frozen constants."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from w2dual import measures, rng
from w2dual.jobs import prepare as prepare_job
from w2dual.measures import preparation
from w2dual.measures.benchmark import icnn_dense
from w2dual.measures.pairs import benchmark
from w2dual.measures.preparation import benchmark as prepare
from w2dual.records import InputError, load_arrays


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("W2BENCHMARK_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")


def run(settings: dict[str, Any], out: Path, pair: str = "hd2") -> None:
    preparation.prepare(pair, settings, out)


def test_no_source_left_says_what_was_tried_and_what_would_help(
    settings: dict[str, Any], tmp_path: Path
):
    with pytest.raises(InputError) as caught:
        run(settings, tmp_path / "results" / "hd2.safetensors")
    said = str(caught.value)
    for part in ("n=2", "mirror: none is configured", "download: http", "no connection"):
        assert part in said
    for help_part in ("W2BENCHMARK_MIRROR", "measures.benchmark.mirror", "`generated`"):
        assert help_part in said
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("named_by", ["measures.benchmark.mirror", "W2BENCHMARK_MIRROR"])
def test_a_missing_mirror_is_an_error_though_another_source_is_left(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_by: str
):
    settings |= {"sources": ["mirror", "download", "generated"]}
    if named_by == "W2BENCHMARK_MIRROR":
        monkeypatch.setenv(named_by, str(tmp_path / "gone"))
    else:
        settings |= {"mirror": str(tmp_path / "gone")}
    with pytest.raises(
        InputError, match=rf"mirror .*gone \(named by {named_by}\): there is no such"
    ):
        run(settings, tmp_path / "hd2.safetensors")
    assert not (tmp_path / "hd2.safetensors").exists()


def test_a_mirror_without_the_dimension_says_so_and_goes_on(
    settings: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "Mix3toMix10").mkdir()
    for version in ("v1", "v2"):
        (tmp_path / "Mix3toMix10" / f"4_{version}.pt").touch()
    settings |= {"mirror": str(tmp_path)}
    with pytest.raises(InputError, match="no source has the benchmark's weights"):
        run(settings, tmp_path / "hd2.safetensors")
    assert "n=2: no weights from mirror: " in caplog.text
    assert "2_v1.pt is missing (mirror named by measures.benchmark.mirror)" in caplog.text


def test_a_damaged_mirror_is_an_error_though_another_source_is_left(
    settings: dict[str, Any], tmp_path: Path
):
    (tmp_path / "Mix3toMix10").mkdir()
    for version in ("v1", "v2"):
        (tmp_path / "Mix3toMix10" / f"2_{version}.pt").write_bytes(b"PK\3\4 cut short")
    settings |= {"sources": ["mirror", "generated"], "mirror": str(tmp_path)}
    with pytest.raises(InputError, match=r"2_v1\.pt: is not the published file"):
        run(settings, tmp_path / "hd2.safetensors")
    assert not (tmp_path / "hd2.safetensors").exists()


def test_a_dimension_without_published_weights_needs_generated(
    settings: dict[str, Any], tmp_path: Path
):
    with pytest.raises(InputError, match=r"n=3: .*\[2, 4, 8.*`generated`"):
        run(settings, tmp_path / "hd3.safetensors", pair="hd3")


@pytest.mark.parametrize("name", ["hd", "hd0", "hd02", "hd-2", "2", "hd2.5", "HD2", "hd2 "])
def test_a_name_that_is_no_benchmark_pair_is_an_error(
    settings: dict[str, Any], tmp_path: Path, name: str
):
    with pytest.raises(InputError, match="pair '"):
        run(settings, tmp_path / "x.safetensors", pair=name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sources": []}, r"measures\.benchmark\.sources"),
        ({"sources": ["cloud"]}, "mirror, download, generated"),
        ({"surprise": 1}, "unknown key `surprise`"),
        ({"moment_samples": 0}, r"moment_samples: 0"),
        ({"moment_samples": True}, "moment_samples` is True; expected a whole number"),
        ({"generated": None}, "generated` None is not a mapping"),
        ({"generated": {"iterations": 5}}, "generated` lacks `batch_size`, "),
    ],
)
def test_settings_are_checked(
    settings: dict[str, Any], tmp_path: Path, change: dict[str, Any], said: str
):
    with pytest.raises(InputError, match=said):
        run(settings | change, tmp_path / "hd2.safetensors")


def test_settings_may_be_a_file(settings: dict[str, Any], tmp_path: Path):
    (tmp_path / "settings.json").write_text(json.dumps(settings | {"sources": ["mirror"]}))
    arguments = argparse.Namespace(
        pair="hd2", settings=str(tmp_path / "settings.json"), out=tmp_path / "hd2.safetensors"
    )
    with pytest.raises(InputError, match="none is configured"):
        prepare_job.main(arguments)


def test_constants_standardise_the_target():
    """Against plain NumPy over the same points, which the stream's name and seed give."""
    potentials = [
        icnn_dense.convexify(icnn_dense.init(jax.random.key(seed), 4, 0.3)) for seed in (1, 2)
    ]
    source = benchmark.source_arrays(4)
    samples = prepare.MOMENT_BATCH + 1000  # the second batch is used in part
    found = prepare.fix_constants(potentials, source, samples, seed=3)

    arrays = source | found
    for version, potential in zip(("v1", "v2"), potentials, strict=True):
        arrays |= icnn_dense.to_arrays(potential, version)
    pair = benchmark.from_arrays(arrays, {"dimension": 4})
    key = rng.stream(3, "moments")

    @jax.jit
    def batch(step: int) -> tuple[jax.Array, jax.Array]:
        x = pair.sample_source(rng.at(key, step), prepare.MOMENT_BATCH)
        return x, pair.ground_truth(x)

    x, y = (
        np.concatenate(parts).astype(np.float64)[:samples]
        for parts in zip(batch(0), batch(1), strict=True)
    )

    # float32 maps, float64 sums.
    np.testing.assert_allclose(y.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(y.var(axis=0).sum(), 4.0, rtol=1e-5)
    np.testing.assert_allclose(found["mean_target"], y.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found["cov_target"], np.cov(y.T, ddof=0), atol=1e-5)
    np.testing.assert_allclose(found["var_target"], np.trace(found["cov_target"]), rtol=1e-12)
    np.testing.assert_allclose(found["var_source"], 4.0, rtol=1e-6)
    np.testing.assert_allclose(found["cost"], 0.5 * np.mean(np.sum((x - y) ** 2, 1)), rtol=1e-5)
    assert all(found[key].dtype == np.float64 for key in ("cov_source", "cost", "var_target"))
    assert found["shift"].dtype == found["scale"].dtype == np.float32


@pytest.mark.benchmark_weights
def test_published_pair_from_the_mirror_named_by_the_environment(
    settings: dict[str, Any],
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setenv("W2BENCHMARK_MIRROR", str(mirror))
    with caplog.at_level(logging.INFO):
        run(settings, tmp_path / "hd2.safetensors")
    assert "weights from mirror, verified" in caplog.text
    arrays, metadata = load_arrays(tmp_path / "hd2.safetensors")
    assert metadata == {
        "format": 1,
        "kind": "benchmark",
        "pair": "hd2",
        "dimension": 2,
        "source": "mirror",
        "files": {
            "2_v1.pt": "3b548155b0d710c5762d03707404a263de1bae7c",
            "2_v2.pt": metadata["files"]["2_v2.pt"],
        },
        "moment_samples": 4096,
        "moment_seed": 0,
        "generated": None,
    }
    assert arrays["v1.quad.2"].shape == (2, 32)
    assert arrays["v1.linear.2"].shape == (32, 2)
    assert arrays["v2.convex.1"].shape == (32, 64)
    assert arrays["strong_convexity"] == np.float32(1e-2)
    pair = measures.load_solved(tmp_path / "hd2.safetensors")
    assert pair.dimension == 2
    assert 0.2 < float(pair.cost) < 0.5


@pytest.mark.benchmark_weights
def test_the_same_file_comes_out_twice(settings: dict[str, Any], mirror: Path, tmp_path: Path):
    settings |= {"mirror": str(mirror)}
    for name in ("first", "second"):
        run(settings, tmp_path / f"{name}.safetensors")
    (first, said), (second, said_again) = (
        load_arrays(tmp_path / f"{name}.safetensors") for name in ("first", "second")
    )
    assert said == said_again
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])

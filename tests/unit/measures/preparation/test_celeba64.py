"""Preparing a pair of images: from files of the published form, and what is refused by name."""

import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tests.unit.measures.benchmark.test_torchfile import (
    archive,
    name_of,
    tuple_of,
    word,
)
from tests.unit.measures.celeba64 import published

from w2dual import measures, rng
from w2dual.measures import preparation
from w2dual.measures.benchmark import files
from w2dual.measures.celeba64 import generated, icnn_conv, weights
from w2dual.measures.pairs import celeba64 as pairs
from w2dual.measures.preparation import celeba64 as prepare
from w2dual.records import InputError, load_arrays

SETTINGS: dict[str, Any] = {
    "kind": "celeba64",
    "sources": ["mirror", "download"],
    "mirror": None,
    "url": "http://127.0.0.1:9/nothing",
    "noise": 0.01,
    "moment_samples": 96,
    "moment_seed": 0,
    "generated": {
        "size": 16,
        "latent": 16,
        "filters": 8,
        "max_filters": 32,
        "widths": [8, 16, 32, 64],
        "pool": 64,
        "iterations": 3,
        "batch_size": 4,
        "learning_rate": 3e-4,
        "cycle_weight": 1e4,
        "pretraining_iterations": 3,
        "pretraining_learning_rate": 1e-3,
        "seed": 0,
    },
}


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("W2BENCHMARK_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(weights, "PUBLISHED", published.SMALL)
    monkeypatch.setattr(weights, "PUBLISHED_WIDTHS", published.WIDTHS)


@pytest.fixture(scope="session")
def contents() -> dict[str, bytes]:
    return published.contents()


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Gives a function that makes files the published ones, and a mirror that holds them."""

    def of(found: dict[str, bytes]) -> dict[str, Any]:
        folder = f"benchmarks/{published.FOLDER}"
        blobs = {f"{folder}/{k}": files.git_blob_sha1(v) for k, v in found.items()}
        monkeypatch.setattr(files, "published_blobs", lambda: blobs)
        return SETTINGS | {"mirror": str(published.write(tmp_path / "mirror", found))}

    return of


def refusal(settings: dict[str, Any], out: Path, pair: str = "celeba64_early") -> str:
    with pytest.raises(InputError) as caught:
        preparation.prepare(pair, settings, out)
    assert not out.exists()
    return str(caught.value)


def test_the_published_repository_has_every_file():
    wanted = [files.GENERATOR_PATH]
    for pair in prepare.PAIRS:
        wanted += files.image_weight_paths(pair)
    assert len(wanted) == 7
    assert set(wanted) <= set(files.published_blobs())


def test_a_pair_from_a_mirror(
    publish, contents, tmp_path: Path, caplog, monkeypatch: pytest.MonkeyPatch
):
    """The networks of the files, the moments of their own sample, and where all comes from."""
    monkeypatch.setattr(prepare, "MOMENT_NUMBERS", 40 * 768)  # the last batch is used in part
    settings, out = publish(contents), tmp_path / "celeba64_early.safetensors"
    generator = tmp_path / "celeba64_generator.safetensors"
    with caplog.at_level(logging.INFO):
        preparation.prepare("celeba64_generator", settings, generator)
        (tmp_path / "mirror" / "CelebA64" / "Final_G.pt").unlink()  # read once, not once a pair
        preparation.prepare("celeba64_early", settings | {"generator": str(generator)}, out)
    assert "CelebA64, early: weights from mirror, verified" in caplog.text
    arrays, metadata = load_arrays(out)
    hashes = {name: files.git_blob_sha1(content) for name, content in contents.items()}
    assert metadata["files"] == hashes
    assert (metadata["source"], metadata["generated"]) == ("mirror", None)
    assert metadata["widths"] == list(published.WIDTHS)
    assert not any(name.startswith("cov") for name in arrays)

    pair = measures.load_pair(out)
    assert isinstance(pair, pairs.CelebaPair)
    assert pair.dimension == 768
    potentials = [
        icnn_conv.from_tensors(
            published.potential_tensors(16, published.WIDTHS, seed), 16, published.WIDTHS, "x"
        )
        for seed in (0, 1)
    ]

    key = rng.stream(0, "celeba64 moments")
    draw = jax.jit(lambda pair, step: pair.sample_source(rng.at(key, step), 40))
    push = jax.jit(lambda f, x: icnn_conv.push(f, 0.01, x))
    x = np.concatenate([draw(pair, step) for step in range(3)])[:96]
    first, second = (np.asarray(push(f, x), np.float64) for f in potentials)
    x, y = x.astype(np.float64), (first + second) / 2
    moments = pair.moments
    np.testing.assert_allclose(moments.mean_source, x.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(moments.mean_target, y.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(moments.var_source, x.var(axis=0).sum(), rtol=1e-6)
    np.testing.assert_allclose(moments.var_target, y.var(axis=0).sum(), rtol=1e-5)
    np.testing.assert_allclose(moments.cost, 0.5 * np.mean(np.sum((x - y) ** 2, 1)), rtol=1e-5)


def truncated(content: bytes) -> bytes:
    return content[:-100]


def altered(content: bytes) -> bytes:
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


@pytest.mark.parametrize("damage", [truncated, altered])
@pytest.mark.parametrize("name", ["Final_G.pt", "Early_v1.pt", "Early_v2.pt"])
def test_a_damaged_file_is_refused(publish, contents, tmp_path: Path, damage, name: str):
    settings = publish(contents)
    published.write(tmp_path / "mirror", {name: damage(contents[name])})
    said = refusal(settings | {"sources": ["mirror", "generated"]}, tmp_path / "out")
    assert f"{name}: is not the published file: its git blob hash is" in said
    assert "truncated or altered" in said


def foreign() -> bytes:
    call = name_of("os", "system") + tuple_of(word("true")) + b"R"
    return archive(b"\x80\x02" + call + b".")


def changed(name: str, index: tuple, value: float) -> bytes:
    tensors = published.potential_tensors(16, published.WIDTHS, 0)
    tensors[name][index] = value
    return published.torch_file(tensors)


def reshaped() -> bytes:
    tensors = published.potential_tensors(16, published.WIDTHS, 0)
    tensors["pos_features.4.weight"] = tensors["pos_features.4.weight"][:, :5].copy()
    return published.torch_file(tensors)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (foreign, "Early_v1.pt: refused: its pickle names `os.system`"),
        (
            lambda: changed("pos_features.1.weight", (0, 0, 0, 0), -0.25),
            "Early_v1.pt: pos_features.1.weight has negative weights, the lowest -0.25",
        ),
        (
            lambda: changed("pos_features.7.bias", (0,), np.nan),
            "Early_v1.pt: pos_features.7.bias holds numbers that are not finite",
        ),
        (reshaped, "Early_v1.pt: pos_features.4.weight is float32 [16, 5, 4, 4]"),
        (lambda: b"\x80\x02" + bytes(64), "Early_v1.pt: is in PyTorch's old format"),
        (lambda: b"PK\x03\x04 cut", "Early_v1.pt: is damaged or no PyTorch weights file"),
        (
            lambda: published.torch_file(published.generator_tensors(published.SMALL)),
            "Early_v1.pt: lacks ['convex_layers.0.weight'",
        ),
    ],
)
def test_a_published_file_that_holds_something_else_is_refused(
    publish, contents, tmp_path: Path, content, said: str
):
    """Beyond the hash: what would be said if the published file itself were such."""
    assert said in refusal(publish(contents | {"Early_v1.pt": content()}), tmp_path / "out")


def test_a_generator_that_is_none_is_refused(publish, contents, tmp_path: Path):
    settings = publish(contents | {"Final_G.pt": contents["Early_v1.pt"]})
    said = refusal(settings, tmp_path / "out", "celeba64_generator")
    assert said.startswith("Final_G.pt: lacks ['fc.weight'")


def test_a_file_that_is_too_large_is_not_even_read(
    publish, contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = publish(contents)
    monkeypatch.setattr(files, "MAX_BYTES", len(contents["Early_v1.pt"]) - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    said = refusal(settings, tmp_path / "out")
    assert "Final_G.pt: has " in said
    assert "larger than the" in said


def test_the_largest_published_file_is_small_enough():
    """A state dict of ResNet_G has 96.18 MB, of ConvICNN64 44.99 MB."""
    assert files.MAX_BYTES > 1.1 * 96.18e6


def test_half_a_pair_is_an_error(publish, contents, tmp_path: Path):
    settings = publish(contents)
    (tmp_path / "mirror" / "CelebA64" / "Early_v2.pt").unlink()
    assert "Early_v2.pt is missing, and " in refusal(settings, tmp_path / "out")


def test_no_source_left_says_what_was_tried(publish, contents, tmp_path: Path):
    said = refusal(publish(contents), tmp_path / "out", "celeba64_late")
    for part in (
        "CelebA64, late: no source has the benchmark's weights",
        "Late_v1.pt is missing (mirror named by",
        "download: http",
        "`generated` in measures.celeba64.sources",
    ):
        assert part in said


@pytest.mark.parametrize("name", ["celeba64", "celeba64_Early", "celeba64_early ", "hd2"])
def test_a_name_that_is_no_pair_of_images_is_an_error(tmp_path: Path, name: str):
    assert "not `celeba64_` and one of early, mid, late" in refusal(SETTINGS, tmp_path / "x", name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sources": []}, "measures.celeba64.sources: [] is not a list of mirror"),
        ({"sources": ["cloud"]}, "mirror, download, generated"),
        ({"surprise": 1}, "unknown key `surprise`"),
        ({"moment_samples": 0}, "measures.celeba64.moment_samples: 0; expected a number above 0"),
        ({"noise": "0.1"}, "`noise` is '0.1'; expected a number"),
        ({"generated": {}}, "`generated` lacks `size`"),
        ({"generator": "none.safetensors"}, "none.safetensors: no such file"),
    ],
)
def test_settings_are_checked(tmp_path: Path, change: dict[str, Any], said: str):
    assert said in refusal(SETTINGS | change, tmp_path / "x")


# ---------------------------------------------------------------- generated


def test_beside_a_drawn_generator_no_published_potential_is_taken(
    publish, contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its pair would have another source than its map was trained for."""
    settings = publish(contents)
    generator = tmp_path / "generator.safetensors"
    drawn = settings | {"sources": ["generated"]}
    preparation.prepare("celeba64_generator", drawn, generator)
    arrays, metadata = load_arrays(generator)
    assert (metadata["source"], metadata["files"]) == ("generated", {})
    assert arrays["generator.fc.weight"].shape == (512, 16)

    said = refusal(settings | {"generator": str(generator)}, tmp_path / "out")
    assert "the generator is one that was drawn" in said
    asked = []

    def trained(which, source, noise, budget) -> generated.Trained:
        asked.append((which, source.architecture, noise))
        potential = icnn_conv.from_tensors(
            published.potential_tensors(16, published.WIDTHS, 0), 16, published.WIDTHS, "x"
        )
        return generated.Trained([potential, potential], [0.1, 0.2], [0.3, 0.4])

    monkeypatch.setattr(generated, "train", trained)
    both = settings | {"generator": str(generator), "sources": ["mirror", "generated"]}
    preparation.prepare("celeba64_early", both, tmp_path / "early")
    assert asked == [("early", published.SMALL, 0.01)]
    _, metadata = load_arrays(tmp_path / "early")
    assert (metadata["source"], metadata["files"]) == ("generated", {})
    assert metadata["generated"]["cycle_mse"] == {"v1": 0.3, "v2": 0.4}


def test_a_pair_is_not_trained_for_a_generator_of_another_size(publish, contents, tmp_path: Path):
    settings = publish({"Final_G.pt": contents["Final_G.pt"]})
    other = settings["generated"] | {"latent": 8}
    said = refusal(
        settings | {"sources": ["mirror", "generated"], "generated": other}, tmp_path / "x"
    )
    assert "latent=16" in said
    assert "measures.celeba64.generated asks for" in said

"""Where named folders are: one place for the workflow, its jobs and the doctor."""

import os
from pathlib import Path

import pytest

from w2dual.config import places
from w2dual.records import InputError


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """A folder to start in and a checkout, of which each has a mirror of its own name."""
    for name in ("started/here", "checkout/there", "started/both", "checkout/both"):
        folder = tmp_path / name / "Mix3toMix10"
        folder.mkdir(parents=True)
        (folder / "2_v1.pt").touch()
    return tmp_path / "started", tmp_path / "checkout"


def test_a_path_of_the_config_is_from_the_checkout(
    trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    started, checkout = trees
    monkeypatch.chdir(started)  # which has no say
    assert places.mirror_folder("there", {}, started, checkout) == (
        checkout / "there",
        "measures.benchmark.mirror",
    )
    full = str(checkout / "there")
    assert places.mirror_folder(full, {"W2BENCHMARK_MIRROR": "here"}, started, checkout) == (
        checkout / "there",
        "measures.benchmark.mirror",
    )
    with pytest.raises(InputError, match="checkout/here .named by measures"):
        places.mirror_folder("here", {}, started, checkout)
    assert places.of_config("a/../pic.png", "../..") == "../../pic.png"
    assert places.of_config("/full/pic.png", "../..") == "/full/pic.png"
    monkeypatch.setenv("HOME", "/home/me")
    assert places.of_config("~/pic.png", "../..") == "/home/me/pic.png"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("here", "started/here"),
        ("./here/", "started/here"),
        ("there", "checkout/there"),
        ("both", "started/both"),
        ("../checkout/there", "checkout/there"),
    ],
)
def test_a_path_of_the_environment_is_from_the_start_or_else_the_checkout(
    trees: tuple[Path, Path], named: str, found: str, monkeypatch: pytest.MonkeyPatch
):
    started, checkout = trees
    environ = {"W2BENCHMARK_MIRROR": named}
    expected = started.parent / found
    assert places.mirror_folder(None, environ, started, checkout) == (
        expected,
        "W2BENCHMARK_MIRROR",
    )
    # What the workflow hands on means the same in any folder.
    handed_on = places.absolute(environ, started, checkout, mirror=True)
    monkeypatch.chdir("/")
    assert places.mirror_folder(None, handed_on, None, Path("/")) == (
        expected,
        "W2BENCHMARK_MIRROR",
    )


@pytest.mark.parametrize("environ", [{}, {"W2BENCHMARK_MIRROR": ""}])
def test_none_may_be_named(trees: tuple[Path, Path], environ: dict[str, str]):
    assert places.mirror_folder(None, environ, *trees) is None
    assert places.absolute(environ, *trees, mirror=True) == {}


def test_what_is_in_neither_folder_is_an_error_that_names_both(trees: tuple[Path, Path]):
    started, checkout = trees
    environ = {"W2BENCHMARK_MIRROR": "nowhere"}
    for look in (
        lambda: places.mirror_folder(None, environ, started, checkout),
        lambda: places.absolute(environ, started, checkout, mirror=True),
    ):
        with pytest.raises(InputError) as caught:
            look()
        assert f"looked for {started / 'nowhere'} and {checkout / 'nowhere'}" in str(caught.value)
    # Of no account where no mirror is going to be used.
    assert places.absolute(environ, started, checkout, mirror=False) == {}


def test_a_mirror_that_cannot_be_read_is_named(
    trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: object) -> None:
        raise PermissionError(13, os.strerror(13))

    (trees[0] / "locked").mkdir()
    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(InputError, match="locked .named by .*: cannot be read: Permission denied"):
        places.mirror_folder(None, {"W2BENCHMARK_MIRROR": "locked"}, *trees)


@pytest.mark.parametrize(
    ("named", "expected"),
    [(".cache/jax", "/start/.cache/jax"), ("/c", "/c"), ("gs://bucket/jax", None), ("", None)],
)
def test_the_compilation_cache_is_one_folder_for_all_jobs(named: str, expected: str | None):
    environ = {"JAX_COMPILATION_CACHE_DIR": named}
    found = places.absolute(environ, Path("/start"), Path("/checkout"), mirror=False)
    assert found.get("JAX_COMPILATION_CACHE_DIR") == expected

"""The commit of the checkout that runs: never another repository's, and if unknown, why."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from tests.unit import small_archive

from w2dual import provenance
from w2dual.archive import source
from w2dual.provenance import NoCheckout
from w2dual.records import InputError


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.email=a@b", "-c", "user.name=x", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def repository(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.txt").write_text(folder.name)
    git(folder, "init", "-q", ".")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-q", "-m", folder.name)
    return git(folder, "rev-parse", "HEAD")


def test_the_checkout_has_its_commit_and_a_plus_where_files_differ(tmp_path: Path):
    own = repository(tmp_path / "own")
    found = provenance.commit(tmp_path / "own")
    assert (found.name, found.unknown) == (own, None)
    assert found.committed == int(git(tmp_path / "own", "log", "-1", "--format=%ct"))
    (tmp_path / "link").symlink_to(tmp_path / "own")
    assert provenance.commit(tmp_path / "link").name == own
    (tmp_path / "own" / "new.txt").write_text("no file of git's")
    assert provenance.commit(tmp_path / "own").name == own
    (tmp_path / "own" / "a.txt").write_text("edited")
    assert provenance.commit(tmp_path / "own").name == own + "+"


def test_a_module_that_git_does_not_track_is_of_no_commit_and_of_the_source(tmp_path: Path):
    """As a new solver that is tried before it is committed: the run may have used it."""
    root = tmp_path / "own"
    repository(root)
    folder = root / "src" / "w2dual" / "conjugate"
    folder.mkdir(parents=True)
    (root / ".gitignore").write_text("__pycache__\n")
    git(root, "add", ".gitignore")
    git(root, "commit", "-q", "-m", "more")
    own = git(root, "rev-parse", "HEAD")
    for name in ("notes.txt", ".mine.py.swp", "__pycache__/mine.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no module")
    assert provenance.commit(root).name == own
    assert source.files(root, root / "runs") == [".gitignore", "a.txt"]
    (folder / "mine.py").write_text("a module")
    assert provenance.commit(root).name == own + "+"
    module = "src/w2dual/conjugate/mine.py"
    assert source.files(root, root / "runs") == [".gitignore", "a.txt", module]


@pytest.mark.parametrize("place", ["tracked", "ignored", "beside", "installed"])
def test_source_within_another_repository_has_no_commit(tmp_path: Path, place: str):
    """As unpacked from a ZIP into a thesis, or installed into the environment of one."""
    repository(tmp_path / "thesis")
    root = tmp_path / "thesis" / ("lib/python3" if place == "installed" else "w2dual-main")
    root.mkdir(parents=True)
    (root / "b.txt").write_text("source")
    if place == "tracked":
        git(tmp_path / "thesis", "add", ".")
        git(tmp_path / "thesis", "commit", "-q", "-m", "more")
    elif place == "ignored":
        (tmp_path / "thesis" / ".gitignore").write_text("w2dual-main\n")
    found = provenance.commit(root)
    assert (found.name, found.committed) == (None, None)
    assert found.unknown == f"{root} is not a git checkout"
    with pytest.raises(NoCheckout):
        provenance.git(root, "ls-files")
    assert source.files(root, root / "runs") == ["b.txt"]


def test_a_git_file_that_points_elsewhere_gives_no_commit(tmp_path: Path):
    repository(tmp_path / "thesis")
    (tmp_path / "w2dual").mkdir()
    (tmp_path / "w2dual" / ".git").write_text(f"gitdir: {tmp_path}/thesis/.git\n")
    git(tmp_path / "thesis", "config", "core.worktree", str(tmp_path / "thesis"))
    found = provenance.commit(tmp_path / "w2dual")
    assert found.name is None
    assert f"lies in that of {tmp_path / 'thesis'}" in str(found.unknown)


def test_a_worktree_has_its_own_commit(tmp_path: Path):
    repository(tmp_path / "own")
    git(tmp_path / "own", "worktree", "add", "-q", str(tmp_path / "tree"))
    (tmp_path / "tree" / "a.txt").write_text("b")
    git(tmp_path / "tree", "commit", "-q", "-a", "-m", "b")
    wanted = git(tmp_path / "tree", "rev-parse", "HEAD")
    assert provenance.commit(tmp_path / "tree").name == wanted


@pytest.mark.parametrize(
    "variable",
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"],
)
def test_a_shell_that_names_another_repository_does_not_mislead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
):
    """As within a git hook, or a prompt that sets them."""
    own = repository(tmp_path / "own")
    repository(tmp_path / "thesis")
    inside = {"GIT_WORK_TREE": "", "GIT_INDEX_FILE": ".git/index"}.get(variable, ".git")
    monkeypatch.setenv(variable, str(tmp_path / "thesis" / inside))
    if variable == "GIT_WORK_TREE":
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "thesis" / ".git"))
    assert provenance.commit(tmp_path / "own").name == own
    assert provenance.git(tmp_path / "own", "ls-files") == "a.txt"


@pytest.fixture
def dubious(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that git takes for another user's."""
    root = tmp_path / "w2dual"
    repository(root)
    if os.geteuid() == 0:
        for path in (root, root / ".git"):
            os.chown(path, 12345, 12345)
    else:  # git's own switch for its tests
        monkeypatch.setattr(
            provenance, "_KEPT", {*provenance._KEPT, "GIT_TEST_ASSUME_DIFFERENT_OWNER"}
        )
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SUDO_UID", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name, raising=False)
    return root


def test_dubious_ownership_is_said_in_gits_words_with_the_remedy(
    dubious: Path, caplog: pytest.LogCaptureFixture
):
    remedy = f"git config --global --add safe.directory {dubious}"
    found = provenance.commit(dubious)
    assert found.name is None
    assert "dubious ownership" in str(found.unknown)
    assert remedy in str(found.unknown)
    with caplog.at_level(logging.WARNING):
        assert provenance.git_commit(dubious) is None
    assert "the commit of the code is unknown: " in caplog.text
    assert remedy in caplog.text
    with pytest.raises(InputError, match="(?s)git rev-parse refuses:.*dubious ownership") as caught:
        source.files(dubious, dubious / "runs")
    assert remedy in str(caught.value)
    # And the remedy is one.
    subprocess.run(remedy.split(), check=True)
    assert provenance.commit(dubious).name is not None
    assert source.files(dubious, dubious / "runs") == ["a.txt"]


def test_a_record_says_why_its_commit_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(provenance.commit, "__defaults__", (tmp_path,))
    with caplog.at_level(logging.WARNING):
        record = provenance.gather("2026-01-01", "2026-01-02")
    assert record["git_commit"] is None
    assert record["git_commit_unknown"] == f"{tmp_path} is not a git checkout"
    assert f"unknown: {tmp_path} is not a git checkout" in caplog.text
    own = repository(tmp_path)
    record = provenance.gather("2026-01-01", "2026-01-02")
    assert (record["git_commit"], record["git_commit_unknown"]) == (own, None)


def test_a_checkout_on_a_machine_without_git_is_an_error_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    repository(tmp_path / "own")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed" in str(provenance.commit(tmp_path / "own").unknown)
    with pytest.raises(InputError, match="git is not installed or not on PATH"):
        source.files(tmp_path / "own", tmp_path)


def test_outputs_within_a_checkout_without_git_are_no_source(tmp_path: Path):
    for name in ("Snakefile", "out/results/a.csv", "runs/smoke/a.csv", "deep/.git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert source.files(tmp_path, tmp_path / "out") == ["Snakefile"]
    assert small_archive.ROOT == provenance.CHECKOUT


MOVES = ("amortization", "conjugate", "entropic", "evaluation", "measures", "paths", "potentials")
"""Rooms whose code makes numbers, besides `training`."""


def test_libraries_are_those_that_are_imported_where_numbers_are_made():
    """And what compiles the programs, and what keeps them."""
    imported: set[str] = set()
    for room in (*MOVES, "training"):
        for path in (provenance.CHECKOUT / "src" / "w2dual" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    imported.add(node.module.partition(".")[0])
    imported -= {*sys.stdlib_module_names, "w2dual", "jaxtyping"}  # of types alone
    packages = metadata.packages_distributions()
    named = {name for module in imported for name in packages[module]}
    assert named | {"jaxlib", "safetensors"} == set(provenance.LIBRARIES)

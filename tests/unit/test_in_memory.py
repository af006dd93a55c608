"""Files of a run: in memory where there is room, and gone once nobody needs them."""

import atexit
import os
import tempfile
from pathlib import Path

import pytest
from tests import in_memory


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())
    monkeypatch.delenv("TMPDIR", raising=False)


def test_files_go_to_a_new_folder_and_those_of_ended_runs_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ended, running, other = (
        tmp_path / name for name in ("w2dual-tests-999999999", f"w2dual-tests-{os.getppid()}", "a")
    )
    for folder in (ended, running, other, tmp_path / f"w2dual-tests-{os.getpid()}"):
        folder.mkdir()  # the last was that of an ended process of the same number
    removed: list[Path] = []
    monkeypatch.setattr(atexit, "register", lambda remove, folder: removed.append(folder))
    folder = in_memory.settle(tmp_path, 1)
    assert folder is not None
    assert removed == [folder]
    assert Path(tempfile.mkdtemp()).parent == folder
    assert os.environ["TMPDIR"] == str(folder)
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, running.name, other.name}


def test_without_room_or_by_anothers_word_they_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = tempfile.gettempdir()
    assert in_memory.settle(tmp_path, 2**80) is None
    assert in_memory.settle(tmp_path / "none", 1) is None
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    assert in_memory.settle(tmp_path, 1) is None
    assert tempfile.gettempdir() == before

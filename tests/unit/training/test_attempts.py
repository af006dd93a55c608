import logging
from pathlib import Path

import pytest

from w2dual.training import attempts


@pytest.fixture(autouse=True)
def _told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("platform.node", lambda: "node1")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def test_the_first_attempt_begins_at_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    attempts.begin(tmp_path, 0)
    assert caplog.messages == ["attempt 1 on node1: begins at step 0"]


def test_each_log_tells_what_the_attempts_before_gained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    for job, step in (("7", 0), ("8", 400), ("9", 400)):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        caplog.clear()
        attempts.begin(tmp_path, step)
    assert caplog.messages == [
        "attempt 1 on node1, SLURM job 7: began at step 0, gained 400 steps",
        "attempt 2 on node1, SLURM job 8: began at step 400, gained NOTHING",
        "attempt 3 on node1, SLURM job 9: begins at step 400",
    ]


def test_a_loss_is_no_gain(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Its checkpoints were refused: the next attempt starts from the beginning."""
    attempts.begin(tmp_path, 400)
    attempts.begin(tmp_path, 0)
    assert "began at step 400, gained NOTHING" in caplog.text


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[1]", '[{"place": "x", "step": "y"}]'])
def test_a_damaged_file_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str):
    (tmp_path / attempts.NAME).write_text(text)
    attempts.begin(tmp_path, 5)
    assert "tells of no attempt" in caplog.text
    assert caplog.messages[-1] == "attempt 1 on node1: begins at step 5"


def test_a_folder_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("")
    attempts.begin(tmp_path / "file", 0)
    assert "cannot be written" in caplog.text

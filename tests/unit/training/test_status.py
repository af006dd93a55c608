"""The table of running and finished cells."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.slow.kill import environment

from w2dual.__main__ import main
from w2dual.records import InputError, write_json
from w2dual.training import status_table
from w2dual.training.status import NAME, CellStatus
from w2dual.training.status_table import duration

RUNNING = CellStatus(
    cell="hd2-mlp-cycle-adam",
    phase="training",
    step=2500,
    iterations=10_000,
    seeds=10,
    diverged_seeds=1,
    spikes=3,
    not_converged=0.0125,
    steps_per_second=12.5,
    headline="L2-UVP %",
    error=3.14159,
    updated=0.0,
)


def write_status(folder: Path, age_s: float = 1.0, **changes: Any) -> Path:
    status = replace(RUNNING, updated=time.time() - age_s, **changes)
    status.write(folder / "checkpoints" / status.cell)
    return folder / "checkpoints" / status.cell / NAME


def seed(status: str, steps: int, spikes: int = 0, **errors: float | None) -> dict[str, Any]:
    """A seed's record, four points of whose training were conjugated, one without success."""
    counts = {"converged": 3, "line_search_failed": 1}
    more = {"spikes": {"steps": spikes}, "training_conjugate_status": counts}
    return {"status": status, "steps": steps} | more | errors


def write_metrics(folder: Path, name: str = "hd4-icnn-cycle-none", **changes: Any) -> Path:
    path = folder / "results" / "train" / name / "metrics.json"
    record = {
        "cell": {"name": name, "settings": {"training": {"iterations": 500}}},
        "seeds": [
            seed("finished", 500, 2, l2_uvp_forward_percent=1.0),
            seed("finished", 500, l2_uvp_forward_percent=2.0),
            seed("diverged", 77, 1, l2_uvp_forward_percent=None),
        ],
        "timing": {"steps_per_second": 1234.5},
        "headline": {"column": "l2_uvp_forward_percent", "label": "L2-UVP %"},
    }
    write_json(path, record | changes)
    return path


def shown(capsys: pytest.CaptureFixture[str], *arguments: Any) -> list[str]:
    assert main(["status", *map(str, arguments)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def row(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, Any]:
    (only,) = json.loads("".join(shown(capsys, folder, "--json")))
    return only


# ---------------------------------------------------------------- what a row says


def test_a_table_of_running_and_finished_cells(tmp_path: Path, capsys):
    write_status(tmp_path)
    write_metrics(tmp_path)
    assert shown(capsys, tmp_path) == [
        "cell                       step  steps/s    left          error  diverged  spikes"
        "  not converged  state",
        "hd2-mlp-cycle-adam   2500/10000     12.5  10 min  L2-UVP % 3.14   1 of 10       3"
        "          1.25%  running",
        "hd4-icnn-cycle-none     500/500     1234       -   L2-UVP % 1.5    1 of 3       3"
        "         25.00%  finished",
    ]


def test_cells_of_either_kind_say_what_their_error_is(tmp_path: Path, capsys):
    write_status(tmp_path, cell="rings-mlp", headline="W2 squared", error=0.012345)
    metrics = {"headline": {"column": "w2_forward", "label": "W2 squared"}}
    seeds = [seed("finished", 500, w2_forward=value) for value in (2.0, 4.0)]
    write_metrics(tmp_path, "gauss8-mlp", seeds=seeds, **metrics)
    write_metrics(tmp_path)
    rows = shown(capsys, tmp_path)[1:]
    assert [row.split("  ")[0] for row in rows] == [
        "rings-mlp",
        "gauss8-mlp",
        "hd4-icnn-cycle-none",
    ]
    for row, words in zip(rows, ("W2 squared 0.0123", "W2 squared 3", "L2-UVP % 1.5"), strict=True):
        assert f"  {words}  " in row


@pytest.mark.parametrize(
    ("changes", "state", "word"),
    [
        ({}, "running", "running"),
        ({"age_s": 290.0}, "running", "running"),
        ({"age_s": 310.0}, "stalled", "stalled"),
        ({"age_s": -60.0}, "running", "running"),  # the clock of another machine
        ({"phase": "pre-training", "step": 0}, "running", "running (pre-training)"),
        ({"phase": "compiling", "age_s": 310.0}, "stalled", "stalled (compiling)"),
        ({"phase": "evaluating", "step": 10_000}, "running", "running (evaluating)"),
        ({"phase": "stopped"}, "stopped", "stopped"),
        ({"phase": "stopped", "age_s": 1e6}, "stopped", "stopped"),
    ],
)
def test_states(tmp_path: Path, capsys, changes: dict[str, Any], state: str, word: str):
    write_status(tmp_path, **changes)
    assert row(capsys, tmp_path)["state"] == state
    assert shown(capsys, tmp_path)[1].endswith(f"  {word}")


def test_time_left_is_that_of_a_running_cell(tmp_path: Path, capsys):
    write_status(tmp_path)
    assert row(capsys, tmp_path)["left_s"] == 7500 / 12.5
    write_status(tmp_path, age_s=400)
    assert row(capsys, tmp_path)["left_s"] is None


def test_a_group_of_seeds_is_no_whole_cell(tmp_path: Path, capsys):
    write_status(tmp_path, group=2, groups=5)
    found = row(capsys, tmp_path)
    assert (found["group"], found["groups"]) == (2, 5)
    assert found["left_s"] == (7500 + 3 * 10_000) / 12.5
    assert shown(capsys, tmp_path)[1].split("  ")[1].strip() == "2500/10000, 2 of 5"


def test_nothing_is_made_up_before_the_first_step(tmp_path: Path, capsys):
    nothing: dict[str, Any] = {"steps_per_second": None, "error": None, "not_converged": None}
    write_status(tmp_path, step=0, spikes=0, headline="", **nothing)
    assert shown(capsys, tmp_path)[1].split() == [
        *("hd2-mlp-cycle-adam", "0/10000", "-", "-", "-", "1", "of", "10", "0", "-", "running"),
    ]


def test_a_finished_cell(tmp_path: Path, capsys):
    path = write_metrics(tmp_path)
    found = row(capsys, tmp_path)
    assert found == {
        "folder": str(tmp_path),
        "cell": "hd4-icnn-cycle-none",
        "state": "finished",
        "phase": None,
        "step": 500,
        "iterations": 500,
        "steps_per_second": 1234.5,
        "left_s": None,
        "headline": "L2-UVP %",
        "error": 1.5,  # of the live seeds
        "diverged_seeds": 1,
        "seeds": 3,
        "spikes": 3,
        "not_converged": 0.25,
        "updated": path.stat().st_mtime,
        "problem": None,
        "group": None,
        "groups": None,
    }


def test_all_seeds_diverged(tmp_path: Path, capsys):
    write_metrics(tmp_path, seeds=[seed("diverged", 77, l2_uvp_forward_percent=None)])
    found = row(capsys, tmp_path)
    assert (found["step"], found["error"]) == (77, None)


def test_of_metrics_and_status_the_later_one_counts(tmp_path: Path, capsys):
    """Metrics first: the cell is trained anew. Status first: killed after its last output."""
    write_metrics(tmp_path, RUNNING.cell)
    time.sleep(0.02)
    write_status(tmp_path)
    assert row(capsys, tmp_path)["state"] == "running"
    time.sleep(0.02)
    write_metrics(tmp_path, RUNNING.cell)
    assert row(capsys, tmp_path)["state"] == "finished"


# ---------------------------------------------------------------- folders


def test_by_default_this_folder_and_each_preset_of_it(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_status(tmp_path)
    write_status(tmp_path / "runs" / "smoke", cell="hd2-mlp-objective-none")
    write_metrics(tmp_path / "runs" / "laptop")
    lines = shown(capsys)
    assert [line.split()[0] for line in lines[1:]] == [
        *(".:", "hd2-mlp-cycle-adam"),
        *("runs/laptop:", "hd4-icnn-cycle-none"),
        *("runs/smoke:", "hd2-mlp-objective-none"),
    ]
    assert [line.split()[0] for line in shown(capsys, "runs/smoke")] == [
        *("cell", "hd2-mlp-objective-none"),
    ]


def test_a_folder_that_is_not_there_ends_with_1(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["status", ".", "runs/smok"])
    message = "w2dual status: runs/smok: no such folder; expected one that a preset works in"
    assert str(caught.value.code).startswith(message)
    assert capsys.readouterr().out == ""


def test_nothing_there_yet(tmp_path: Path, capsys):
    (tmp_path / "checkpoints" / "begun").mkdir(parents=True)
    assert shown(capsys, tmp_path) == [f"No cell has begun to train yet (looked in: {tmp_path})."]
    assert shown(capsys, tmp_path, "--json") == ["[]"]


# ---------------------------------------------------------------- broken files


def without(name: str) -> str:
    return json.dumps({k: v for k, v in ({"format": 3} | asdict(RUNNING)).items() if k != name})


def with_field(name: str, value: Any) -> str:
    return json.dumps({"format": 3} | asdict(RUNNING) | {name: value})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a JSON record"),
        ("[1]", "is not a status file of format 3"),
        (with_field("format", 2), "is not a status file of format 3"),
        (with_field("step", "7"), "`step` is '7'; expected a whole number"),
        (with_field("seeds", True), "`seeds` is True; expected a whole number"),
        (with_field("phase", "resting"), "phase is 'resting'; expected one of"),
        (without("spikes"), "lacks `spikes`"),
        (without("not_converged"), "lacks `not_converged`"),
        (with_field("updated", "now"), "`updated` is 'now'; expected a number"),
        (without("cell"), "lacks `cell`"),
        (without("headline"), "lacks `headline`"),
        (without("error"), "lacks `error`"),
        (without("steps_per_second"), "lacks `steps_per_second`"),
    ],
)
def test_a_broken_status_file_is_named_and_hides_no_other(
    tmp_path: Path, capsys, text: str, reason: str
):
    path = write_status(tmp_path)
    path.write_text(text)
    write_metrics(tmp_path)
    lines = shown(capsys, tmp_path)
    assert lines[1].split() == [RUNNING.cell, *"-------", "broken"]
    assert lines[2].endswith("finished")
    assert lines[3].startswith(f"broken: {path}: {reason}")
    found = json.loads(shown(capsys, tmp_path, "--json")[0])
    assert [item["state"] for item in found] == ["broken", "finished"]
    with pytest.raises(InputError, match=NAME):
        CellStatus.read(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": [1]}, "field `seeds` holds something else than records"),
        ({"seeds": [seed("finished", 1)]}, "field `l2_uvp_forward_percent` is None"),
        ({"seeds": [{"status": "diverged", "steps": 1}]}, "field `spikes` is None"),
        ({"timing": {}}, "field `steps_per_second` is None; expected a number"),
        ({"headline": None}, "field `headline` is None; expected dict"),
        ({"headline": {"column": "w2_forward", "label": "W2"}}, "field `w2_forward` is None"),
        ({"headline": {"column": "l2_uvp_forward_percent"}}, "field `label` is None; expected str"),
        ({"cell": {"name": "a"}}, "field `settings` is None; expected dict"),
    ],
)
def test_broken_metrics_are_named(tmp_path: Path, capsys, changes: dict[str, Any], reason: str):
    path = write_metrics(tmp_path, **changes)
    assert shown(capsys, tmp_path)[-1].startswith(f"broken: {path}: {reason}")


# ---------------------------------------------------------------- again and again


class Tables:
    """Stands in for `time`: no waiting, something changes, and Ctrl-C in the end."""

    def __init__(self, folder: Path, times: int) -> None:
        self.folder, self.left, self.waited = folder, times, []

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        write_status(self.folder, step=5000 + len(self.waited))

    def time(self) -> float:
        return time.time()


@pytest.mark.parametrize("terminal", [True, False])
def test_watching(tmp_path: Path, capsys, monkeypatch, terminal: bool):
    write_status(tmp_path)
    tables = Tables(tmp_path, 3)
    monkeypatch.setattr(status_table, "time", tables)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert main(["status", str(tmp_path), "--watch", "7.5"]) == 0
    out = capsys.readouterr().out
    assert tables.waited == [7.5] * 3
    assert [word.split("/")[0] for word in out.split() if word.endswith("/10000")] == [
        *("2500", "5001", "5002"),
    ]
    assert out.count(status_table.CLEAR) == (3 if terminal else 0)


def test_watching_as_json_gives_a_line_each_time(tmp_path: Path, capsys, monkeypatch):
    write_status(tmp_path)
    tables = Tables(tmp_path, 2)
    monkeypatch.setattr(status_table, "time", tables)
    assert main(["status", "--json", "--watch", "--", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert [json.loads(line)[0]["step"] for line in lines if line] == [2500, 5001]
    assert tables.waited == [2.0, 2.0]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
def test_watching_without_a_pause_is_refused(tmp_path: Path, capsys, seconds: str):
    assert main(["status", str(tmp_path), f"--watch={seconds}"]) == 2
    assert "expected seconds above 0" in capsys.readouterr().err


# ---------------------------------------------------------------- the rest


def test_the_job_is_light(tmp_path: Path):
    code = (
        "import sys; from w2dual.__main__ import main; assert main(['status']) == 0; "
        "sys.exit(str([name for name in ('jax', 'flax', 'pandas') if name in sys.modules]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr.strip() == "[]"
    assert run.stdout == "No cell has begun to train yet (looked in: .).\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (3569, "59 min"),
        (3599, "1 h 00 min"),
        (11_100, "3 h 05 min"),
        (187_000, "2 d 03 h"),
    ],
)
def test_durations(seconds: float, words: str):
    assert duration(seconds) == words


def test_a_status_comes_back_as_it_was_written(tmp_path: Path):
    status = replace(RUNNING, updated=123.25, steps_per_second=None)
    status.write(tmp_path / "cell")
    assert CellStatus.read(tmp_path / "cell" / NAME) == status
    assert [path.name for path in (tmp_path / "cell").iterdir()] == [NAME]

"""The command line: which job runs, what is printed, exit codes, errors without a traceback."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from w2dual import __version__
from w2dual.__main__ import main
from w2dual.config.reader import load
from w2dual.jobs.dispatch import module_of
from w2dual.measures.pairs import gaussian
from w2dual.records import save_arrays
from w2dual.subcommands import JOBS

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "config.yaml")
SMOKE = str(ROOT / "presets" / "smoke.yaml")
CELL = "hd2-mlp-regression-lbfgs"


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    environment.pop("JAX_NUMPY_RANK_PROMOTION")  # of these tests alone
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


# ---------------------------------------------------------------- as a user's shell sees it


def test_bad_input_ends_with_2_and_no_traceback():
    run = python("-m", "w2dual", "cells", "hd2-mlp-regresion-lbfgs")
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("w2dual cells: there is no cell hd2-mlp-regresion-lbfgs in config")
    assert f"did you mean {CELL}" in run.stderr
    assert "Traceback" not in run.stderr


def test_light_jobs_start_without_jax_and_pandas():
    code = (
        "import sys; from w2dual.__main__ import main; assert main(['cells']) == 0; "
        "sys.exit(str([name for name in ('jax', 'flax', 'pandas') if name in sys.modules]))"
    )
    run = python("-c", code)
    assert run.stderr.strip() == "[]"
    assert len(run.stdout.splitlines()) == 128 + 80 + 32 + 21 + 24 + 9 + 5 + 12 + 9


def test_output_for_which_there_is_no_room_is_an_error_without_traceback():
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "w2dual", "cells"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 2
    said = run.stderr.splitlines()[-1]
    assert said.startswith("w2dual cells: standard output or a temporary file: cannot be")
    assert "No space left on device" in run.stderr
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr


# ---------------------------------------------------------------- dispatch


@pytest.mark.parametrize("job", JOBS)
def test_every_job_has_help_and_a_main(job: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main([job, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: w2dual {job} ")
    assert callable(module_of(job).main)


def test_help_lists_the_jobs(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    listed = re.findall(r"^    (\S+)", capsys.readouterr().out, re.MULTILINE)
    assert listed == list(JOBS)


def test_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"w2dual {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: JOB"),
        (["bake"], "invalid choice: 'bake'"),
        (["train"], "required: --cell, --preset, --measures, --metrics, --history, --params"),
        (["cells", "--config"], "unrecognized|expected at least one argument"),
        (["push", "--map", "sideways"], "invalid choice: 'sideways'"),
    ],
)
def test_wrong_usage_ends_with_2(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert re.search(message, capsys.readouterr().err)


def test_errors_of_the_program_are_not_hidden(monkeypatch: pytest.MonkeyPatch):
    """A fault of ours is no InputError: it keeps its traceback, and the exit code is 1."""

    def fail(args: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("w2dual.jobs.cells.main", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        main(["cells"])


@pytest.mark.parametrize(
    ("platforms", "remedy"),
    [
        ("CPU", "JAX_PLATFORMS=CPU asks for it; unset it, or set it to cpu or cuda, in lower case"),
        ("", "set JAX_PLATFORMS=cpu to do without a GPU"),
    ],
)
def test_a_device_that_is_not_there_is_an_error_without_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], platforms: str, remedy: str
):
    def fail(args: object) -> None:
        raise RuntimeError(
            "Unable to initialize backend 'CPU': Backend 'CPU' is not in the list of known "
            "backends. (set JAX_PLATFORMS='' to automatically choose an available backend)"
        )

    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    monkeypatch.setattr("w2dual.jobs.cells.main", fail)
    assert main(["cells"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("w2dual cells: JAX cannot start: Unable to initialize backend 'CPU': ")
    assert error.endswith(f"not in the list of known backends; {remedy}\n")


# ---------------------------------------------------------------- cells


def test_cells_prints_names_or_one_record(capsys: pytest.CaptureFixture[str]):
    assert main(["cells", "--configfile", CONFIG, SMOKE]) == 0
    names = capsys.readouterr().out.splitlines()
    assert len(names) == 6 + 1 + 5 + 1 + 1 + 1 + 1 + 1
    assert CELL in names
    assert main(["cells", CELL, "--configfile", CONFIG, SMOKE]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["name"] == CELL
    training = load([CONFIG, SMOKE])["hd"]["training"]
    assert record["settings"]["training"]["iterations"] == training["iterations"]
    plane = next(name for name in names if name.startswith("images-mlp_image-"))
    assert main(["cells", plane, "--configfile", CONFIG, SMOKE]) == 0
    assert json.loads(capsys.readouterr().out)["pair"] == "images"


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("hd: {training: {iteration: 5}}\n", "config key `hd.training.iteration` is not known"),
        ("hd: {seeds: [0]}\nhd: {}\n", "line 2: duplicate key `hd`"),
        ("- a\n", "bad.yaml"),
    ],
)
def test_cells_of_a_bad_config(
    tmp_path: Path, yaml: str, message: str, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "bad.yaml").write_text(yaml)
    assert main(["cells", "--configfile", CONFIG, str(tmp_path / "bad.yaml")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("w2dual cells: ")
    assert message in captured.err


# ---------------------------------------------------------------- train, before it trains


@pytest.fixture
def record(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["cells", CELL, "--configfile", CONFIG, SMOKE]) == 0
    return capsys.readouterr().out


def train(folder: Path, cell: str, measures: Path) -> int:
    outputs = {"--metrics": "metrics.json", "--history": "history.csv", "--params": "p.safetensors"}
    argv = ["train", "--cell", cell, "--preset", '{"name": "a"}', "--measures", str(measures)]
    for option, name in outputs.items():
        argv += [option, str(folder / "out" / name)]
    return main(argv)


@pytest.mark.parametrize("kind", ["missing", "dimension", "damaged"])
def test_train_refuses_measures_that_do_not_fit(
    tmp_path: Path, record: str, kind: str, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "pair.safetensors"
    message = {
        "missing": "no such file",
        "dimension": "R^3",
        "damaged": "is truncated or no safetensors file",
    }[kind]
    if kind != "missing":
        save_arrays(path, *gaussian.draw(3, seed=0))
    if kind == "damaged":
        path.write_bytes(path.read_bytes()[:-5])
    assert train(tmp_path, record, path) == 2
    error = capsys.readouterr().err
    assert str(path) in error
    assert message in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-10], "is not JSON"),
        (lambda text: text.replace('"pair": "hd2", ', ""), "cell record: lacks `pair`"),
        (
            lambda text: re.sub('"iterations": [0-9]+', '"iterations": 5', text),
            "is not that of its",
        ),
        (lambda text: "none.json", "none.json: no such file"),
    ],
    ids=["json", "field", "hash", "file"],
)
def test_train_refuses_a_cell_it_cannot_read(
    tmp_path: Path, record: str, change, message: str, capsys: pytest.CaptureFixture[str]
):
    assert train(tmp_path, change(record), tmp_path / "pair.safetensors") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

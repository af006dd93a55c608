"""A training job that is stopped, killed or damaged goes on to the numbers of one left alone."""

import json
import logging
import random
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.slow.kill import OUTPUTS, Job, alone, differences
from tests.unit import settings

from w2dual import closure, measures, provenance
from w2dual.__main__ import main
from w2dual.config.cells import Cell, modules, pair_modules
from w2dual.evaluation import cell as cell_evaluation
from w2dual.measures.pairs import gaussian
from w2dual.records import InputError, load_arrays, read_json, save_arrays, write_json
from w2dual.training import checkpoint, methods
from w2dual.training import files as trained_files
from w2dual.training import run as training
from w2dual.training.checkpoint import Checkpoints, Snapshot, read, write
from w2dual.training.health import Totals
from w2dual.training.methods.dual import DualState
from w2dual.training.progress import Progress, Timing, chunk_steps
from w2dual.training.status import NAME, CellStatus
from w2dual.training.stopping import Stopped, StopSignals

SETTINGS = {
    "potential": {"kind": "mlp", "activation": "elu", "hidden": [8, 8]},
    "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [8, 8]},
    "amortization": {"kind": "objective"},
    "solver": {"kind": "none"},
    "seeds": [0, 3],
    "training": settings.training(batch_size=16, iterations=24, learning_rate=5e-3),
    "pretraining": settings.pretraining(iterations=20, min_iterations=10),
    "evaluation": {"samples": 128, "history_every": 8, "history_samples": 64},
    "logging": {"every": 4},
}
ORIGIN = dict.fromkeys(checkpoint.WORDS, "ours")
EVERY_CHUNK = 1e-9  # s


def cell(**sections) -> Cell:
    changed = json.loads(json.dumps(SETTINGS))
    for section, changes in sections.items():
        changed[section] |= changes
    return Cell("tiny", "hd2", 2, "mlp", "objective", "none", changed)


class Interrupted(Exception):
    pass


class Dying(Checkpoints):
    """Ends the training after some chunks, after the checkpoint or before it."""

    chunks = 10**6
    saves = True

    def tend(self, snapshot: Snapshot, signum: int | None, last: bool = False) -> None:
        self.chunks -= 1
        if self.chunks == 0 and not self.saves:
            raise Interrupted
        super().tend(snapshot, signum, last)
        if self.chunks == 0:
            raise Interrupted


def remembered(function, key):
    """Call a function once for each key of its arguments."""
    known = {}

    def call(*arguments):
        name = key(*arguments)
        if name not in known:  # with the arguments, so that no other object gets their `id`
            known[name] = (function(*arguments), arguments)
        return known[name][0]

    return call


def moving(settings, dimension: int) -> str:
    """What moves a bit of a state, of a cell's settings."""
    rest = {name: settings[name] for name in settings.keys() - {"evaluation", "logging"}}
    return json.dumps([rest, dimension], sort_keys=True)


@pytest.fixture(scope="module", autouse=True)
def traced_once():
    """Attempts of a cell in this process share its programs, and what it is pre-trained to.

    To trace these again would be most of an attempt. `test_killed_jobs` does it, in processes.
    """
    pretrained = remembered(training.initial_params, lambda method, cell: (id(method), cell.seeds))

    def copies(*arguments):
        params, report = pretrained(*arguments)
        # The loop takes its state over.
        return jax.tree.map(lambda leaf: jnp.array(np.asarray(leaf)), params), dict(report)

    def of_loop(method, seeds, size, _, pair, shared):
        return id(method), tuple(seeds), size, id(pair), shared

    def of_evaluator(method, most, block):
        return id(method), most, block

    metrics = cell_evaluation.l2_uvp
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "make", remembered(methods.make, moving))
        patch.setattr(training, "initial_params", copies)
        patch.setattr(training, "compile_loop", remembered(training.compile_loop, of_loop))
        patch.setattr(metrics, "evaluator", remembered(metrics.evaluator, of_evaluator))
        yield


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair") / "hd2.safetensors"
    save_arrays(path, *gaussian.draw(2, 0))
    return path


@pytest.fixture(scope="module")
def pair(pair_file: Path) -> measures.SolvedPair:
    return measures.load_solved(pair_file)


@pytest.fixture(scope="module")
def base(pair: measures.SolvedPair) -> training.TrainingResult:
    return training.train(cell(), pair, cell_evaluation.make)


def same_leaves(one, other) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def untimed(history: list[dict]) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds_per_step"} for row in history]


def same_result(one: training.TrainingResult, other: training.TrainingResult) -> None:
    same_leaves(one.state, other.state)
    assert untimed(one.history) == untimed(other.history)
    assert one.seeds == other.seeds


# ---------------------------------------------------------------- resuming


@pytest.mark.parametrize("saves", [True, False], ids=["after", "before"])
def test_resumed_equals_uninterrupted_bit_for_bit(base, pair, tmp_path: Path, saves: bool):
    """Attempts die after their 1st, 2nd and 3rd chunk, `saves` it or not; the last one finishes."""
    for chunks in (1, 2, 3):
        dying = Dying(tmp_path, ORIGIN, every_s=EVERY_CHUNK)
        dying.chunks, dying.saves = chunks, saves
        with pytest.raises(Interrupted):
            training.train(cell(), pair, cell_evaluation.make, dying)
        assert CellStatus.read(tmp_path / NAME).phase == "stopped"
    result = training.train(
        cell(), pair, cell_evaluation.make, Checkpoints(tmp_path, ORIGIN, every_s=EVERY_CHUNK)
    )
    same_result(result, base)
    # Each attempt begins with a chunk of one step, then goes on to a multiple of 4. What an
    # attempt did after its last checkpoint is done again.
    expected = [1, 4, 12] if saves else [0, 1, 4]
    assert result.timing["resumed_at_steps"] == expected
    assert base.timing["resumed_at_steps"] == []
    losses = {k: v for k, v in base.timing.items() if "loss" in k}
    assert losses.items() <= result.timing.items()
    assert result.timing["training_s"] > 0


def test_a_cell_killed_after_its_last_step_is_only_evaluated(base, pair, tmp_path: Path, caplog):
    training.train(cell(), pair, cell_evaluation.make, Checkpoints(tmp_path, ORIGIN))
    caplog.set_level(logging.INFO)
    result = training.train(cell(), pair, cell_evaluation.make, Checkpoints(tmp_path, ORIGIN))
    same_result(result, base)
    assert result.timing["resumed_at_steps"] == [24]
    assert "pre-trained" not in caplog.text
    assert "steps/s" not in caplog.text


def test_diverged_seeds_and_numbers_that_are_not_finite_come_back(pair, tmp_path: Path):
    state = training.train(cell(), pair, cell_evaluation.make).state
    state = state._replace(diverged_at=state.diverged_at.at[1].set(7))
    rows = [{"seed": 2**60 + 1, "step": 0, "value": float("nan")}]
    rows += [{"seed": 0, "step": 1, "value": float("-inf")}]
    timing = Timing({"loss": float("nan"), "steps": 3}, 1.5, 2.5, [0.1, 0.2], [4])
    totals = Totals.start(2)
    totals.incidents.spikes[1] = 2**40  # more than the device could count
    totals.incidents.largest[1] = np.inf
    write(tmp_path / "a.safetensors", ORIGIN, Snapshot(state, rows, timing, totals))
    found = read(tmp_path / "a.safetensors", ORIGIN, state)
    same_leaves(found.state, state)
    assert repr(found.history) == repr(rows)
    assert repr(found.timing) == repr(timing)
    same_leaves(found.totals.incidents, totals.incidents)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_after_the_chunk_with_a_checkpoint(pair, tmp_path: Path, signum: int):
    class Signalled(Checkpoints):
        def tend(self, snapshot: Snapshot, signum_: int | None, last: bool = False) -> None:
            if int(snapshot.state.step) == 4 and signum_ is None:
                signal.raise_signal(signum)  # as if it came while the next chunk was running
            super().tend(snapshot, signum_, last)

    before = signal.getsignal(signum)
    with pytest.raises(Stopped) as caught:
        training.train(cell(), pair, cell_evaluation.make, Signalled(tmp_path, ORIGIN))
    name = signal.Signals(signum).name
    assert str(caught.value) == (
        f"stopped at step 8 by {name}, 8 steps further than this attempt began; "
        "the same command resumes from there"
    )
    assert (tmp_path / "step-000000008.safetensors").is_file()
    assert signal.getsignal(signum) == before


def test_the_job_ends_with_128_and_the_signal(monkeypatch, pair_file: Path, tmp_path, caplog):
    def stop(*_):
        raise Stopped(12, 8, signal.SIGUSR1, 8)

    monkeypatch.setattr(training, "train", stop)
    out = [f"--{name}={tmp_path / name}" for name in ("metrics", "history", "params")]
    argv = ["train", "--cell", json.dumps(cell().to_json()), "--preset", "{}", *out]
    with pytest.raises(SystemExit) as caught:
        main([*argv, "--measures", str(pair_file), "--checkpoints", str(tmp_path / "c")])
    assert caught.value.code == 128 + signal.SIGUSR1
    assert (
        "stopped at step 12 by SIGUSR1, 4 steps further than this attempt began; "
        "the same command resumes from step 8"
    ) in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_signals_are_left_alone_without_checkpoints():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals(active=False):
        assert signal.getsignal(signal.SIGTERM) == before


# ---------------------------------------------------------------- what moves no bit


def test_how_often_things_happen_moves_no_bit(base, pair, tmp_path: Path, caplog):
    """Chunks of a step, checkpoints after each, other intervals of progress lines, evaluations."""
    caplog.set_level(logging.INFO)
    often = cell(logging={"every": 5}, evaluation={"history_every": 4})
    checkpoints = Checkpoints(tmp_path, ORIGIN, every_s=EVERY_CHUNK, keep=1)
    result = training.train(often, pair, cell_evaluation.make, checkpoints, chunk_s=1e-9)
    assert sum("steps/s" in line for line in caplog.messages) == 24
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-000000024.safetensors"]
    same_leaves(result.state, base.state)
    others = [seed | {"best": None} for seed in base.seeds]  # which is of other evaluations
    assert [seed | {"best": None} for seed in result.seeds] == others
    assert [row["step"] for row in result.history[::2]] == [0, 4, 8, 12, 16, 20, 24]
    common = [row for row in result.history if row["step"] % 8 == 0]
    assert untimed(common) == untimed(base.history)


# ---------------------------------------------------------------- refused files


@pytest.fixture(scope="module")
def written(pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of one cell, at the steps 4 and 8."""
    folder = tmp_path_factory.mktemp("written")
    dying = Dying(folder, ORIGIN, every_s=EVERY_CHUNK)
    dying.chunks = 3
    with pytest.raises(Interrupted):
        training.train(cell(), pair, cell_evaluation.make, dying)
    assert [p.name for p in sorted(folder.glob("step-*"))] == [
        "step-000000004.safetensors",
        "step-000000008.safetensors",
    ]
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "checkpoints")


def truncate(path: Path, state) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path, state) -> None:
    path.write_bytes(b"")


def flip(path: Path, state) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def other(name: str):
    def change(path: Path, state) -> None:
        write(path, ORIGIN | {name: "theirs"}, read(path, ORIGIN, state))

    return change


def other_format(path: Path, state) -> None:
    snapshot = read(path, ORIGIN, state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", 0)
        write(path, ORIGIN, snapshot)


def other_shapes(path: Path, state) -> None:
    snapshot = read(path, ORIGIN, state)
    first = snapshot.state.diverged_at[:1]
    write(path, ORIGIN, replace(snapshot, state=snapshot.state._replace(diverged_at=first)))


REFUSED = {
    "truncated": (truncate, "is truncated or no safetensors file"),
    "empty": (empty, "is truncated or no safetensors file"),
    "flipped": (flip, "is damaged: its content has not the SHA-256 it was written with"),
    "format": (other_format, f"its format is 0, here it is {checkpoint.FORMAT}"),
    "shapes": (other_shapes, "its arrays are not those of the cell's networks and optimiser"),
} | {
    name: (other(name), f"its {word} is 'theirs', here it is 'ours'")
    for name, word in checkpoint.WORDS.items()
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_and_the_older_one_taken(base, folder, caplog, case: str):
    caplog.set_level(logging.INFO)
    change, reason = REFUSED[case]
    newest = folder / "step-000000008.safetensors"
    change(newest, base.state)
    content = newest.read_bytes()
    snapshot = Checkpoints(folder, ORIGIN).resume(base.state)
    assert snapshot is not None
    assert int(snapshot.state.step) == 4
    assert f"checkpoint refused: {newest}: {reason}" in caplog.text
    assert f"resumes from {folder / 'step-000000004.safetensors'}, step 4" in caplog.text
    assert newest.read_bytes() == content


def test_after_a_refusal_the_numbers_are_the_same(base, pair, folder: Path, caplog):
    newest = folder / "step-000000008.safetensors"
    flip(newest, base.state)
    result = training.train(
        cell(), pair, cell_evaluation.make, Checkpoints(folder, ORIGIN, every_s=EVERY_CHUNK)
    )
    same_result(result, base)
    assert result.timing["resumed_at_steps"] == [4]
    assert f"{newest}: was refused, and is now replaced" in caplog.text


def test_training_starts_from_the_beginning_where_nothing_is_left(base, folder: Path, caplog):
    for path in folder.glob("step-*"):
        truncate(path, base.state)
    assert Checkpoints(folder, ORIGIN).resume(base.state) is None
    assert len(caplog.messages) == 3
    assert caplog.messages[-1] == "no checkpoint can be used: training starts from the beginning"


def test_an_empty_or_missing_folder_is_no_matter(base, tmp_path: Path, caplog):
    assert Checkpoints(tmp_path, ORIGIN).resume(base.state) is None
    assert Checkpoints(tmp_path / "none", ORIGIN).resume(base.state) is None
    assert caplog.messages == []


def test_every_flipped_bit_is_found(base, folder: Path):
    path = folder / "step-000000008.safetensors"
    content = path.read_bytes()
    draws = random.Random(0)  # noqa: S311
    header = 8 + int.from_bytes(content[:8], "little")
    places = list(range(8)) + draws.sample(range(8, header), 250)
    places += draws.sample(range(header, len(content)), 50)
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << draws.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(InputError, match=path.name):
            read(path, ORIGIN, base.state)


def test_every_truncation_is_found(base, folder: Path):
    path = folder / "step-000000008.safetensors"
    content = path.read_bytes()
    for size in [*range(20), *range(20, len(content), 997), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=path.name):
            read(path, ORIGIN, base.state)


CODE = "0123456789abcdef"


def test_the_origin_tells_apart_what_can_move_a_bit():
    ours = checkpoint.origin(cell(), "a" * 64, CODE)
    assert ours.keys() == checkpoint.WORDS.keys()
    assert None not in ours.values()
    assert ours == checkpoint.origin(cell(), "a" * 64, CODE)
    assert ours["measures"] != checkpoint.origin(cell(), "b" * 64, CODE)["measures"]
    assert ours["code"] != checkpoint.origin(cell(), "a" * 64, CODE[::-1])["code"]
    changed = cell(training={"b1": 0.6})
    assert ours["cell"] != checkpoint.origin(changed, "a" * 64, CODE)["cell"]


@pytest.mark.parametrize("name", provenance.LIBRARIES)
def test_the_origin_has_the_version_of_each_library(name, monkeypatch):
    ours = checkpoint.origin(cell(), "a" * 64, CODE)
    monkeypatch.setattr(provenance.metadata, "version", lambda found: f"of {found}")
    assert checkpoint.origin(cell(), "a" * 64, CODE)[name] == f"of {name}" != ours[name]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, in which the tests write modules of their own."""
    to = tmp_path / "w2dual"
    shutil.copytree(closure.PACKAGE, to, ignore=shutil.ignore_patterns("__pycache__"))
    return to


OWN = {  # section of a cell's settings -> folder of the modules of such kinds
    "potential": "potentials",
    "amortization": "amortization",
    "solver": "conjugate",
    "pair": "measures/pairs",
}


def of_kind(package: Path, **kinds: str) -> str:
    """What a checkpoint says of the code that trains a cell of these kinds."""
    changed = {section: {"kind": kind} for section, kind in kinds.items() if section != "pair"}
    found = ["evaluation.train_cell", *modules(cell(**changed), package)]
    return closure.digest(found + pair_modules(kinds.get("pair", "gaussian"), package), package)


@pytest.mark.parametrize("section", OWN)
def test_a_new_extension_leaves_the_checkpoints_of_other_cells_alone(package: Path, section: str):
    """docs/extending.md: what is there already resumes; so do cells in training."""
    before = of_kind(package)
    mine = package / OWN[section] / "mine.py"
    mine.write_text("from w2dual.conjugate import base\n")
    assert of_kind(package) == before
    # To a cell of that kind the file counts, whatever Python runs of it.
    first = of_kind(package, **{section: "mine"})
    assert first != before
    mine.write_text(mine.read_text() + "SCALE = 2.0\n")
    second = of_kind(package, **{section: "mine"})
    assert second != first
    mine.write_text(mine.read_text() + "# a comment\n")
    assert of_kind(package, **{section: "mine"}) == second
    assert of_kind(package) == before


def test_what_an_extension_imports_counts_too(package: Path):
    (package / "conjugate" / "mine.py").write_text(
        "def make(settings):\n    from . import helper\n"
    )
    helper = package / "conjugate" / "helper.py"
    helper.write_text("TOLERANCE = 1\n")
    before, others = of_kind(package, solver="mine"), of_kind(package, solver="lbfgs")
    helper.write_text("TOLERANCE = 2\n")
    assert of_kind(package, solver="mine") != before
    assert of_kind(package, solver="lbfgs") == others


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("training/run.py", True),
        ("training/progress.py", True),
        ("environment.py", True),
        ("measures/pairs/gaussian.py", True),
        ("potentials/mlp.py", True),
        ("potentials/icnn.py", False),
        ("conjugate/lbfgs.py", False),
        ("conjugate/adam.py", False),
        ("measures/pairs/benchmark.py", False),
        ("measures/preparation/benchmark.py", False),
        ("report/tables/hd.py", False),
        ("config/reader.py", False),
    ],
)
def test_a_changed_constant_counts_where_the_cell_loads_it(package: Path, file: str, counts: bool):
    before = of_kind(package)
    with (package / file).open("a", encoding="utf-8") as stream:
        stream.write("\nADDED = 1\n")
    assert (of_kind(package) != before) == counts


def test_the_origin_covers_the_variables_that_move_numbers(monkeypatch: pytest.MonkeyPatch):
    before = checkpoint.origin(cell(), "a" * 64, CODE)
    for name in ("CUBLAS_WORKSPACE_CONFIG", "LIBTPU_INIT_ARGS", "NPROC", "XLA_FLAGS"):
        with monkeypatch.context() as patched:
            patched.setenv(name, "--other")
            assert checkpoint.origin(cell(), "a" * 64, CODE) != before, name
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert checkpoint.origin(cell(), "a" * 64, CODE) == before


# ---------------------------------------------------------------- how many are kept


def files(folder: Path) -> list[int]:
    return [int(path.stem[5:]) for path in sorted(folder.glob("step-*"))]


def test_the_newest_are_kept_and_refused_ones_do_not_count(base, folder: Path, caplog):
    truncate(folder / "step-000000004.safetensors", base.state)
    checkpoints = Checkpoints(folder, ORIGIN, keep=2)
    snapshot = checkpoints.resume(base.state)
    assert snapshot is not None
    kept = []
    for step in (12, 16, 20):
        snapshot.state = snapshot.state._replace(step=np.int32(step))
        checkpoints.save(snapshot)
        kept.append(files(folder))
    assert kept == [[4, 8, 12], [4, 12, 16], [4, 16, 20]]
    caplog.clear()
    checkpoints.remove()
    assert not folder.exists()
    refused = folder / "step-000000004.safetensors"
    assert caplog.messages == [
        f"{refused}: was refused, and is removed since its cell has finished"
    ]


def test_what_is_not_ours_stays_in_the_folder(folder: Path, caplog):
    (folder / "notes.txt").write_text("mine")
    (folder / ".step-000000008.77-0123abcd.safetensors").write_text("what a killed job left")
    Checkpoints(folder, ORIGIN).remove()
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert f"{folder}: stays" in caplog.text


def test_training_goes_on_where_no_checkpoint_can_be_written(base, pair, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    result = training.train(
        cell(), pair, cell_evaluation.make, Checkpoints(tmp_path / "file" / "in", ORIGIN)
    )
    same_result(result, base)
    assert "no checkpoint at step 24: " in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_s": 0.0}, "checkpoints every 0.0 s: expected seconds above 0"),
        ({"every_s": float("nan")}, "checkpoints every nan s"),
        ({"keep": 0}, "checkpoints to keep: 0; expected 1 or more"),
    ],
)
def test_options_out_of_range(tmp_path: Path, options: dict, message: str):
    with pytest.raises(InputError, match=message):
        Checkpoints(tmp_path, ORIGIN, **options)


# ---------------------------------------------------------------- how long a chunk is


@pytest.mark.parametrize(
    ("step", "rate", "expected"),
    [
        (0, None, 1),  # to learn the rate
        (1, 0.001, 99),  # to the next multiple of 100
        (100, 0.001, 50),  # of 150
        (150, 0.001, 50),
        (200, 0.5, 40),  # 20 s
        (240, 0.5, 40),
        (280, 0.5, 20),
        (300, 60.0, 1),  # a step is longer than that
        (1001, 0.001, 4),  # the end
    ],
)
def test_chunk_lengths(step: int, rate: float | None, expected: int):
    steps = chunk_steps(
        step, iterations=1005, boundaries=(100, 150), seconds_per_step=rate, limit_s=20.0
    )
    assert steps == expected


def test_a_chunk_is_planned_by_the_rate_of_the_one_before():
    far = {"training": {"iterations": 10**6}, "logging": {"every": 10**5}}
    progress = Progress(cell(**far, evaluation={"history_every": 10**5}), None)
    state = DualState(None, None, np.int32(0), np.array([-1, -1]))  # type: ignore[arg-type]
    lengths = []
    for seconds_per_step in (8.0, 0.01, 0.5, 0.01, 2.0):
        lengths.append(progress.next_chunk(20.0))
        state = state._replace(step=state.step + lengths[-1])
        progress.add(state, lengths[-1] * seconds_per_step)
    assert lengths == [1, 2, 2000, 40, 2000]
    # The first one warmed up, so its rate is not among those of the median.
    assert progress.timing.rates == pytest.approx([0.01, 0.5, 0.01, 2.0])
    assert progress.timing.training_s == pytest.approx(8 + 0.02 + 1000 + 0.4 + 4000)


# ---------------------------------------------------------------- real jobs


def wait_for(job: Job, process: subprocess.Popen, words: str, times: int) -> None:
    """Wait until the job has said something for the given time; fail where it has ended."""
    deadline = time.monotonic() + 120
    while job.said().count(words) < times:
        assert process.poll() is None, job.said()
        assert time.monotonic() < deadline, job.said()
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.slow
def test_killed_jobs_end_with_the_same_bits(pair_file: Path, tmp_path: Path):
    """Three SIGKILLs and a SIGTERM, each at some moment after the loop was compiled."""
    long = cell(
        training={"iterations": 12_000},
        evaluation={"history_every": 2000},
        logging={"every": 100},
    )
    write_json(tmp_path / "cell.json", long.to_json())
    reference = Job(tmp_path / "cell.json", pair_file, tmp_path / "alone", every_s=0.05)
    alone(reference)

    job = replace(reference, folder=tmp_path / "killed")
    moments = random.Random(1)  # noqa: S311
    ends = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL]
    for i, signum in enumerate(ends, start=1):
        before = job.said().count("steps/s")
        process = job.start()
        wait_for(job, process, "compiled in", i)
        if signum == signal.SIGTERM:  # which ends a job at once before its first step
            wait_for(job, process, "steps/s", before + 1)
        time.sleep(moments.uniform(0.0, 0.3))
        process.send_signal(signum)
        code = process.wait(timeout=60)
        if signum == signal.SIGTERM:
            assert code == 128 + signal.SIGTERM
            assert "by SIGTERM, " in job.said()
            assert CellStatus.read(job.checkpoints / NAME).phase == "stopped"
        else:
            assert code == -signal.SIGKILL
        assert not list((job.folder / "out").glob("*"))
    assert job.start().wait(timeout=120) == 0
    assert differences(reference.folder / "out", job.folder / "out") == []
    assert not job.checkpoints.exists()
    assert len(job.resumed()) == 4
    timing = read_json(job.folder / "out" / "metrics.json")["timing"]
    assert timing["resumed_at_steps"][-1] == job.resumed()[-1] > 0
    _, of, seeds = trained_files.load_params(job.folder / "out" / "params.safetensors")
    assert (of, seeds) == (long, [0, 3])


def test_the_comparison_can_fail(pair_file: Path, tmp_path: Path):
    """What the test above relies on finds the least change in each of the files."""
    folder = tmp_path / "one"
    argv = [f"--{name}={folder / file}" for name, file in OUTPUTS.items()]
    argv += ["--cell", json.dumps(cell().to_json()), "--preset", "{}"]
    argv += ["--measures", str(pair_file), "--checkpoints", str(tmp_path / "c")]
    assert main(["train", *argv]) == 0
    assert not (tmp_path / "c").exists()
    other = shutil.copytree(folder, tmp_path / "other")
    assert differences(folder, other) == []

    arrays, metadata = load_arrays(other / OUTPUTS["params"])
    bias = arrays["potential/dense_0/bias"]
    bias[0, 0] = np.nextafter(bias[0, 0], np.float32(1))
    save_arrays(other / OUTPUTS["params"], arrays, metadata)
    history = (other / OUTPUTS["history"]).read_text().splitlines(keepends=True)
    (other / OUTPUTS["history"]).write_text("".join(history[:-1]))
    record = read_json(other / OUTPUTS["metrics"])
    record["seeds"][1]["cosine_forward"] += 1e-15
    record["timing"]["pretraining_steps"] += 1
    write_json(other / OUTPUTS["metrics"], record)
    assert differences(folder, other) == [
        "params: potential/dense_0/bias differs",
        "history: differs (8 and 7 rows)",
        "metrics: seeds differs",
        "metrics: pretraining_steps differs",
    ]
    (other / "partial").write_text("")
    assert differences(folder, other)[0].startswith(f"{other}: holds ")

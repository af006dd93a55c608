"""The job `push`: points in, mapped points out, and what it says of points it cannot map."""

import copy
import csv
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit.settings import pretraining, solver, training

from w2dual.__main__ import main
from w2dual.config.cells import Cell
from w2dual.conjugate import Status
from w2dual.evaluation import push
from w2dual.evaluation.points import read_points
from w2dual.measures.pairs import gaussian
from w2dual.measures.preparation import synthetic as preparation
from w2dual.records import load_arrays, save_arrays, write_json
from w2dual.training.files import FORMAT, flatten, load_params
from w2dual.training.methods.dual import DualProblem, Networks
from w2dual.training.methods.dual import make as make_problem

SEEDS = [3, 8]
CELL = Cell(
    name="hd2-icnn-regression-lbfgs",
    pair="hd2",
    dimension=2,
    potential="icnn",
    amortization="regression",
    solver="lbfgs",
    settings={
        "potential": {"kind": "icnn", "activation": "elu", "actnorm": True, "hidden": [4, 3]},
        "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [4]},
        "amortization": {"kind": "regression"},
        "solver": solver(history=5, gradient_tolerance=1e-3, decrease_tolerance=0.0, trials=30),
        "seeds": SEEDS,
        "training": training(),
        "pretraining": pretraining(),
        "evaluation": {"samples": 64, "history_every": 10, "history_samples": 32},
        "logging": {"every": 10},
    },
)
POINTS = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("measures") / "gaussian2.safetensors"
    save_arrays(path, *gaussian.draw(2, seed=1))
    return path


@pytest.fixture(scope="module")
def trained() -> tuple[DualProblem, Networks]:
    """Two seeds' networks as they are before any training."""
    problem = make_problem(CELL.settings, CELL.dimension)
    assert problem.model is not None
    points = jax.random.normal(jax.random.key(0), (64, 2))
    seeds = [
        [
            jax.jit(module.init)(jax.random.key(seed), points)["params"]
            for module in (problem.potential, problem.model)
        ]
        for seed in SEEDS
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seeds)
    return problem, Networks(*stacked)


@pytest.fixture(scope="module")
def params_file(
    trained: tuple[DualProblem, Networks], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("cell") / "params.safetensors"
    metadata = {"format": FORMAT, "cell": CELL.to_json(), "seeds": SEEDS}
    save_arrays(path, flatten(trained[1]), metadata)
    return path


Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `push` on points in a file, to `out` in the test's folder; gives the exit code."""

    def run(points: Path, *arguments: object, out: str = "out.npy") -> int:
        given = ["--points", points, "--out", tmp_path / out, *arguments]
        return main(["push", *map(str, given)])

    return run


def as_npy(folder: Path, points: np.ndarray = POINTS) -> Path:
    np.save(folder / "points.npy", points)
    return folder / "points.npy"


def as_text(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "points.csv"
    path.write_text(text, encoding=encoding)
    return path


def lines(points: np.ndarray) -> str:
    return "".join(",".join(str(value) for value in row) + "\n" for row in points)


# ---------------------------------------------------------------- the ground truth


@pytest.mark.parametrize("name", ["ground-truth", "ground-truth-unstandardised"])
@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_ground_truth_is_the_closed_form(
    tmp_path: Path, pair_file: Path, run: Run, name: str, suffix: str
):
    points = as_npy(tmp_path) if suffix == ".npy" else as_text(tmp_path, "a,b\n" + lines(POINTS))
    assert run(points, "--map", name, "--measures", pair_file, out=f"out{suffix}") == 0
    arrays, _ = load_arrays(pair_file)
    expected = POINTS @ arrays["matrix"].T + arrays["offset"]
    mapped = read_points(tmp_path / f"out{suffix}")
    # Single precision.
    np.testing.assert_allclose(mapped, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bound", [("BLOCK", 4), ("BLOCK_NUMBERS", 8)])
@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_blocks_leave_no_seam(
    monkeypatch: pytest.MonkeyPatch, pair_file: Path, count: int, bound: tuple[str, int]
):
    points = np.random.default_rng(count).normal(size=(count, 2)).astype(np.float32)
    whole = push.ground_truth(pair_file, points, standardised=True)
    monkeypatch.setattr(push, *bound)
    blocks = push.ground_truth(pair_file, points, standardised=True)
    assert blocks.shape == points.shape
    np.testing.assert_allclose(blocks, whole, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- a trained cell


def test_parameters_go_there_and_back(trained: tuple[DualProblem, Networks], params_file: Path):
    params, cell, seeds = load_params(params_file)
    assert cell == CELL
    assert seeds == SEEDS
    assert jax.tree.structure(params) == jax.tree.structure(trained[1])
    jax.tree.map(np.testing.assert_array_equal, params, trained[1])


def test_parameters_without_an_amortization_model_go_there_and_back(
    trained: tuple[DualProblem, Networks], tmp_path: Path
):
    path = tmp_path / "params.safetensors"
    alone = Networks(trained[1].potential, None)
    settings = CELL.settings | {"amortization": {"kind": "none"}}
    record = dataclasses.replace(CELL, settings=settings).to_json()
    save_arrays(path, flatten(alone), {"format": FORMAT, "cell": record, "seeds": SEEDS})
    params, _, _ = load_params(path)
    assert params.model is None
    jax.tree.map(np.testing.assert_array_equal, params.potential, alone.potential)


@pytest.mark.parametrize(("seed", "index"), [(None, 0), (3, 0), (8, 1)])
def test_forward_is_the_gradient_of_the_seeds_potential(
    tmp_path: Path,
    trained: tuple[DualProblem, Networks],
    params_file: Path,
    run: Run,
    seed: int | None,
    index: int,
):
    which = [] if seed is None else ["--seed", seed]
    assert run(as_npy(tmp_path), "--map", "forward", "--params", params_file, *which) == 0
    problem, params = trained
    single = jax.tree.map(lambda leaf: leaf[index], params.potential)

    def potential(x: jax.Array) -> jax.Array:
        value = problem.potential.apply({"params": single}, x[None])
        assert isinstance(value, jax.Array)
        return value[0]

    expected = jax.jit(jax.vmap(jax.grad(potential)))(POINTS)
    # Single precision, through few layers.
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, rtol=1e-4, atol=1e-5)


def test_inverse_undoes_forward(tmp_path: Path, params_file: Path, run: Run):
    arguments = ["--params", params_file, "--seed", 8]
    assert run(as_npy(tmp_path), "--map", "forward", *arguments) == 0
    forward = tmp_path / "out.npy"
    assert run(forward, "--map", "inverse", *arguments, out="back.npy") == 0
    # The solver stops at |grad J| < 1e-3, and f, convex plus ||x||^2 / 2, has a Hessian >= 1.
    np.testing.assert_allclose(np.load(tmp_path / "back.npy"), POINTS, atol=2e-3)
    assert np.abs(np.load(forward) - POINTS).max() > 0.05  # so that there was something to undo


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "ground-truth"], "--map ground-truth needs --measures FILE"),
        (["--map", "forward"], "--map forward needs --params FILE"),
        (["--map", "inverse", "--measures", "PAIR"], "--map inverse needs --params FILE"),
        (["--map", "forward", "--params", "CELL", "--measures", "PAIR"], "no use of --measures"),
        (["--map", "ground-truth", "--measures", "PAIR", "--seed", "0"], "no use of --seed"),
        (["--map", "forward", "--params", "CELL", "--seed", "5"], "has no seed 5; it has 3, 8"),
        (["--map", "forward", "--params", "PAIR"], "holds no parameters of a trained cell"),
        (["--map", "ground-truth", "--measures", "CELL"], "is not a prepared pair"),
        (["--map", "ground-truth", "--measures", "none.safetensors"], "no such file"),
    ],
)
def test_arguments_that_do_not_fit(
    tmp_path: Path,
    pair_file: Path,
    params_file: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
):
    files = {"PAIR": str(pair_file), "CELL": str(params_file)}
    assert run(as_npy(tmp_path), *(files.get(item, item) for item in arguments)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("name", push.GROUND_TRUTH)
def test_a_pair_whose_map_is_not_known_has_no_ground_truth(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], name: str
):
    path = tmp_path / "rings.safetensors"
    laws = {"source": "rings", "target": "gauss_1_unit"}
    save_arrays(path, *preparation.prepare("rings", laws))
    assert run(as_npy(tmp_path), "--map", name, "--measures", path) == 2
    error = capsys.readouterr().err
    assert f"{path}: the optimal map of this pair is not known" in error
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("name", ["ground-truth", "forward"])
def test_points_of_another_dimension(
    tmp_path: Path,
    pair_file: Path,
    params_file: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    name: str,
):
    source = ["--measures", pair_file] if name == "ground-truth" else ["--params", params_file]
    assert run(as_npy(tmp_path, np.zeros((4, 3))), "--map", name, *source) == 2
    error = capsys.readouterr().err
    assert "the points have 3 coordinates" in error
    assert "points of R^2" in error
    assert not (tmp_path / "out.npy").exists()


def test_out_of_another_kind(
    tmp_path: Path, pair_file: Path, run: Run, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--map", "ground-truth", "--measures", pair_file]
    assert run(as_npy(tmp_path), *arguments, out="out.txt") == 2
    assert "expected a .npy, a .csv or a .png file" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"points.npy"}


def test_a_png_of_points_that_are_no_images_leaves_no_status(
    tmp_path: Path, params_file: Path, run: Run, capsys: pytest.CaptureFixture[str]
):
    """The status of points is worth something beside them alone."""
    arguments = ["--map", "inverse", "--params", params_file, "--status", tmp_path / "s.csv"]
    before = {path.name for path in tmp_path.iterdir()} | {"points.npy"}
    assert run(as_npy(tmp_path), *arguments, out="out.png") == 2
    assert "out.png" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_map_that_gives_no_finite_values_writes_nothing(
    tmp_path: Path,
    trained: tuple[DualProblem, Networks],
    run: Run,
    capsys: pytest.CaptureFixture[str],
):
    path = tmp_path / "params.safetensors"
    diverged = jax.tree.map(lambda leaf: leaf * np.nan, trained[1])
    metadata = {"format": FORMAT, "cell": CELL.to_json(), "seeds": SEEDS}
    save_arrays(path, flatten(diverged), metadata)
    assert run(as_npy(tmp_path), "--map", "forward", "--params", path) == 2
    assert "not finite" in capsys.readouterr().err
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("missing", ["--points", "--out", "--map"])
def test_required_arguments(missing: str, capsys: pytest.CaptureFixture[str]):
    given = {"--points": "a.npy", "--out": "b.npy", "--map": "forward"}
    argv = [text for key, value in given.items() if key != missing for text in (key, value)]
    with pytest.raises(SystemExit) as caught:
        main(["push", *argv])
    assert caught.value.code == 2
    assert missing in capsys.readouterr().err


# ---------------------------------------------------------------- how the conjugates fared


def cell_file(
    folder: Path, trained: tuple[DualProblem, Networks], **changes: object
) -> tuple[Path, DualProblem]:
    """The untrained cell with another solver."""
    loss = {"kind": "objective"} if changes["kind"] == "none" else CELL.settings["amortization"]
    settings = CELL.settings | {"solver": changes, "amortization": loss}
    cell = dataclasses.replace(CELL, settings=settings)
    path = folder / "other.safetensors"
    save_arrays(
        path, flatten(trained[1]), {"format": FORMAT, "cell": cell.to_json(), "seeds": SEEDS}
    )
    return path, make_problem(cell.settings, cell.dimension)


HURRY = 40
FAR = np.concatenate([POINTS, [[30.0, -60.0], [100.0, 300.0]]]).astype(np.float32)


@pytest.fixture(scope="module")
def hurried(
    tmp_path_factory: pytest.TempPathFactory, trained: tuple[DualProblem, Networks]
) -> tuple[Path, np.ndarray]:
    """A cell whose solver has too few iterations for far points, and the statuses of FAR."""
    folder = tmp_path_factory.mktemp("hurried")
    path, problem = cell_file(folder, trained, **solver("adam", max_iterations=HURRY))
    one = jax.tree.map(lambda leaf: leaf[:1], trained[1])
    result = jax.jit(lambda y: problem.conjugate(one, y[None]))(jnp.asarray(FAR))
    statuses = np.asarray(result.status[0])
    assert {Status.ITERATION_LIMIT, Status.CONVERGED} <= set(statuses.tolist())
    return path, statuses


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_points_that_converged_are_counted(
    tmp_path: Path, params_file: Path, run: Run, caplog: pytest.LogCaptureFixture
):
    status = tmp_path / "status.csv"
    arguments = ["--map", "inverse", "--params", params_file, "--require-converged"]
    with caplog.at_level(logging.INFO):
        assert run(as_npy(tmp_path), *arguments, "--status", status) == 0
    assert "--map inverse: 7 of 7 conjugates converged; max|grad f(x) - y|: median" in caplog.text
    assert "WARNING" not in [record.levelname for record in caplog.records]
    assert [row["status"] for row in table(status)] == ["converged"] * 7
    assert all(float(row["gradient_norm"]) < 1e-3 for row in table(status))


def test_points_that_did_not_converge_are_counted_and_named(
    tmp_path: Path,
    hurried: tuple[Path, np.ndarray],
    run: Run,
    caplog: pytest.LogCaptureFixture,
):
    path, statuses = hurried
    status = tmp_path / "status.csv"
    assert run(as_npy(tmp_path, FAR), "--map", "inverse", "--params", path, "--status", status) == 0
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    lost = int((statuses != Status.CONVERGED).sum())
    assert f"{lost} of {len(FAR)} points are NOT x_hat(y)" in said
    assert f"{int((statuses == Status.ITERATION_LIMIT).sum())} at the iteration limit" in said
    rows = table(status)
    assert [row["point"] for row in rows] == [str(i) for i in range(len(FAR))]
    assert [row["status"] for row in rows] == [Status(s).name.lower() for s in statuses]
    worst = max(rows, key=lambda row: float(row["gradient_norm"]))
    assert f"the worst is point {worst['point']} " in said
    assert f"worst {float(worst['gradient_norm']):.3g}" in said
    assert len(np.load(tmp_path / "out.npy")) == len(FAR)


def test_a_cell_without_a_solver_gives_a_guess_and_says_so(
    tmp_path: Path,
    trained: tuple[DualProblem, Networks],
    run: Run,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
):
    path, problem = cell_file(tmp_path, trained, kind="none")
    arguments = ["--map", "inverse", "--params", path, "--status", tmp_path / "status.csv"]
    assert run(as_npy(tmp_path), *arguments) == 0
    assert "no conjugate solver: 7 points are x_tilde(y), the amortization model" in caplog.text
    assert [row["status"] for row in table(tmp_path / "status.csv")] == ["guess"] * 7
    one = jax.tree.map(lambda leaf: leaf[:1], trained[1])
    guess = jax.jit(lambda y: problem.amortized(one, y[None])[0])(POINTS)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), guess, rtol=1e-4, atol=1e-5)
    off = jax.jit(lambda x: problem.push(one, x[None])[0])(guess) - POINTS
    norms = [float(row["gradient_norm"]) for row in table(tmp_path / "status.csv")]
    np.testing.assert_allclose(norms, np.abs(off).max(axis=1), rtol=1e-3, atol=1e-5)
    assert run(as_npy(tmp_path), *arguments, "--require-converged") == 2
    assert "no conjugate solver" in capsys.readouterr().err


def test_blocks_keep_the_statuses_of_all_points(
    monkeypatch: pytest.MonkeyPatch, hurried: tuple[Path, np.ndarray]
):
    monkeypatch.setattr(push, "BLOCK", 4)
    _, found = push.inverse(hurried[0], FAR, None)
    assert found is not None
    result, has_solver = found
    assert has_solver
    np.testing.assert_array_equal(result.status, hurried[1])


@pytest.mark.parametrize(
    ("option", "value"), [("--status", ["s.csv"]), ("--require-converged", [])]
)
def test_only_the_inverse_has_statuses(
    tmp_path: Path,
    params_file: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: list[str],
):
    arguments = ["--map", "forward", "--params", params_file, option, *value]
    assert run(as_npy(tmp_path), *arguments) == 2
    assert f"--map forward makes no use of {option}" in capsys.readouterr().err


def test_a_header_of_numbers_is_asked_for(
    tmp_path: Path, pair_file: Path, run: Run, capsys: pytest.CaptureFixture[str]
):
    points = as_text(tmp_path, "0,1\n0.5,-1.0\n1.5,0.25\n")
    arguments = ["--map", "ground-truth", "--measures", pair_file]
    assert run(points, *arguments) == 2
    assert "line 1: 0,1 is what pandas writes" in capsys.readouterr().err
    for header, count in (("yes", 2), ("no", 3)):
        assert run(points, *arguments, "--header", header) == 0
        assert len(np.load(tmp_path / "out.npy")) == count


# ---------------------------------------------------------------- seeds that diverged


@pytest.fixture
def beside(tmp_path: Path, params_file: Path) -> Callable[..., Path]:
    """The trained cell with metrics beside it, by which some seeds have diverged."""

    def make(*diverged: int, digest: str = CELL.hash) -> Path:
        path = tmp_path / "params.safetensors"
        path.write_bytes(params_file.read_bytes())
        statuses = {seed: "diverged" if seed in diverged else "finished" for seed in SEEDS}
        entries = [{"seed": seed, "status": status} for seed, status in statuses.items()]
        write_json(tmp_path / "metrics.json", {"cell": {"hash": digest}, "seeds": entries})
        return path

    return make


@pytest.mark.parametrize(
    ("diverged", "asked", "mapped_by", "said"),
    [
        ([], [], 3, None),
        ([8], [], 3, "seed 3; diverged: 8"),
        ([3], [], 8, "seed 8; diverged: 3"),
        ([3], ["--seed", 8], 8, "seed 8; diverged: 3"),
        ([3], ["--seed", 3], 3, "seed 3 has DIVERGED"),
        ([3, 8], ["--seed", 8], 8, "seed 8 has DIVERGED"),
    ],
)
def test_a_seed_that_has_diverged_is_not_mapped_by_without_a_word(
    tmp_path: Path,
    beside: Callable[..., Path],
    run: Run,
    caplog: pytest.LogCaptureFixture,
    diverged: list[int],
    asked: list[object],
    mapped_by: int,
    said: str | None,
):
    path = beside(*diverged)
    assert run(as_npy(tmp_path), "--map", "forward", "--params", path, *asked) == 0
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == (said is not None)
    assert said is None or said in warned[0]
    expected = push.forward(path, POINTS, mapped_by)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


def test_a_cell_all_of_whose_seeds_have_diverged_gives_no_map(
    tmp_path: Path, beside: Callable[..., Path], run: Run, capsys: pytest.CaptureFixture[str]
):
    assert run(as_npy(tmp_path), "--map", "inverse", "--params", beside(*SEEDS)) == 2
    assert "all seeds have diverged; --seed 3 maps by" in capsys.readouterr().err
    assert not (tmp_path / "out.npy").exists()


def test_metrics_of_another_cell_are_named(
    tmp_path: Path, beside: Callable[..., Path], run: Run, capsys: pytest.CaptureFixture[str]
):
    assert run(as_npy(tmp_path), "--map", "forward", "--params", beside(digest="0" * 64)) == 2
    assert "metrics.json is of another cell than" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "4294967299", "3.0", "0_3"])
def test_a_seed_that_is_none_is_refused(
    tmp_path: Path, params_file: Path, run: Run, seed: str, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--map", "forward", "--params", params_file, f"--seed={seed}"]
    with pytest.raises(SystemExit) as caught:
        run(as_npy(tmp_path), *arguments)
    assert caught.value.code == 2
    assert "expected a whole number from 0 to" in capsys.readouterr().err


def test_a_cell_of_an_older_version_is_named(
    tmp_path: Path,
    trained: tuple[DualProblem, Networks],
    run: Run,
    capsys: pytest.CaptureFixture[str],
):
    record = copy.deepcopy(CELL.to_json())
    del record["settings"]["training"]["divergence_every"]
    path = tmp_path / "old.safetensors"
    save_arrays(path, flatten(trained[1]), {"format": FORMAT, "cell": record, "seeds": SEEDS})
    assert run(as_npy(tmp_path), "--map", "forward", "--params", path) == 2
    said = capsys.readouterr().err
    assert f"{path}: cell {CELL.name}: `settings.training` lacks `divergence_every`" in said
    assert "another version" in said

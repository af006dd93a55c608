"""The job `push`: points in, mapped points out, and what it says of points it cannot map."""

import os
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit.settings import solver, training

from w2dual import push
from w2dual.__main__ import main
from w2dual.cells import Cell
from w2dual.dual import DualProblem, Networks, make_problem
from w2dual.measures import gaussian, synthetic
from w2dual.records import InputError, load_arrays, save_arrays
from w2dual.train_job import FORMAT, flatten, load_params

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
    },
)
POINTS = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("measures") / "gaussian2.safetensors"
    save_arrays(path, *gaussian.make(2, seed=1))
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


# ---------------------------------------------------------------- files of points


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_reads_npy(tmp_path: Path, dtype: type):
    points = (10 * POINTS).astype(dtype)
    read = push.read_points(as_npy(tmp_path, points))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, points.astype(np.float32))


@pytest.mark.parametrize("header", ["", "x0,x1\n", "a b,\n", '"the first","2nd"\n'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_reads_csv_with_and_without_a_header(tmp_path: Path, header: str, encoding: str):
    path = as_text(tmp_path, header + lines(POINTS) + "\n\n", encoding)
    np.testing.assert_array_equal(push.read_points(path), POINTS)


def test_reads_csv_with_carriage_returns_and_one_column(tmp_path: Path):
    path = as_text(tmp_path, "x\r\n1\r\n 2.5e-1 \r\n")
    np.testing.assert_array_equal(push.read_points(path), [[1.0], [0.25]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no points"),
        ("x0,x1\n", "holds no points"),
        ("1,2\n3\n", "cannot be read as a table"),
        ("1,2\n3,four\n", "could not convert string to float: 'four'"),
        ("1,2\nx0,x1\n", "could not convert"),
        # No header: it has a number, so it is a point that is misspelt.
        ("1.0,2,O\n3,4,5\n", "could not convert string to float: 'O'"),
        ("1;2\n3;4\n", "could not convert"),
        ("x0,x1\n1,2\nnan,4\n", "point 1 .counted from 0. has a coordinate not finite"),
        ("inf,2\n", "point 0"),
    ],
    ids=[
        "empty",
        "header-only",
        "ragged",
        "word",
        "late-header",
        "misspelt",
        "semicolons",
        "nan",
        "inf",
    ],
)
def test_csv_that_is_no_table_is_named(tmp_path: Path, text: str, message: str):
    path = as_text(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        push.read_points(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.zeros((0, 2)), r"shape \(0, 2\).* at least one point"),
        (np.zeros((2, 0)), r"shape \(2, 0\)"),
        (np.array([["a", "b"]]), "type <U1"),
        (np.zeros((2, 2), complex), "type complex128"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), "point 1"),
    ],
    ids=["vector", "cube", "no-points", "no-coordinates", "text", "complex", "nan"],
)
def test_npy_that_is_no_table_is_named(tmp_path: Path, points: np.ndarray, message: str):
    path = as_npy(tmp_path, points)
    with pytest.raises(InputError, match=message) as caught:
        push.read_points(path)
    assert str(path) in str(caught.value)


def test_npy_of_objects_is_not_unpickled(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "points.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        push.read_points(tmp_path / "points.npy")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "archive"])
def test_damaged_npy_is_named(tmp_path: Path, kind: str):
    path = as_npy(tmp_path)
    if kind == "archive":
        with path.open("wb") as stream:
            np.savez(stream, POINTS)
    else:
        content = path.read_bytes()
        path.write_bytes({"truncated": content[:-3], "empty": b"", "text": b"1,2\n"}[kind])
    with pytest.raises(InputError, match="cannot be read"):
        push.read_points(path)


def test_other_files_are_named(tmp_path: Path):
    (tmp_path / "points.txt").write_text("1,2\n")
    with pytest.raises(InputError, match=r"expected a \.npy or a \.csv"):
        push.read_points(tmp_path / "points.txt")
    with pytest.raises(InputError, match="no such file"):
        push.read_points(tmp_path / "none.npy")


@pytest.mark.parametrize("name", ["out.npy", "out.csv"])
def test_written_points_are_read_again(tmp_path: Path, name: str):
    push.write_points(tmp_path / "new" / name, POINTS)
    # %.9g tells any two numbers of single precision apart.
    np.testing.assert_array_equal(push.read_points(tmp_path / "new" / name), POINTS)


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
    mapped = push.read_points(tmp_path / f"out{suffix}")
    # Single precision.
    np.testing.assert_allclose(mapped, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch, pair_file: Path, count: int):
    points = np.random.default_rng(count).normal(size=(count, 2)).astype(np.float32)
    whole = push.ground_truth(pair_file, points, standardised=True)
    monkeypatch.setattr(push, "BLOCK", 4)
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
    save_arrays(path, flatten(alone), {"format": FORMAT, "cell": CELL.to_json(), "seeds": SEEDS})
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
        (["--map", "ground-truth", "--measures", "CELL"], "is no prepared pair"),
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
    save_arrays(path, *synthetic.prepare("rings", laws))
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
    assert "expected a .npy or a .csv file" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"points.npy"}


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

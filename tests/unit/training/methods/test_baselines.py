"""The benchmark's own methods: losses, gradients and plans of the published code; a few steps."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from tests.unit import settings
from tests.unit.training.methods.drawn import Drawn

from w2dual import measures
from w2dual.config.cells import Cell
from w2dual.evaluation import cell as cell_evaluation
from w2dual.measures.benchmark import icnn_dense
from w2dual.measures.pairs import gaussian
from w2dual.records import InputError, save_arrays
from w2dual.training import methods, run
from w2dual.training.checkpoint import WORDS, Checkpoints
from w2dual.training.methods import maximin, mm_batch, mmv1, wgan_qc
from w2dual.training.methods.base import Looped, Reversed, Swapped
from w2dual.training.methods.two_potentials import Both

ORIGIN: dict[str, str | None] = dict.fromkeys(WORDS, "x")
METHODS: dict[str, dict[str, Any]] = {
    "w2": {"kind": "w2gn", "weight": 4.0},
    "mm": {"kind": "maximin", "inner": 3},
    "mm_r": {"kind": "maximin", "inner": 2, "reversed": True},
    "mmv1": {
        "kind": "mmv1",
        "inner_iterations": 5,
        "inner_learning_rate": 0.1,
        "inner_tolerance": 1e-3,
    },
    "mm_b": {"kind": "mm_batch"},
    "ls": {"kind": "lsot", "epsilon": 0.03},
    "qc": {"kind": "wgan_qc", "gamma": 0.1},
}


def cell(name: str, convex: bool = False, n: int = 2, iterations: int = 12, **changes: Any) -> Cell:
    given = {
        "method": METHODS[name],
        "potential": {
            "kind": "dense_icnn",
            "hidden": [64, 64, 32],
            "strong_convexity": 1e-4,
            "convex": convex,
        },
        "seeds": [0, 3],
        "training": settings.training(
            batch_size=32,
            iterations=iterations,
            learning_rate=1e-3,
            final_learning_rate_factor=1.0,
            b1=0.9,
            b2=0.999,
            weight_decay=0.0,
        ),
        "pretraining": {
            "iterations": 200,
            "learning_rate": 1e-3,
            "weight_decay": 1e-10,
            "spread": 3.0,
            "tolerance": 1e-3,
        },
        "evaluation": {"samples": 64, "history_every": 6, "history_samples": 32},
        "logging": {"every": 3},
    }
    return Cell(name, f"hd{n}", n, "x", "none", "none", json.loads(json.dumps(given | changes)))


# -- against the published code -------------------------------------------------------------------
#
# Weights and points by a formula, evaluated by PyTorch on the classes of Wasserstein2Benchmark at
# commit 647a1ac, in double precision; n = 4, widths 64, 64, 32, strong convexity 1e-4.


def numbers(tensor: int, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [-1, 1), by a hash of a tensor's number and an entry's (MurmurHash3's finish)."""
    index = np.arange(np.prod(shape), dtype=np.uint64)
    h = (index + 1 + 0x9E3779B9 * (tensor + 1)) & 0xFFFFFFFF
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13), (1, 16)):
        h = ((h ^ (h >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return (h / 2**31 - 1).reshape(shape)


def weights(first: int) -> dict[str, np.ndarray]:
    order = [f"{part}.{k}" for k in range(3) for part in ("quad", "linear", "bias")]
    shapes = icnn_dense.shapes(4)
    return {
        name: (0.1 * numbers(first + t, shapes[name])).astype(np.float32).astype(np.float64)
        for t, name in enumerate([*order, "convex.0", "convex.1", "final"])
    }


@pytest.fixture
def wide() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


X, Y = (numbers(t, (8, 4)).astype(np.float32).astype(np.float64) for t in (100, 101))


def made(name: str, convex: bool) -> tuple[Any, Both]:
    method: Any = methods.make(cell(name, convex, n=4).settings, 4)
    project = method.potential.project
    return method, Both(project(weights(0)), project(weights(50)))


def length(tree: Any) -> float:
    return float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))))


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize(
    ("convex", "dual", "cycles", "slope"),
    [
        (False, 2.125805e-05, 0.34533374 + 0.30064871, 0.49657327),
        (True, 0.017953758, 0.34269703 + 0.29850578, 0.45496740),
    ],
)
def test_w2gn_has_the_published_losses(convex: bool, dual: float, cycles: float, slope: float):
    method, params = made("w2", convex)
    gradient, losses = jax.jit(jax.grad(method.loss, has_aux=True))(params, X, Y)
    np.testing.assert_allclose(losses.potential_loss, dual, rtol=1e-6)
    np.testing.assert_allclose(losses.inverse_loss, 4 * cycles, rtol=1e-7)
    np.testing.assert_allclose(losses.loss, dual + 4 * cycles, rtol=1e-7)
    np.testing.assert_allclose(length(gradient), slope, rtol=1e-7)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize(
    ("convex", "outer", "inner", "slope"),
    [
        (False, 2.125805e-05, 0.024368563, 0.22230922),
        (True, 0.017953758, -0.037596408, 0.31278890),
    ],
)
def test_maximin_has_the_published_losses(convex: bool, outer: float, inner: float, slope: float):
    method, params = made("mm", convex)
    found = jax.jit(method.outer_loss)(params.potential, params.inverse, X, Y)[0]
    np.testing.assert_allclose(found, outer, rtol=1e-6)
    gradient, found = jax.jit(jax.grad(method.inner_loss, has_aux=True))(
        params.inverse, params.potential, Y
    )
    np.testing.assert_allclose(found, inner, rtol=1e-7)
    np.testing.assert_allclose(length(gradient), slope, rtol=1e-7)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize(("convex", "penalty"), [(False, 0.79187422), (True, 0.67622494)])
def test_lsot_has_the_published_penalty(convex: bool, penalty: float):
    method, params = made("ls", convex)
    np.testing.assert_allclose(jax.jit(method.loss)(params, X, Y)[1].inverse_loss, penalty, 1e-7)


@pytest.mark.usefixtures("wide")
def test_mm_batch_finds_the_published_argmins_and_losses():
    method, params = made("mm_b", False)
    found = jax.jit(lambda f: mm_batch.argmax(method.value(f, X), jnp.asarray(X), jnp.asarray(Y)))
    np.testing.assert_array_equal(found(params.potential), [7, 1, 6, 7, 0, 7, 4, 1])
    method, params = made("mm_b", True)
    losses = jax.jit(method.loss)(params, X, Y)[1]
    np.testing.assert_allclose(2 * losses.potential_loss, 9.0981704e-04, rtol=1e-7)
    np.testing.assert_allclose(2 * losses.inverse_loss, -0.018449658, rtol=1e-7)


def test_of_equal_ones_mm_batch_takes_the_first_and_its_indices_are_always_in_range():
    points = jnp.asarray([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]])
    others = jnp.asarray([[2.0, -1.0], [0.0, 3.0], [0.0, -1.0], [-1.0, -0.5]])
    values = jnp.zeros(4)
    expected = jnp.argmax(others @ points.T - values[None], axis=1)
    np.testing.assert_array_equal(expected, [0, 1, 0, 3])
    np.testing.assert_array_equal(mm_batch.argmax(values, points, others), expected)
    lost = np.asarray(mm_batch.argmax(values.at[1].set(jnp.nan), points, others))
    assert ((lost >= 0) & (lost < 4)).all()  # where there is no largest one


def test_qc_has_the_published_assignment_and_an_optimal_h():
    found = wgan_qc.assign(X, Y)
    np.testing.assert_array_equal(found.of_y, [2, 5, 6, 3, 0, 7, 4, 1])
    np.testing.assert_array_equal(found.of_x[found.of_y], range(8))
    np.testing.assert_allclose(found.h_y.mean() - found.h_x.mean(), 0.54237582, rtol=1e-7)
    np.testing.assert_allclose(found.h_x.sum() + found.h_y.sum(), 0, atol=1e-12)
    cost = 0.5 * ((Y[:, None] - X[None]) ** 2).sum(-1)
    assert (found.h_y[:, None] - found.h_x[None] <= cost + 1e-12).all()


def test_h_is_that_of_the_linear_programme_on_other_batches():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 16, 2))
    cost = 0.5 * ((y[:, None] - x[None]) ** 2).sum(-1)
    rows = np.zeros((256, 32))
    rows[np.arange(256), np.repeat(np.arange(16), 16)] = 1  # h(y_i) ...
    rows[np.arange(256), 16 + np.tile(np.arange(16), 16)] = -1  # ... - h(x_j)
    objective = np.repeat([-1 / 16, 1 / 16], 16)
    solved = scipy.optimize.linprog(objective, rows, cost.ravel(), bounds=(None, None))
    found = wgan_qc.assign(x, y)
    np.testing.assert_allclose(found.h_y.mean() - found.h_x.mean(), -solved.fun, rtol=1e-9)
    assert (found.h_y[:, None] - found.h_x[None] <= cost + 1e-12).all()
    tight = np.isclose(found.h_y[:, None] - found.h_x[None], cost, atol=1e-9).sum()
    assert tight >= 31  # a vertex: as many tight constraints as unknowns, but for the shift


def test_points_that_are_not_finite_have_no_h_and_stop_no_job():
    found = wgan_qc.assign(np.where(np.arange(8)[:, None] == 3, np.nan, X), Y)
    assert np.isnan(found.h_x).all()
    assert np.isnan(found.h_y).all()
    np.testing.assert_array_equal(found.of_x, range(8))


def test_an_assignment_of_each_batch_is_found_under_vmap():
    x, y = jnp.asarray(numbers(8, (2, 1, 8, 4))), jnp.asarray(numbers(9, (2, 1, 8, 4)))
    found = jax.vmap(wgan_qc.assigned)(x, y)
    for index in range(2):
        alone = wgan_qc.assigned(x[index], y[index])
        for vmapped, one in zip(found, alone, strict=True):
            np.testing.assert_array_equal(vmapped[index], one)
    assert not np.array_equal(found.of_x[0], found.of_x[1])


@pytest.mark.usefixtures("wide")
def test_qc_has_the_gradient_of_finite_differences():
    method, params = made("qc", False)
    found = wgan_qc.assign(X, Y)
    loss = jax.jit(lambda params: method.loss(params, X, Y, found)[0])
    way = jax.tree.map(lambda leaf: numbers(7, leaf.shape), params)
    slope = sum(
        float(jnp.sum(g * w))
        for g, w in zip(jax.tree.leaves(jax.grad(loss)(params)), jax.tree.leaves(way), strict=True)
    )
    there, back = (
        loss(jax.tree.map(lambda p, w, s=s: p + s * w, params, way)) for s in (1e-6, -1e-6)
    )
    np.testing.assert_allclose(slope, (there - back) / 2e-6, rtol=1e-6)


# -- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "swapped"), [("w2", False), ("mmv1", False), ("qc", False), ("qc", True)]
)
def test_a_method_says_whether_its_step_calls_the_host(name: str, swapped: bool):
    given = cell(name).settings
    given["method"] = given["method"] | {"reversed": swapped}
    method: Any = methods.make(given, 2)
    points = Drawn(*jax.random.normal(jax.random.key(1), (2, 4, 2, 8, 2)))
    network = method.networks["potential"].init

    def step(keys: Any) -> Any:
        params = jax.vmap(lambda key: network(key, points.x[0, 0]))(keys)
        return method.update(method.init(Both(params, params)), points)

    program = jax.make_jaxpr(step)(jax.random.split(jax.random.key(0), 2))
    assert ("pure_callback" in str(program)) == method.calls_host
    assert method.calls_host == (name == "qc")


@pytest.mark.parametrize("name", [name for name in METHODS if name != "mm_r"])
def test_a_step_moves_both_potentials_and_is_that_of_the_parts_of_a_batch(name: str):
    """A step on two halves that exchange what they have to is that on the whole."""
    small = cell(name, convex=name in ("w2", "mmv1")).settings
    small["potential"] |= {"hidden": [8, 8, 4]}
    method: Any = methods.make(small, 2)
    keys = jax.random.split(jax.random.key(0), 2)
    points = jax.random.normal(jax.random.key(1), (2, 4, 2, 8, 2))
    network = method.networks["potential"].init

    @jax.jit
    def drawn(keys: Any) -> Any:
        tree = jax.vmap(lambda key: network(key, jnp.ones((1, 2))))(keys)
        return method.init(Both(tree, tree))

    start = drawn(keys)
    whole = jax.jit(method.update)(start, Drawn(*points))

    if name not in ("w2", "ls"):  # of which each point stands for itself
        check_parts(method, start, points, whole)
    for old, new in zip(start.params, whole.state.params, strict=True):
        assert any(
            not np.array_equal(a, b)
            for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
        )
    if method.potential.convex:
        kept = method.potential.project(whole.state.params.potential)
        assert jax.tree.all(jax.tree.map(np.array_equal, kept, whole.state.params.potential))
        assert np.min(whole.state.params.inverse["final"]) == 0
    assert int(whole.state.step) == 1
    assert (whole.state.diverged_at == -1).all()
    assert all(np.isfinite(leaf).all() for leaf in whole.metrics)
    assert len(method.words(whole.metrics)) == len(method.metrics._fields)


def check_parts(method: Any, start: Any, points: Any, whole: Any) -> None:
    halves = jax.tree.map(lambda p: jnp.stack(jnp.split(p, 2, axis=2)), Drawn(*points))
    parts = jax.jit(
        jax.vmap(lambda batches: method.update(start, batches, "parts"), axis_name="parts")
    )(halves)
    # The optimiser's, since Adam makes much of a gradient that is nearly 0.
    for one, both in zip(
        jax.tree.leaves(whole.state.optimizer), jax.tree.leaves(parts.state.optimizer), strict=True
    ):
        for half in both:
            np.testing.assert_allclose(one, half, rtol=2e-3, atol=1e-6)


class Teller:
    """Stands for a method: says what it was asked, of which points."""

    def update(self, state: Any, batches: Any, over: Any = None) -> Any:
        return state, batches.source(), batches.target(1), over

    def in_loop(self, like: Any) -> Looped:
        def update(carried: Any, batches: Any, over: Any) -> Any:
            return f"loop of {like}", carried, batches.source(), batches.target(1), over

        return Looped(cast("Any", "enter"), update, cast("Any", "leave"))

    def push(self, params: Any, x: Any) -> Any:
        return "push", params, x

    def pull(self, params: Any, y: Any) -> Any:
        return "pull", params, y


def test_reversed_trains_on_swapped_measures_and_swaps_the_maps_back():
    turned: Any = Reversed(cast("Any", Teller()))
    assert turned.update("state", Drawn("x0 x1".split(), "y0 y1".split()), "parts") == (
        *("state", "y0", "x1", "parts"),
    )
    carried = turned.in_loop("like")
    assert carried.update("carried", Drawn("x0 x1".split(), "y0 y1".split()), "parts") == (
        *("loop of like", "carried", "y0", "x1", "parts"),
    )
    assert (carried.enter, carried.leave) == ("enter", "leave")
    assert turned.push("params", "x") == ("pull", "params", "x")
    assert turned.pull("params", "y") == ("push", "params", "y")
    with pytest.raises(ValueError, match="the inverse of the optimal map is not known"):
        Swapped(Drawn([], [])).truth(jnp.ones((1, 2, 3)))


def test_reversed_is_a_setting_of_any_method():
    made: Any = methods.make(cell("mm_r").settings, 2)
    assert isinstance(made, Reversed)
    assert isinstance(made.method, maximin.Maximin)
    assert (made.dimension, made.metrics) == (2, made.method.metrics)
    assert list(made.networks) == ["potential", "inverse"]
    plain = methods.make(cell("mm_r", method=METHODS["mm_r"] | {"reversed": False}).settings, 2)
    assert isinstance(plain, maximin.Maximin)
    with pytest.raises(InputError, match="`settings.method.reversed` is 1; expected true or false"):
        methods.make(cell("ls", method=METHODS["ls"] | {"reversed": 1}).settings, 2)
    with pytest.raises(InputError, match=r"`settings.method` has the unknown key `epsilom` \(did"):
        methods.make(cell("ls", method={"kind": "lsot", "epsilom": 1.0}).settings, 2)


def test_mmv1_finds_the_argmin_and_stops_by_the_mean():
    method: Any = methods.make(cell("mmv1").settings, 4)
    # With the strong convexity of 1 and small weights the argmins are near y.
    near = method.potential.clone(strong_convexity=1.0, convex=True)
    method = replace(method, potential=near, inner=mmv1.Settings(300, 0.1, 1e-3))
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, "f4")[None], near.project(weights(0)))
    y = jnp.asarray(Y[None], "f4")
    start = jax.jit(lambda: method.start(jnp.int32(3), y, None))()
    assert ((start >= 0) & (start < 1)).all()
    found = jax.jit(lambda: method.argmin(params, y, start, None))()
    norms = np.sqrt((np.asarray(found.gradient[0]) ** 2).mean(-1))
    assert norms.mean() < 1e-3
    assert 10 < int(found.iterations[0]) < 300
    assert not found.running[0]
    pushed = jax.jit(lambda x: method.push(Both(params, params), x))(found.x)
    np.testing.assert_allclose(pushed, y, atol=0.01)
    short = replace(method, inner=mmv1.Settings(2, 0.1, 1e-3))
    none = jax.jit(lambda: short.argmin(params, y, start, None))()
    assert none.running[0]
    assert int(none.iterations[0]) == 2


def test_a_killed_training_ends_with_the_same_bits(tmp_path: Path):
    """Of the method that asks the host at every step; it is pre-trained, and C begins as D."""
    path = tmp_path / "hd2.safetensors"
    save_arrays(path, *gaussian.draw(2, 0))
    pair, mine = measures.load(path), cell("qc")
    mine.settings["potential"]["hidden"] = [8, 8, 4]
    kept = Checkpoints(tmp_path, ORIGIN, every_s=1e-9, keep=99)
    whole = run.train(mine, pair, cell_evaluation.make, kept)
    for after in sorted(tmp_path.glob("step-*"))[2:]:
        after.unlink()
    again = run.train(mine, pair, cell_evaluation.make, Checkpoints(tmp_path, ORIGIN))
    assert 0 < again.timing["resumed_at_steps"][0] < mine.training.iterations
    for one, other in zip(jax.tree.leaves(whole.state), jax.tree.leaves(again.state), strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole.timing["pretraining_steps"] > 100
    assert 1e-3 < whole.timing["pretraining_loss_potential"] < 3
    assert "pretraining_loss_inverse" not in whole.timing
    for seed in whole.seeds:
        rows = [row for row in whole.history if row["seed"] == seed["seed"]]
        assert [row["step"] for row in rows] == [0, 6, 12]
        for column in ("l2_uvp_forward_percent", "l2_uvp_inverse_percent"):
            best = min(rows, key=lambda row, column=column: row[column])
            assert seed["best"][column] == {"step": best["step"], "value": best[column]}

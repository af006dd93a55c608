"""A method that conjugates nothing goes through loop, checkpoints, metrics and files like dual."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.unit import settings

from w2dual import measures
from w2dual.config.cells import Cell
from w2dual.evaluation import cell as cell_evaluation
from w2dual.evaluation import push
from w2dual.measures.pairs import gaussian
from w2dual.measures.preparation import synthetic as preparation
from w2dual.records import InputError, read_json, save_arrays
from w2dual.training import files, methods, run
from w2dual.training.checkpoint import WORDS, Checkpoints
from w2dual.training.methods import Divergence, Method, Network, Step

ORIGIN: dict[str, str | None] = dict.fromkeys(WORDS, "x")


class Maps(NamedTuple):
    there: Any
    back: Any


class RegressionState(NamedTuple):
    params: Maps
    optimizer: Any
    step: Any
    diverged_at: Any


class Errors(NamedTuple):
    loss: Any
    there_error: Any


@dataclass(frozen=True)
class Regression(Method[RegressionState]):
    """Two affine maps, fitted to pairs of the known optimal map; the second on fresh points."""

    dimension: int
    optimizer: Any
    divergence: Divergence
    metrics: ClassVar = Errors

    @property
    def networks(self):
        def init(key, points):
            n = points.shape[-1]
            return {"matrix": 0.1 * jax.random.normal(key, (n, n)), "shift": jnp.zeros(n)}

        return {"there": Network("there", init, affine), "back": Network("back", init)}

    def assemble(self, trees):
        return Maps(**trees)

    def init(self, params):
        seeds = params.there["shift"].shape[0]
        return RegressionState(
            params,
            jax.vmap(self.optimizer.init)(params),
            jnp.zeros((), jnp.int32),
            jnp.full(seeds, -1, jnp.int32),
        )

    def update(self, state, batches, over=None):
        x, fresh = batches.source(), batches.source(1)
        y, image = batches.truth(x), batches.truth(fresh)

        def loss(params, x, y, fresh, image):
            there = jnp.mean((affine(params.there, x) - y) ** 2)
            return there + jnp.mean((affine(params.back, image) - fresh) ** 2), there

        both = jax.vmap(jax.value_and_grad(loss, has_aux=True))(state.params, x, y, fresh, image)
        (total, there), gradients = both if over is None else jax.lax.pmean(both, over)
        updates, optimizer = jax.vmap(self.optimizer.update)(gradients, state.optimizer)
        (params, optimizer), diverged_at = self.divergence.settle(
            state,
            total,
            optax.apply_updates(state.params, updates),
            (optimizer, state.optimizer),
        )
        return Step(
            RegressionState(params, optimizer, state.step + 1, diverged_at), Errors(total, there)
        )

    def push(self, params, x):
        return jax.vmap(affine)(params.there, x)

    def pull(self, params, y):
        return jax.vmap(affine)(params.back, y)


def affine(params, x):
    return x @ params["matrix"] + params["shift"][None]


def make(given, dimension):
    bound = given["training"]["divergence_loss"]
    return Regression(dimension, optax.adam(given["method"]["rate"]), Divergence(bound, 1))


@pytest.fixture(autouse=True)
def regression(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("w2dual.training.methods.regression")
    vars(module)["make"] = make
    monkeypatch.setitem(sys.modules, module.__name__, module)


def cell(iterations: int = 20, **changes: Any) -> Cell:
    given = {
        "method": {"kind": "regression", "rate": 0.05},
        "seeds": [0, 3],
        "training": settings.training(batch_size=32, iterations=iterations),
        "pretraining": settings.pretraining(iterations=20, min_iterations=10),
        "evaluation": {"samples": 64, "history_every": 10, "history_samples": 32},
        "logging": {"every": 5},
    }
    return Cell("fit", "hd2", 2, "affine", "none", "none", json.loads(json.dumps(given | changes)))


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair") / "hd2.safetensors"
    save_arrays(path, *gaussian.draw(2, 0))
    return path


class Interrupted(Exception):
    pass


class Dying(Checkpoints):
    def save(self, snapshot: Any) -> None:
        super().save(snapshot)
        if int(snapshot.state.step) >= 10:
            raise Interrupted


def test_the_job_trains_maps_and_says_nothing_of_conjugates(pair_file: Path, tmp_path: Path):
    from w2dual.__main__ import main

    out = {name: str(tmp_path / name) for name in ("metrics.json", "history.csv", "p.safetensors")}
    metrics, history, params = out.values()
    arguments = [
        *("train", "--cell", json.dumps(cell(400).to_json()), "--measures", str(pair_file)),
        *("--preset", '{"name":"test","label":"a test","reduced":true}'),
        *("--metrics", metrics, "--history", history, "--params", params),
        *("--checkpoints", str(tmp_path / "checkpoints")),
    ]
    assert main(arguments) == 0
    record = read_json(Path(metrics))
    for seed in record["seeds"]:
        assert seed["status"] == "finished"
        # The pair's map is affine.
        assert seed["l2_uvp_forward_percent"] < 1
        assert seed["l2_uvp_inverse_percent"] < 1
        assert seed["dual_objective"] is None
        assert seed["conjugate_gradient_norm_max"] is None
        assert set(seed["conjugate_status"].values()) == {0}
    assert record["timing"]["pretraining_loss_there"] >= 0
    assert "pretraining_loss_back" not in record["timing"]
    assert record["timing"]["conjugation_ms"] is None
    assert Path(history).read_text().splitlines()[0] == (
        "seed,step,l2_uvp_forward_percent,l2_uvp_inverse_percent,cosine_forward,cosine_inverse,"
        "seconds_per_step"
    )
    found, loaded, seeds = files.load_params(params)
    assert (type(found), loaded, seeds) == (Maps, cell(400), [0, 3])
    points = np.array([[0.5, -1.0], [2.0, 0.0]], np.float32)
    there = push.forward(Path(params), points, 0)
    back, conjugates = push.inverse(Path(params), there, 0)
    assert conjugates is None
    np.testing.assert_allclose(back, points, atol=0.2)


def test_a_killed_training_ends_with_the_same_bits(pair_file: Path, tmp_path: Path):
    pair = measures.load(pair_file)
    whole = run.train(cell(), pair, cell_evaluation.make)
    with pytest.raises(Interrupted):
        run.train(cell(), pair, cell_evaluation.make, Dying(tmp_path, ORIGIN, every_s=1e-9))
    again = run.train(cell(), pair, cell_evaluation.make, Checkpoints(tmp_path, ORIGIN))
    assert again.timing["resumed_at_steps"] != []
    for one, other in zip(jax.tree.leaves(whole.state), jax.tree.leaves(again.state), strict=True):
        np.testing.assert_array_equal(one, other)
    figures = [{k: v for k, v in r.items() if k != "seconds_per_step"} for r in whole.history]
    assert figures == [
        {k: v for k, v in row.items() if k != "seconds_per_step"} for row in again.history
    ]


def test_maps_on_the_plane_are_measured_by_samples(tmp_path: Path):
    path = tmp_path / "plane.safetensors"
    laws = {"source": "gauss_1_small", "target": "gauss_8"}
    save_arrays(path, *preparation.prepare("gauss8", laws))
    chosen = {"samples": 16, "history_every": 10, "history_samples": 16}
    plane = cell(evaluation=chosen | {"epsilon": 0.05})
    method = methods.make(plane.settings, 2)
    with pytest.raises(InputError, match="cell fit: `settings.evaluation` lacks `epsilon`"):
        cell_evaluation.make(method, measures.load(path), cell(evaluation=chosen))
    evaluation = cell_evaluation.make(method, measures.load(path), plane)
    identity = {"matrix": jnp.eye(2)[None], "shift": jnp.zeros((1, 2))}
    keys = jax.random.split(jax.random.key(0), 1)
    values = evaluation.evaluate(method.assemble({"there": identity, "back": identity}), keys, 16)
    record = evaluation.record(values, 0, diverged=False)
    assert record["cycle_forward"] == record["cycle_inverse"] == 0
    assert record["cost_forward"] == 0
    assert record["w2_forward"] > 5
    assert record["dual_objective"] is None
    assert not any("conjugate" in name or "dual" in name for name in evaluation.columns)


def test_a_kind_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="method kind 'nowhere'.*dual"):
        methods.make({"method": {"kind": "nowhere"}}, 2)
    monkeypatch.setattr(sys.modules["w2dual.training.methods.regression"], "make", lambda *_: 3)
    with pytest.raises(
        InputError, match="`make` gives int; expected a `w2dual.training.methods.base.Meth"
    ):
        methods.make(cell().settings, 2)

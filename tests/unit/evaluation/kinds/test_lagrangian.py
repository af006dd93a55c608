"""What is checked before a cell of a Lagrangian cost is trained, and the published measure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in
from w2dual.config.settings import LagrangianEvaluationSettings
from w2dual.evaluation.kinds import lagrangian
from w2dual.measures.pairs.synthetic import SyntheticPair
from w2dual.measures.synthetic.laws import LAWS, Uniform
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods.along_paths import AlongPaths, Scene, Travelled

STRIPS = SyntheticPair(dimension=2, source=LAWS["strip_left"], target=LAWS["strip_right"])
CELLS = {cell.name: cell for cell in cells_in("lagrangian", settings.PAPER)}
EVALUATION = LagrangianEvaluationSettings(400, 10, 400, 16, 1e-3, 400)


def _scene(cell: Cell) -> Scene:
    method = methods.make(cell.settings, 2)
    assert isinstance(method, AlongPaths)
    assert method.scene is not None
    return method.scene


def _check(scene: Scene) -> None:
    lagrangian.check(scene, STRIPS, "mine")


@pytest.mark.parametrize("name", CELLS)
def test_the_settings_that_come_with_the_project_fit_their_measures(name: str):
    _check(_scene(CELLS[name]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bound": 1.2}, r"`bound` 1.2 does not hold the samples of the source, of which one has"),
        ({"half_width": 1.2}, r"at samples of the source one is inside the obstacle, \[-1"),
    ],
)
def test_measures_beyond_the_bounds_or_inside_a_wall_are_refused(
    settings: dict[str, Any], message: str
):
    cell = CELLS["lagrangian_box-plain_elu-nlot_newton"]
    changed = dict(cell.settings)
    for part in ("method", "obstacle"):
        known = {key: value for key, value in settings.items() if key in changed[part]}
        changed[part] = changed[part] | known
    with pytest.raises(InputError, match=message):
        _check(_scene(dataclasses.replace(cell, settings=changed)))


@pytest.mark.parametrize(
    ("potential", "value"),
    [
        (lambda x: -jnp.where(jnp.abs(x[1]) < 0.1, jnp.inf, 0.0), "-inf"),
        (lambda x: jnp.sqrt(-jnp.sum(x * x, axis=0)), "nan"),
    ],
)
def test_a_potential_that_is_not_finite_is_refused(
    potential: Callable[[jax.Array], jax.Array], value: str
):
    scene = _scene(CELLS["lagrangian_hill-plain_elu-nlot_newton"])

    def obstacle(x: jax.Array, strength: Any, temperature: Any) -> jax.Array:
        return strength * potential(x) + 0 * temperature

    message = f"the obstacle's U is {value} at .*; expected a finite number everywhere"
    with pytest.raises(InputError, match=message):
        _check(dataclasses.replace(scene, obstacle=obstacle))


def test_a_shift_is_found_where_there_is_one():
    assert lagrangian.shift_of(STRIPS) == pytest.approx([2.25, 0.0])
    wider = dataclasses.replace(STRIPS, target=Uniform((1.0, -1.0), (1.5, 1.0)))
    assert lagrangian.shift_of(wider) is None
    other = dataclasses.replace(STRIPS, target=LAWS["gauss_8"])
    assert lagrangian.shift_of(other) is None


def test_the_published_measure_of_a_set_and_itself_is_the_entropy_of_a_permutation():
    x = jnp.stack(jnp.meshgrid(jnp.arange(4.0), jnp.arange(4.0)), -1).reshape(1, 16, 2)
    found = lagrangian.entropic(x, x[:, ::-1], 1e-2)
    np.testing.assert_allclose(found, 1e-2 * math.log(16), rtol=1e-3)


def test_a_random_map_is_measured_by_a_drawn_path_and_by_the_mean_of_many(
    monkeypatch: pytest.MonkeyPatch,
):
    """A map that shifts the strip onto the target, and on average 0.5 beside it."""
    priced = set()

    def costs(scene: Scene, x: jax.Array, y: jax.Array) -> jax.Array:
        priced.add(x.shape[1])
        return jnp.mean(y[..., 1] - x[..., 1], 1)

    monkeypatch.setattr(lagrangian, "_costs", costs)
    monkeypatch.setattr(lagrangian, "entropic", lambda a, b, epsilon: np.asarray(a)[:, 0, 0])
    cell = CELLS["lagrangian_box-plain_elu-nlot_newton"]

    def travel(params: jax.Array, x: jax.Array) -> Travelled:
        start, y = jnp.moveaxis(x, -1, 0), x + jnp.array([[[2.25, 0.0]]])
        path = jnp.stack([start, jnp.moveaxis(y, -1, 0)])
        beside = path + jnp.array([0.0, 0.5]).reshape(1, 2, 1, 1)
        return Travelled(y, path, params[:, None] + 0 * x[..., 0], expected=beside)

    stub: Any = SimpleNamespace(travel=travel, values=lambda params, y: None)
    evaluate = lagrangian.evaluator(stub, _scene(cell), EVALUATION)
    keys = jax.random.split(jax.random.key(0), 2)
    found = evaluate(jnp.array([1.0, 3.0]), keys, STRIPS, 400)
    np.testing.assert_allclose(found.w2, found.w2_floor)
    # The mean of 400 points of the strip is known to 0.03.
    np.testing.assert_allclose(found.w2_expected - found.w2, 0.25, atol=0.05)
    np.testing.assert_allclose(found.cost_expected - found.cost, 0.5, atol=1e-6)
    np.testing.assert_allclose(found.published_expected, found.published)
    np.testing.assert_allclose(found.own_cost, [1.0, 3.0], rtol=1e-6)
    # A straight path enters the box where it begins at a height within 0.5.
    np.testing.assert_allclose(found.inside_fraction, 0.5, atol=0.1)
    np.testing.assert_allclose(found.inside_fraction_expected, 0.5, atol=0.1)
    for name in ("path_gap", "dual_objective", "conjugate_iterations_mean"):
        assert np.isnan(getattr(found, name)).all()
    assert not np.any(found.conjugate_status_counts)
    # A well has no wall that a path could enter.
    well = _scene(CELLS["lagrangian_well-plain_elu-nlot_newton"])
    more = dataclasses.replace(EVALUATION, cost_samples=500)
    found = lagrangian.evaluator(stub, well, more)(jnp.array([1.0, 3.0]), keys, STRIPS, 400)
    assert np.isnan(found.inside_fraction).all()
    assert priced == {EVALUATION.cost_samples, 500}  # also beyond the samples of other measures

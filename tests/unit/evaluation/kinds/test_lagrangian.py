"""What is checked before a cell of a Lagrangian cost is trained, and the published measure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in
from w2dual.evaluation.kinds import lagrangian
from w2dual.measures.pairs.synthetic import SyntheticPair
from w2dual.measures.synthetic.laws import LAWS, Uniform
from w2dual.records import InputError
from w2dual.training import methods
from w2dual.training.methods.ctransform import CTransform

STRIPS = SyntheticPair(dimension=2, source=LAWS["strip_left"], target=LAWS["strip_right"])
CELLS = {cell.name: cell for cell in cells_in("lagrangian", settings.PAPER)}


def _made(cell: Cell) -> CTransform:
    method = methods.make(cell.settings, 2)
    assert isinstance(method, CTransform)
    return method


def _check(method: CTransform) -> None:
    assert method.paths is not None
    lagrangian.check(method, method.paths, STRIPS, "mine")


@pytest.mark.parametrize("name", CELLS)
def test_the_settings_that_come_with_the_project_fit_their_measures(name: str):
    _check(_made(CELLS[name]))


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
        _check(_made(dataclasses.replace(cell, settings=changed)))


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
    method = _made(CELLS["lagrangian_hill-plain_elu-nlot_newton"])
    assert method.paths is not None

    def obstacle(x: jax.Array, strength: Any, temperature: Any) -> jax.Array:
        return strength * potential(x) + 0 * temperature

    paths = dataclasses.replace(method.paths, obstacle=obstacle)
    message = f"the obstacle's U is {value} at .*; expected a finite number everywhere"
    with pytest.raises(InputError, match=message):
        _check(dataclasses.replace(method, paths=paths))


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

"""Our row's paths between given points go around the box and through the slit's opening."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit import settings

from w2dual.backend import jit
from w2dual.config.grid import cells_in
from w2dual.paths.action import joined
from w2dual.training import methods
from w2dual.training.methods.ctransform import CTransform

CELLS = {cell.name: cell for cell in cells_in("lagrangian", settings.PAPER)}


@pytest.mark.long
@pytest.mark.parametrize(
    ("setting", "heights", "costs"),
    # Of the slit by the published rule, of smooth paths, whose 19 segments see less of the edge at
    # height 1 (0.2100); of the box that of the straight path past it, and for the middle the
    # detour, which is below the 0.204 of the way through.
    [("slit", [0.0, 0.8, 1.0], [0.1332, 0.1779, 0.22]), ("box", [0.0, 0.8], [0.178, 0.1332])],
)
def test_paths_from_straight_lines_enter_no_wall(
    setting: str, heights: list[float], costs: list[float]
):
    method = methods.make(CELLS[f"lagrangian_{setting}-plain_elu-nlot_newton"].settings, 2)
    assert isinstance(method, CTransform)
    assert method.paths is not None
    paths = method.paths
    side = jnp.full(len(heights), 1.125)
    # Not quite symmetric: a path down the middle of the box has no side to fall to.
    x, y = (jnp.stack([s * side, jnp.array(heights) + 0.01], axis=-1)[None] for s in (-1, 1))
    params = jax.vmap(partial(paths.training.network.init, x=x[0]))(
        jax.random.split(jax.random.key(0), 1)
    )
    straight = jax.tree.map(jnp.zeros_like, params)
    interior = jit(lambda: paths.interior(straight, x, y))()
    path = joined(jnp.moveaxis(x, -1, 0), interior, jnp.moveaxis(y, -1, 0))
    strength, temperature = paths.annealing.end
    penalty = -paths.obstacle(jnp.moveaxis(path, 0, 1), strength, temperature)
    assert float(jnp.max(penalty)) < 0.5 * strength
    np.testing.assert_allclose(paths.lagrangian().cost(path)[0], costs, rtol=0.05)

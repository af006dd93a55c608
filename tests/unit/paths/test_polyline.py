"""The best polylines: closed forms of free, harmonic and conical paths, and the slit's numbers."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.backend import jit
from w2dual.paths import action, polyline, search
from w2dual.paths.action import PUBLISHED, Action, Geodesic, Rule
from w2dual.paths.obstacles.base import Annealing, Strength
from w2dual.paths.obstacles.hill import Hill
from w2dual.paths.obstacles.slit import Slit
from w2dual.paths.obstacles.well import Well

WELL = partial(Well(), strength=0.01, temperature=0.01)
SLIT = partial(Slit(0.1, 0.25), strength=1.0, temperature=0.01)


def _points(seed: int, count: int = 5) -> tuple[jax.Array, jax.Array]:
    ends = jax.random.uniform(jax.random.key(seed), (2, 2, count), minval=-1.5, maxval=1.5)
    return ends[0], ends[1]


def _best(lagrangian: action.Lagrangian, x: jax.Array, y: jax.Array, steps: int) -> jax.Array:
    start = action.line(x, y, lagrangian.rule)
    found = polyline.minimise(lagrangian, x, y, start, steps).interior
    return lagrangian.cost(action.joined(x, found, y))


def _leap(y: float, rule: Rule) -> jax.Array:
    """Return the interior of a path from (-1.125, y) straight to the other side."""
    return action.line(jnp.array([-1.125, y]), jnp.array([1.125, y]), rule)


def _through(y: float, rule: Rule) -> jax.Array:
    """Return the interior of a smooth path that dips to the opening."""
    line = _leap(y, rule)
    t = jnp.arange(1, rule.segments) / rule.segments
    return line.at[:, 1].add(-(y - 0.2) * jnp.sin(jnp.pi * t))


@pytest.mark.parametrize("rule", [PUBLISHED, Rule(64)])
def test_free_cost_is_the_straight_path_s(rule: Rule) -> None:
    x, y = _points(0)
    free = Action(lambda points: jnp.zeros(points.shape[1:]), rule)
    bent = action.line(x, y, rule) + jax.random.normal(jax.random.key(1), (rule.segments - 1, 2, 5))
    found = jit(lambda: polyline.minimise(free, x, y, bent, 1).interior)()
    np.testing.assert_allclose(found, action.line(x, y, rule), atol=2e-5)
    cost = free.cost(action.joined(x, found, y))
    np.testing.assert_allclose(cost, jnp.sum((x - y) ** 2, axis=0) / 38, rtol=2e-5, atol=1e-6)


def test_harmonic_cost_is_the_closed_form() -> None:
    x, y = _points(2)
    cost = jit(partial(_best, Action(WELL, PUBLISHED), steps=2))(x, y)
    theta, n = math.acosh(1.01), 19
    k = math.sinh(theta) / math.sinh(n * theta)
    b = 0.5 - 0.5 * math.sinh((n - 1) * theta) / math.sinh(n * theta)
    assert (k, b, b + 0.01) == pytest.approx((0.01943898, 0.06655046, 0.07655046), abs=1e-8)
    squares = [jnp.sum(z * z, axis=0) for z in (x, y)]
    want = (b + 0.01) * squares[0] + b * squares[1] - k * jnp.sum(x * y, axis=0)
    shifted = 1e-6 * jnp.sum(y - x, axis=0)  # what the published 1e-6 adds to the kinetic part
    np.testing.assert_allclose(cost, want + shifted, atol=1e-6)


def test_well_s_translation_has_the_known_value() -> None:
    centres = (np.arange(16) + 0.5) / 16
    a, b = np.meshgrid(-1.25 + 0.25 * centres, -1 + 2 * centres)
    x = jnp.asarray(np.stack([a.ravel(), b.ravel()]))
    y = x + jnp.array([[2.25], [0.0]])
    cost = jit(partial(_best, Action(WELL, PUBLISHED), steps=2))(x, y)
    # The midpoint rule is exact for the products and short by h^2 / 12 in each square.
    short = (0.07655046 + 0.06655046 - 0.01943898) * (0.25**2 + 2**2) / 16**2 / 12
    assert float(jnp.mean(cost)) + short == pytest.approx(0.2475793 + 2.25e-6, abs=1e-6)


def test_refined_rule_tends_to_the_continuous_harmonic_action() -> None:
    x, y = _points(3)
    omega = math.sqrt(722 * 0.01)
    squares = jnp.sum(x * x + y * y, axis=0)
    inner = jnp.sum(x * y, axis=0)
    want = omega / 38 * (squares / math.tanh(omega) - 2 * inner / math.sinh(omega))
    errors = [
        float(jnp.max(jnp.abs(jit(partial(_best, Action(WELL, Rule(n)), steps=2))(x, y) - want)))
        for n in (24, 48)
    ]
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)  # of second order


def test_published_rule_leaps_over_the_wall_and_the_refined_one_does_not() -> None:
    def costs(rule: Rule, y: float, steps: int) -> list[float]:
        wall = Action(SLIT, rule)
        ends = jnp.array([-1.125, y]), jnp.array([1.125, y])
        solve = jit(lambda start: polyline.minimise(wall, *ends, start, steps).interior)
        found = [solve(start) for start in (_leap(y, rule), _through(y, rule))]
        return [float(wall.cost(action.joined(ends[0], path, ends[1]))) for path in found]

    assert costs(PUBLISHED, 1.0, 60) == pytest.approx([0.1596, 0.2100], abs=1e-4)
    assert costs(PUBLISHED, 0.8, 60) == pytest.approx([0.1596, 0.1779], abs=1e-4)
    leap, smooth = costs(Rule(96), 1.0, 60)
    assert smooth < 0.22 < leap


def test_a_search_finds_the_way_through_the_opening():
    def at(temperature: jax.Array) -> Action:
        return Action(partial(Slit(0.1, 0.25), strength=1.0, temperature=temperature), Rule(64))

    x = jnp.array([[-1.125, -1.125], [1.0, -0.8]])
    y = x * jnp.array([[-1.0], [1.0]])
    found = jit(lambda: search.search(at, x, y, (0.1, 0.03, 0.01), (0.0, 1.0, -1.0), 15))()
    assert found.cost[0] < 0.22  # the smooth path by the published rule costs 0.2100
    assert found.cost[1] < 0.185  # and this one 0.1779
    crossing = found.path[:, 1][jnp.abs(found.path[:, 0]) < 0.1]
    assert float(jnp.max(jnp.abs(crossing))) < 0.26


def test_gradient_of_the_cost_is_the_last_segment() -> None:
    x, y = jnp.array([-1.1, 0.3]), jnp.array([1.2, 0.5])
    hill = Action(partial(Hill(), strength=0.05, temperature=0.1), PUBLISHED)
    bent = action.line(x, y, PUBLISHED) + jnp.array([[0.0, 0.5]])

    @jit
    def solved(y: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = polyline.minimise(hill, x, y, bent, 25)
        return hill.cost(action.joined(x, found.interior, y)), found.interior[-1]

    step = 0.02
    moved = [(solved(y + e)[0] - solved(y - e)[0]) / (2 * step) for e in step * jnp.eye(2)]
    want = y - solved(y)[1]
    np.testing.assert_allclose(jnp.stack(moved), want, atol=2e-4)


def test_a_constant_metric_gives_mahalanobis_and_the_circle_s_a_flat_cone() -> None:
    a = jnp.array([[2.0, 0.5], [0.5, 1.0]])
    x, y = _points(4)
    constant = Geodesic(
        lambda z: jnp.broadcast_to(a[..., None, None], (2, 2, *z.shape[1:])), Rule(16)
    )
    cost = jit(partial(_best, constant, steps=1))(x, y)
    d = y - x
    np.testing.assert_allclose(cost, 0.5 * jnp.einsum("ib,ij,jb->b", d, a, d), rtol=1e-4)

    small = 0.1

    def circle(z: jax.Array) -> jax.Array:
        v = jnp.stack([-z[1], z[0]]) / jnp.sqrt(jnp.sum(z * z, axis=0, keepdims=True))
        eye = jnp.eye(2).reshape(2, 2, *(1,) * (z.ndim - 1))
        return eye - (1 - small) * v[:, None] * v[None]

    rule = Rule(96)
    ends = jnp.array([1.0, 0.0]), jnp.array([-0.9, 0.3])
    t = jnp.arange(1, 96) / 96
    angle = math.atan2(0.3, -0.9)
    start = jnp.stack([jnp.cos(t * angle), jnp.sin(t * angle)], axis=1)
    cone = Geodesic(circle, rule)
    found = jit(lambda: polyline.minimise(cone, *ends, start, 40).interior)()
    length = cone.loss(action.joined(ends[0], found, ends[1]))
    assert float(length) == pytest.approx(0.8416063, abs=1e-4)


def test_annealing_moves_from_start_to_end_and_stays() -> None:
    annealing = Annealing(Strength(0.0, 0.1), Strength(1.0, 0.01), 2000)
    assert [float(item) for item in annealing.at(0)] == pytest.approx([0.0, 0.1])
    assert float(annealing.at(200).strength) == pytest.approx(1 / (1 + math.exp(4)))
    assert [float(item) for item in annealing.at(1000)] == pytest.approx([0.5, 0.055])
    assert [float(item) for item in annealing.at(5000)] == pytest.approx([1.0, 0.01])
    assert Annealing(Strength(0.0, 0.1), Strength(1.0, 0.01), 0).at(3) == (1.0, 0.01)

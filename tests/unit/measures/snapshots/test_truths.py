"""The true metrics and the score: closed forms, chance, and what must not matter."""

import jax.numpy as jnp
import numpy as np
import pytest

from w2dual.measures.snapshots import alignment, truths
from w2dual.records import InputError

BOX = (np.array([-1.5, -1.5]), np.array([1.5, 1.5]))
POINTS = alignment.grid(*BOX, 100)


def test_the_grid_has_its_corners_and_keeps_off_the_axes():
    assert POINTS.shape == (10_000, 2)
    assert POINTS.min(axis=0).tolist() == [-1.5, -1.5]
    assert POINTS.max(axis=0).tolist() == [1.5, 1.5]
    assert np.abs(POINTS).min() > 0.01


@pytest.mark.parametrize("name", truths.TRUTHS)
def test_the_field_is_the_cheapest_axis_of_its_metric(name: str):
    """The score takes directions; the published one takes eigenvectors of both metrics."""
    field = truths.TRUTHS[name]
    directions = np.asarray(field(jnp.asarray(POINTS)))
    matrices = truths.metric(field, jnp.asarray(POINTS))
    cheapest = alignment.cheapest(matrices, name)
    # Near the axes x_paths has v = O(x1 x2), so A is I up to 1e-8 and float32 hides its axis.
    clear = np.linalg.norm(directions, axis=1) > 0.05
    assert clear.mean() > 0.8
    assert alignment.of_directions(directions[clear], cheapest[clear]) == pytest.approx(1, abs=1e-5)
    assert np.all(np.linalg.eigvalsh(np.asarray(matrices)) >= 1e-3 - 1e-6)


def test_the_circle_is_a_flat_cone():
    """d^2 = r1^2 + r2^2 - 2 r1 r2 cos(sqrt(eps) angle); along a circle of radius 1, eps angle^2."""
    angles = np.linspace(0, np.pi / 2, 2001)
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    middle, step = (places[1:] + places[:-1]) / 2, np.diff(places, axis=0)
    matrices = np.asarray(truths.metric(truths.circle, jnp.asarray(middle)), np.float64)
    length = np.sqrt(np.einsum("pi,pij,pj->p", step, matrices, step)).sum()
    assert length == pytest.approx(np.sqrt(1e-3) * np.pi / 2, rel=1e-4)


def test_random_directions_score_by_chance():
    generator = np.random.default_rng(0)
    true = np.asarray(truths.circle(jnp.asarray(POINTS)))
    random = generator.normal(size=(10_000, 2))
    assert alignment.of_directions(true, random) == pytest.approx(alignment.CHANCE, abs=0.01)


@pytest.mark.parametrize(
    ("name", "constant"), [("circle", 0.648), ("mass_splitting", 0.707), ("x_paths", 0.707)]
)
def test_a_constant_field_scores_as_computed_elsewhere(name: str, constant: float):
    true = np.asarray(truths.TRUTHS[name](jnp.asarray(POINTS)))
    along = np.tile([1.0, 0.0], (len(POINTS), 1))
    assert alignment.of_directions(true, along) == pytest.approx(constant, abs=1e-3)
    assert alignment.of_directions(true, true) == pytest.approx(1.0, abs=1e-6)


def test_neither_signs_nor_lengths_nor_the_small_eigenvalue_matter():
    generator = np.random.default_rng(1)
    true = np.asarray(truths.circle(jnp.asarray(POINTS)))
    learned = generator.normal(size=(3, 10_000, 2))
    scores = alignment.of_directions(true, learned)
    turned = learned * generator.choice([-3.0, 0.5], size=(3, 10_000, 1))
    np.testing.assert_allclose(alignment.of_directions(true, turned), scores, rtol=1e-9)
    unit = learned[0] / np.linalg.norm(learned[0], axis=1, keepdims=True)
    for small in (1e-3, 0.1, 0.9):
        matrices = np.eye(2) - (1 - small) * unit[:, :, None] * unit[:, None, :]
        found = alignment.of_directions(true, alignment.cheapest(matrices, "test"))
        assert found == pytest.approx(scores[0], abs=1e-6)


@pytest.mark.parametrize(
    "matrix", [[[1.0, 0.0], [0.0, -0.495]], [[1.0, 0.5], [0.0, 1.0]], [[np.nan, 0], [0, 1.0]]]
)
def test_what_is_no_metric_is_refused(matrix: list[list[float]]):
    with pytest.raises(InputError, match="eigenvalues above 0"):
        alignment.cheapest(np.array([np.eye(2), matrix]), "A")

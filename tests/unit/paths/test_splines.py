"""Splines: dimension of the space, continuity, and what 20 samples see of it."""

from __future__ import annotations

import numpy as np
import pytest

from w2dual.paths import splines
from w2dual.records import InputError

KNOTS, POINTS = 30, 20


@pytest.mark.parametrize("kind", splines.BASES)
def test_basis_is_orthonormal_with_a_parameter_a_knot(kind: str) -> None:
    basis = splines.basis(kind, KNOTS)
    assert basis.shape == (4 * (KNOTS - 1), KNOTS)
    np.testing.assert_allclose(basis.T @ basis, np.eye(KNOTS), atol=1e-12)


@pytest.mark.parametrize(("kind", "smooth"), [("c1", 1), ("c2", 2)])
def test_derivatives_are_continuous_up_to_an_order(kind: str, smooth: int) -> None:
    inner = np.arange(1, KNOTS - 1) / (KNOTS - 1)
    below, above = inner - 1e-9, inner + 1e-9
    jumps = [
        np.abs(
            splines.evaluation(above, kind, KNOTS, order)
            - splines.evaluation(below, kind, KNOTS, order)
        ).max()
        for order in range(3)
    ]
    assert max(jumps[: smooth + 1]) < 1e-5
    if smooth == 1:
        assert jumps[2] > 0.1


@pytest.mark.parametrize("kind", splines.BASES)
def test_splines_vanish_at_both_ends(kind: str) -> None:
    ends = splines.evaluation(np.array([0.0, 1.0]), kind, KNOTS)
    np.testing.assert_allclose(ends, 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "largest", "smallest"), [("c1", 0.174, 8.8e-5), ("c2", 0.168, 1.0e-5)]
)
def test_published_samples_see_a_free_polyline(kind: str, largest: float, smallest: float) -> None:
    folded = splines.folded(POINTS, kind, KNOTS)
    singular = np.linalg.svd(folded, compute_uv=False)
    assert np.linalg.matrix_rank(folded) == POINTS - 2
    # Computed with another program, from the published constraints; quoted to two digits.
    assert singular[0] == pytest.approx(largest, rel=0.01)
    assert singular[-1] == pytest.approx(smallest, rel=0.05)


def test_a_basis_without_a_name_or_a_knot_is_refused() -> None:
    with pytest.raises(InputError, match="spline basis 'c3': expected c1 or c2"):
        splines.basis("c3", KNOTS)
    with pytest.raises(InputError, match="1 knots of a spline"):
        splines.basis("c2", 1)

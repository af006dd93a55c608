"""Cubic splines that vanish at both ends, as the published path network's output has them.

A spline on [0, 1] has `knots` equally spaced knots and a cubic on each edge between two, written in
powers of the global t. Continuity and s(0) = s(1) = 0 are linear constraints, and its parameters
are the coordinates in an orthonormal basis of their null space, which has the dimension `knots`.

The basis is from a singular value decomposition, so it is defined up to a rotation. Evaluated at
fixed times, basis and powers fold into one matrix.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float

from w2dual.records import InputError

BASES = ("c1", "c2")
"""`c1`: as stochman 0.3.0 has it, whose rows for the second derivative are [0, 0, 6t, 2] in place
of [0, 0, 2, 6t], so that only value and first derivative are continuous; the published code uses
it. `c2`: cubic splines."""
_POWERS = 4


def times(points: int) -> Float[np.ndarray, " points"]:
    """Return the equally spaced times of a path's points, from 0 to 1."""
    return np.linspace(0.0, 1.0, points)


def powers(t: Float[np.ndarray, " times"], derivative: int = 0) -> Float[np.ndarray, "times 4"]:
    """Return 1, t, t^2 and t^3, or their derivatives of the first or second order."""
    zero, one = np.zeros_like(t), np.ones_like(t)
    rows = {
        0: (one, t, t**2, t**3),
        1: (zero, one, 2 * t, 3 * t**2),
        2: (zero, zero, 2 * one, 6 * t),
    }
    return np.stack(rows[derivative], axis=1)


@functools.cache
def basis(kind: str, knots: int) -> Float[np.ndarray, "coefficients knots"]:
    """Return an orthonormal basis of all splines, a column each: 4 coefficients an edge.

    Raises:
        InputError: the kind is unknown, or there are fewer than two knots.
    """
    if kind not in BASES:
        raise InputError(f"spline basis {kind!r}: expected {' or '.join(BASES)}")
    if knots < 2:
        raise InputError(f"{knots} knots of a spline: expected 2 or more")
    edges = knots - 1
    inner = np.arange(1, edges) / edges
    rows = np.zeros((2 + 3 * (edges - 1), _POWERS * edges))
    rows[0, :_POWERS] = powers(np.zeros(1))[0]
    rows[1, -_POWERS:] = powers(np.ones(1))[0]
    second = powers(inner, 2)
    if kind == "c1":
        second = second[:, [0, 1, 3, 2]]
    for order, block in enumerate((powers(inner), powers(inner, 1), second)):
        for i, row in enumerate(block):
            place = rows[2 + 3 * i + order]
            place[_POWERS * i : _POWERS * (i + 1)] = row
            place[_POWERS * (i + 1) : _POWERS * (i + 2)] = -row
    _, singular, right = np.linalg.svd(rows)
    rank = int(np.sum(singular > singular[0] * 1e-12))
    return right[rank:].T


def evaluation(
    t: Float[np.ndarray, " times"], kind: str, knots: int, derivative: int = 0
) -> Float[np.ndarray, "times knots"]:
    """Return the matrix from a spline's parameters to its values, or derivatives, at times."""
    edges = knots - 1
    edge = np.minimum((t * edges).astype(int), edges - 1)
    coefficients = basis(kind, knots).reshape(edges, _POWERS, knots)
    return np.einsum("tp,tpk->tk", powers(t, derivative), coefficients[edge])


def folded(points: int, kind: str, knots: int) -> Float[np.ndarray, "interior knots"]:
    """Return the matrix from a spline's parameters to its values at a path's interior points."""
    return evaluation(times(points)[1:-1], kind, knots)

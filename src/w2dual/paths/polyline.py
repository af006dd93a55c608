"""The best polyline between two points, by a Newton method on its interior points.

The Hessian of a sum over segments is block tridiagonal, so a step costs as much as the points are
many. Where the potential makes it indefinite, or a step would not lower the energy, a multiple of
the identity is added (Levenberg and Marquardt; Nocedal and Wright, section 10.3), for each path its
own. What is found is a local minimum near the start: which side of an obstacle a path takes, the
start decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from w2dual.paths.action import Interior, Lagrangian, Numbers, Points, energy, joined

DAMPING = 1e-3
"""The least multiple of the identity that is added, of the largest entry of a diagonal block."""
FACTOR = 8.0
"""By which a multiple grows where a step fails; it shrinks by the same where one succeeds."""


class Minimum(NamedTuple):
    """The best interior points found, and the largest entry of the energy's gradient there."""

    interior: Interior
    gradient_norm: Numbers


class _Quadratic(NamedTuple):
    """Gradient and block tridiagonal Hessian at the interior points."""

    gradient: Interior
    diagonal: Float[Array, "interior n n *batch"]
    upper: Float[Array, "above n n *batch"]


class _Search(NamedTuple):
    interior: Interior
    energy: Numbers
    damping: Numbers


def minimise(
    lagrangian: Lagrangian, x: Points, y: Points, interior: Interior, steps: int
) -> Minimum:
    """Return the path of least energy near a start, after a fixed number of Newton steps.

    Args:
        lagrangian: what is minimised.
        x: first points, (n, *batch).
        y: last points, (n, *batch).
        interior: start, (segments - 1, n, *batch).
        steps: to take; a step that would raise the energy is taken back and counts.
    """

    def value(points: Interior) -> Numbers:
        return energy(lagrangian, joined(x, points, y))

    def body(_: Array, search: _Search) -> _Search:
        # A barrier, since XLA would spend seconds on folding a Hessian that is constant.
        model = jax.lax.optimization_barrier(_expand(lagrangian, joined(x, search.interior, y)))
        scale = jnp.max(jnp.abs(model.diagonal), axis=(0, 1, 2))
        step, positive = _solve(model, search.damping * scale)
        trial = search.interior - step
        reached = value(trial)
        room = 4 * jnp.finfo(reached.dtype).eps * jnp.abs(search.energy)
        better = positive & (reached <= search.energy + room)
        smaller = jnp.where(search.damping > DAMPING, search.damping / FACTOR, 0.0)
        larger = jnp.maximum(search.damping * FACTOR, DAMPING)
        return _Search(
            jnp.where(better, trial, search.interior),
            jnp.where(better, reached, search.energy),
            jnp.where(better, smaller, larger),
        )

    first = value(interior)
    search = jax.lax.fori_loop(
        0, steps, body, _Search(interior, first, jnp.zeros_like(first)), unroll=False
    )
    return Minimum(search.interior, gradient_norm(lagrangian, x, y, search.interior))


def gradient_norm(lagrangian: Lagrangian, x: Points, y: Points, interior: Interior) -> Numbers:
    """Return the largest entry of the energy's gradient at each path's interior points."""
    gradient = jax.grad(lambda points: jnp.sum(energy(lagrangian, joined(x, points, y))))(interior)
    return jnp.max(jnp.abs(gradient), axis=(0, 1))


def _expand(lagrangian: Lagrangian, path: Any) -> _Quadratic:
    """Return the second-order expansion of the energy in the interior points."""
    vectors = jnp.moveaxis(path, 0, 1)
    p, q = vectors[:, :-1], vectors[:, 1:]
    n = p.shape[0]

    def slopes(p: Array, q: Array) -> tuple[Array, Array]:
        return jax.grad(lambda *ends: jnp.sum(lagrangian.segment(*ends)), argnums=(0, 1))(p, q)

    (left, right), along = jax.linearize(slopes, p, q)
    still = jnp.zeros_like(p)
    by_left = [along(still.at[j].set(1.0), still) for j in range(n)]
    by_right = [along(still, still.at[j].set(1.0)) for j in range(n)]
    # Column j of each block; then (segments, n, n, *batch).
    left_left = jnp.moveaxis(jnp.stack([item[0] for item in by_left], axis=1), 2, 0)
    left_right = jnp.moveaxis(jnp.stack([item[0] for item in by_right], axis=1), 2, 0)
    right_right = jnp.moveaxis(jnp.stack([item[1] for item in by_right], axis=1), 2, 0)
    return _Quadratic(
        gradient=jnp.moveaxis(right[:, :-1] + left[:, 1:], 1, 0),
        diagonal=right_right[:-1] + left_left[1:],
        upper=left_right[1:-1],
    )


def _solve(model: _Quadratic, damping: Numbers) -> tuple[Interior, Bool[Array, "*batch"]]:
    """Solve (H + damping I) step = gradient by block elimination.

    Returns:
        The step, and whether H + damping I is positive definite; where it is not, the step is of no
        use.
    """
    n = model.gradient.shape[1]
    eye = jnp.eye(n, dtype=damping.dtype).reshape(n, n, *(1,) * damping.ndim)
    diagonal = model.diagonal + (damping[None, None] * eye)[None]
    above = jnp.concatenate([model.upper, jnp.zeros_like(diagonal[:1])])

    def forward(carry: Any, row: Any) -> tuple[Any, Any]:
        coupling, reduced, rhs, positive = carry
        block, gradient, upper = row
        # coupling = D^-1 U and reduced = D^-1 r of the row before, rhs its U.
        down = jnp.swapaxes(rhs, 0, 1)
        block = block - _product(down, coupling)
        gradient = gradient - _product(down, reduced[:, None])[:, 0]
        both, fine = _eliminate(block, jnp.concatenate([upper, gradient[:, None]], axis=1))
        new = (both[:, :n], both[:, n], upper, positive & fine)
        return new, (both[:, :n], both[:, n])

    nothing = jnp.zeros_like(diagonal[0])
    start = (nothing, nothing[0], nothing, jnp.ones(damping.shape, bool))
    rows = (diagonal, model.gradient, above)
    (_, _, _, positive), (couplings, reduced) = jax.lax.scan(forward, start, rows)

    def backward(later: Array, row: Any) -> tuple[Array, Array]:
        coupling, own = row
        step = own - _product(coupling, later[:, None])[:, 0]
        return step, step

    _, steps = jax.lax.scan(
        backward, jnp.zeros_like(reduced[0]), (couplings, reduced), reverse=True
    )
    return steps, positive


def _product(a: Array, b: Array) -> Array:
    """Return the products of small matrices, as sums of whole arrays over what is batched."""
    return jnp.sum(a[:, :, None] * b[None], axis=1)


def _eliminate(block: Array, right: Array) -> tuple[Array, Array]:
    """Solve a small symmetric system by elimination, (n, n, *batch) and (n, columns, *batch).

    Returns:
        The solution, and whether all pivots are positive, as they are where the block is positive
        definite.
    """
    n = block.shape[0]
    rows = [jnp.concatenate([block[i], right[i]]) for i in range(n)]
    positive = jnp.ones(block.shape[2:], bool)
    for i in range(n):
        pivot = rows[i][i]
        positive &= pivot > 0
        rows[i] = rows[i] / jnp.where(pivot > 0, pivot, 1.0)[None]
        for j in range(n):
            if j != i:
                rows[j] = rows[j] - rows[j][i][None] * rows[i]
    return jnp.stack([row[n:] for row in rows]), positive

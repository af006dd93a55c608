"""The Sinkhorn divergence between two sets of points, and its gradient in the first.

    S(x, y) = OT_e(x, y) - 1/2 OT_e(x, x) - 1/2 OT_e(y, y),   cost 1/2 |x - y|^2,   e = blur^2

All points of a set have one weight. It is 0 for equal sets, where the entropic cost is not. The
algorithm is that of Feydy et al. (2019), as GeomLoss 0.2 has it for p = 2: epsilon falls from the
square of the diameter of both sets to blur^2, by the square of `scaling` from one iteration to the
next; an iteration moves both potentials of a problem together, each halfway; and a last one at
blur^2 moves them the whole way. So it ends after a number of iterations that the sets' diameter
sets, converged or not. The gradient takes the potentials as they are (the envelope theorem):

    dS/dx_i = 1/m [ sum_j Q_ij x_j - sum_j P_ij y_j ]

with P the coupling to y and Q that of x to itself, normalised by rows.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.entropic.geometry import Dense

Points = Float[Array, "m n"]
Others = Float[Array, "k n"]


class Divergence(NamedTuple):
    """S of two sets, and its gradient in each point of the first."""

    value: Float[Array, ""]
    gradient: Points


class _Potentials(NamedTuple):
    """Of the problem between both sets, and of each set's with itself."""

    f: Float[Array, " m"]
    g: Float[Array, " k"]
    own_x: Float[Array, " m"]
    own_y: Float[Array, " k"]


class _State(NamedTuple):
    potentials: _Potentials
    epsilon: Float[Array, ""]
    first: Array
    ended: Array


def divergence(x: Points, y: Others, blur: float, scaling: float = 0.5) -> Divergence:
    """Return S(x, y) and its gradient in x, for one instance.

    Args:
        x: points.
        y: other points.
        blur: root of the last epsilon, in the units of the points.
        scaling: factor between the roots of two epsilons that follow each other; nearer to 1 means
            more iterations.
    """
    between, among_x, among_y = _costs(x, y), _costs(x, x), _costs(y, y)
    log_a, log_b = (-jnp.log(jnp.asarray(len(points), x.dtype)) for points in (x, y))

    def updated(at: _Potentials, epsilon: Array) -> _Potentials:
        def smallest(cost: Array, log_weight: Array, over: Array) -> Array:
            return -epsilon * Dense(cost / epsilon).over_columns(log_weight + over / epsilon)

        return _Potentials(
            smallest(between, log_b, at.g),
            smallest(between.T, log_a, at.f),
            smallest(among_x, log_a, at.own_x),
            smallest(among_y, log_b, at.own_y),
        )

    floor = jnp.asarray(blur**2, x.dtype)

    def iterate(state: _State) -> _State:
        moved = updated(state.potentials, state.epsilon)
        halfway = jax.tree.map(lambda old, new: 0.5 * (old + new), state.potentials, moved)
        # The first epsilon is taken twice.
        following = jnp.maximum(jnp.where(state.first, 1.0, scaling**2) * state.epsilon, floor)
        ended = (state.epsilon <= floor) | ~jnp.isfinite(state.epsilon)
        return _State(halfway, following, jnp.zeros_like(state.first), ended)

    corners = [f(jnp.stack([f(x, 0), f(y, 0)]), 0) for f in (jnp.max, jnp.min)]
    epsilon = jnp.maximum(jnp.sum((corners[0] - corners[1]) ** 2), floor)
    zeros = _Potentials(*(jnp.zeros(len(item), x.dtype) for item in (x, y, x, y)))
    start = _State(updated(zeros, epsilon), epsilon, jnp.array(True), jnp.array(False))
    found = jax.lax.while_loop(lambda state: ~state.ended, iterate, start).potentials
    last = updated(found, floor)
    value = jnp.mean(last.f - last.own_x) + jnp.mean(last.g - last.own_y)
    to_y = jax.nn.softmax((found.g[None] - between) / floor, axis=1)
    to_x = jax.nn.softmax((found.own_x[None] - among_x) / floor, axis=1)
    return Divergence(value, (to_x @ x - to_y @ y) / len(x))


def _costs(x: Points, y: Others) -> Float[Array, "m k"]:
    return 0.5 * jnp.sum((x[:, None] - y[None]) ** 2, axis=-1)

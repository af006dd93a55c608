"""[QC], WGAN-QC: potentials regressed on the optimal assignment of each batch.

For the cost c(y, x) = 1/2 ||y - x||^2 the linear programme of a batch of B points of each measure,

    max mean_i h(y_i) - mean_j h(x_j)   where   h(y_i) - h(x_j) <= c(y_i, x_j),

gives h, shifted to mean 0 over the 2 B points, and a plan, which is an assignment y(x). With
d = D - 1/2 ||.||^2 the loss of D is

    1/2 (mean d(y) - mean h(y))^2 + 1/2 mean (d(x) - h(x))^2
    + 2 gamma mean (||grad d(x)|| / 2 - ||y(x) - x|| / 2)^2.

C has the same with source and target in each other's place, for which h is -h. Neither is clamped.
Source: Liu et al., ICCV 2019; QC_test_hd_benchmark.ipynb.

# DIFFERS: the assignment is SciPy's, where the published code takes a vertex of GLPK's. The
assignments are equal. The h of a linear programme of this kind is not unique, and which of its
vertices GLPK ends at is not known; here it is the one whose tight constraints are the shortest
paths from the batch's first x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from w2dual.training.methods.base import Batch, Batches, Params
from w2dual.training.methods.two_potentials import (
    Both,
    BothState,
    Losses,
    Points,
    TwoPotentials,
    common,
    own,
    whole,
)

NEEDS = ("potential",)
"""The parts of a cell's settings that it is made of."""

Numbers = Any


class Assignment(NamedTuple):
    """The optimal one of each seed's batch.

    Attributes:
        of_x: for each x the index of its y.
        of_y: for each y the index of its x.
        h_x, h_y: the linear programme's h.
    """

    of_x: Int[Numbers, "*seeds batch"]
    of_y: Int[Numbers, "*seeds batch"]
    h_x: Float[Numbers, "*seeds batch"]
    h_y: Float[Numbers, "*seeds batch"]


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        gamma: weight of the gradient's penalty.
    """

    gamma: float


@dataclass(frozen=True)
class WGANQC(TwoPotentials):
    """The method; the host finds the assignments."""

    gamma: float
    calls_host: ClassVar[bool] = True

    def train(
        self, state: BothState, batches: Batches, over: str | None
    ) -> tuple[Both, Both, Losses]:
        """Assign the batch, then take one step on D and one on C."""
        x, y = whole(batches.source(), over), whole(batches.target(), over)
        return self.step_both(self.loss, state, x, y, assigned(x, y), over=over)

    def loss(self, params: Both, x: Points, y: Points, found: Assignment) -> tuple[Array, Losses]:
        """Return the sum of D's loss and C's of one seed, and the parts."""
        forward = self.one_sided(params.potential, x, y, y[found.of_x], found.h_x, found.h_y)
        backward = self.one_sided(params.inverse, y, x, x[found.of_y], -found.h_y, -found.h_x)
        return forward + backward, Losses(forward + backward, forward, backward)

    def one_sided(
        self, params: Params, x: Points, y: Points, image: Points, h_x: Array, h_y: Array
    ) -> Array:
        """Return the loss of one potential; `image` is y(x)."""

        def lowered(points: Points) -> Array:
            return self.value(params, points) - 0.5 * jnp.sum(points**2, axis=-1)

        ends = 0.5 * (jnp.mean(lowered(y)) - jnp.mean(h_y)) ** 2
        starts = 0.5 * jnp.mean((lowered(x) - h_x) ** 2)
        slope = optax.safe_norm(self.gradient(params, x) - x, 1e-12, axis=-1)
        moved = jnp.linalg.norm(image - x, axis=-1)
        return ends + starts + 2 * self.gamma * jnp.mean((slope / 2 - moved / 2) ** 2)


def assigned(x: Batch, y: Batch) -> Assignment:
    """Return the optimal assignment of each seed's batch, from the host."""
    shape = x.shape[:2]
    index, number = jax.ShapeDtypeStruct(shape, jnp.int32), jax.ShapeDtypeStruct(shape, x.dtype)
    shapes = Assignment(index, index, number, number)
    return jax.pure_callback(_assign, shapes, x, y, vmap_method="sequential")


def _assign(x: Any, y: Any) -> Assignment:
    found = [assign(*points) for points in zip(np.asarray(x), np.asarray(y), strict=True)]
    kinds = (np.int32, np.int32, x.dtype, x.dtype)
    return Assignment(
        *(
            np.stack(leaves).astype(kind)
            for leaves, kind in zip(zip(*found, strict=True), kinds, strict=True)
        )
    )


def assign(x: Float[np.ndarray, "batch n"], y: Float[np.ndarray, "batch n"]) -> Assignment:
    """Return the optimal assignment of one batch, with the linear programme's h.

    Of points that are not finite there is none: h is not a number, which makes the seed diverge.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        places, nothing = np.arange(len(x)), np.full(len(x), np.nan)
        return Assignment(places, places, nothing, nothing)
    cost = 0.5 * cdist(y, x, "sqeuclidean")
    _, of_y = linear_sum_assignment(cost)
    of_x = np.argsort(of_y)
    # h(y_i) is h(x) + c at the x of y_i; then h(x_k) - h(x_j) <= length[j, k] is what remains.
    length = cost[of_x].T - cost[of_x, np.arange(len(x))]
    h_x = _shortest(length)
    h_y = h_x[of_y] + cost[np.arange(len(y)), of_y]
    shift = np.mean([h_x, h_y])
    return Assignment(of_x, of_y, h_x - shift, h_y - shift)


def _shortest(length: Float[np.ndarray, "from to"]) -> Float[np.ndarray, " to"]:
    """Return the lengths of the shortest paths from the first point (Bellman and Ford)."""
    found = length[0]
    for _ in range(len(found)):
        shorter = np.minimum(found, np.min(found[:, None] + length, axis=0))
        if np.array_equal(shorter, found):
            break
        found = shorter
    return found


def make(settings: Mapping[str, Any], dimension: int) -> WGANQC:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown or settings do not fit.
    """
    return WGANQC(**common(settings, dimension), gamma=own(Settings, settings).gamma)

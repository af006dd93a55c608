"""How good a map is where the optimal one is unknown: does it move one measure onto the other?

Forward: samples of the source, moved by T = grad f, against samples of the target; inverse: samples
of the target, moved by x_hat = grad f*, against samples of the source. All samples are fresh, drawn
from streams that training does not use. Two distances between sample sets of equal size, both mean
squared distances under a coupling:

- `sinkhorn`: of the entropic coupling, by OTT-JAX, as in the published code (w2ot/data.py). The
  regularisation is a fraction of the mean squared distance within the set that is aimed at.
- `w2`: of the optimal assignment, by SciPy: the squared Wasserstein-2 distance of the two sets.

Neither is 0 for two sample sets of one law: the `floor` is what two fresh sets of the measure that
is aimed at have between them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from w2dual.backend import jit
from w2dual.conjugate import ConjugateResult, Status
from w2dual.training.methods import Conjugating, Method

Sets = Float[Array, "seeds samples n"]
ENDS = ("forward", "inverse")


class TransportEvaluation(NamedTuple):
    """Of each seed, on fresh samples; squared distances, in the units of the points.

    Attributes:
        sinkhorn_forward, sinkhorn_inverse: between moved samples and the measure aimed at.
        sinkhorn_floor_forward, sinkhorn_floor_inverse: between two sample sets of that measure.
        w2_forward, w2_inverse, w2_floor_forward, w2_floor_inverse: the same by assignment.
        cost_forward, cost_inverse: mean squared distance that the map moves a point.
        monge_gap_forward, monge_gap_inverse: how much of it the assignment of the moved points to
            where they came from would save, 0 for an optimal map (Uscidda and Cuturi 2023).
        cycle_forward: E||x_hat(T(x)) - x||^2 over the source; cycle_inverse: E||T(x_hat(y)) - y||^2
            over the target.
        dual_objective: V.
        conjugate_*: state of the conjugate solver at samples of the target. Neither is a number
            for a method that has no conjugate.
    """

    sinkhorn_forward: Float[Any, " seeds"]
    sinkhorn_inverse: Float[Any, " seeds"]
    sinkhorn_floor_forward: Float[Any, " seeds"]
    sinkhorn_floor_inverse: Float[Any, " seeds"]
    w2_forward: Float[Any, " seeds"]
    w2_inverse: Float[Any, " seeds"]
    w2_floor_forward: Float[Any, " seeds"]
    w2_floor_inverse: Float[Any, " seeds"]
    cost_forward: Float[Any, " seeds"]
    cost_inverse: Float[Any, " seeds"]
    monge_gap_forward: Float[Any, " seeds"]
    monge_gap_inverse: Float[Any, " seeds"]
    cycle_forward: Float[Any, " seeds"]
    cycle_inverse: Float[Any, " seeds"]
    dual_objective: Float[Any, " seeds"]
    conjugate_iterations_mean: Float[Any, " seeds"]
    conjugate_gradient_norm_median: Float[Any, " seeds"]
    conjugate_gradient_norm_max: Float[Any, " seeds"]
    conjugate_status_counts: Int[Any, "seeds statuses"]


def evaluator(
    method: Method[Any], epsilon: float
) -> Callable[[Any, Key[Array, " seeds"], Any, int], TransportEvaluation]:
    """Return a function of (params, one key per seed, pair, samples) that evaluates every seed.

    Args:
        method: what is trained.
        epsilon: regularisation of Sinkhorn's algorithm, as a fraction of the mean squared distance
            between two sample sets of the measure aimed at.
    """
    compiled = jit(partial(_moved, method), static_argnums=3)

    def evaluate(
        params: Any, key: Key[Array, " seeds"], pair: Any, samples: int
    ) -> TransportEvaluation:
        if samples < 2:
            raise ValueError(f"samples = {samples}; expected 2 or more")
        moved = compiled(params, key, pair, samples)
        found: dict[str, Any] = {}
        for end, start, image, aim, other in (
            ("forward", moved.x, moved.pushed, moved.y, moved.other_y),
            ("inverse", moved.y, moved.pulled, moved.x, moved.other_x),
        ):
            found[f"sinkhorn_{end}"] = sinkhorn(image, aim, other, epsilon)
            found[f"sinkhorn_floor_{end}"] = sinkhorn(other, aim, other, epsilon)
            found[f"w2_{end}"] = assignment(image, aim)
            found[f"w2_floor_{end}"] = assignment(other, aim)
            cost = np.mean(np.sum((np.asarray(image) - np.asarray(start)) ** 2, axis=2), axis=1)
            found[f"cost_{end}"] = cost
            found[f"monge_gap_{end}"] = cost - assignment(start, image)
        return TransportEvaluation(**found, **moved.measured)

    return evaluate


class _Moved(NamedTuple):
    """Samples, where the maps take them, and what needs no coupling."""

    x: Sets
    y: Sets
    other_x: Sets
    other_y: Sets
    pushed: Sets
    pulled: Sets
    measured: dict[str, Array]


def _moved(
    method: Method[Any], params: Any, key: Key[Array, " seeds"], pair: Any, samples: int
) -> _Moved:
    keys = jax.vmap(lambda k: jax.random.split(k, 4))(key)
    x, other_x = (jax.vmap(lambda k: pair.sample_source(k, samples))(keys[:, i]) for i in (0, 1))
    y, other_y = (jax.vmap(lambda k: pair.sample_target(k, samples))(keys[:, i]) for i in (2, 3))
    # One inverse map of both, so that a solver is compiled once.
    if isinstance(method, Conjugating):
        value, pushed = method.oracle(params)(x)
        result = method.conjugate(params, jnp.concatenate([y, pushed], axis=1))
        images, conjugation = result.x, _conjugation(result, value, samples)
    else:
        pushed = method.push(params, x)
        images = method.pull(params, jnp.concatenate([y, pushed], axis=1))
        conjugation = _unknown(len(x))
    pulled, back = images[:, :samples], images[:, samples:]

    def mean_square(difference: Sets) -> Float[Array, " seeds"]:
        return jnp.mean(jnp.sum(difference**2, axis=2), axis=1)

    measured = {
        "cycle_forward": mean_square(back - x),
        "cycle_inverse": mean_square(method.push(params, pulled) - y),
    }
    return _Moved(x, y, other_x, other_y, pushed, pulled, measured | conjugation)


def _conjugation(result: ConjugateResult, value: Array, samples: int) -> dict[str, Array]:
    """Measure the conjugates of the first points, samples of the target.

    Args:
        result: of all points.
        value: f at samples of the source.
        samples: how many come first.
    """
    status, norm = result.status[:, :samples], result.gradient_norm[:, :samples]
    return {
        "dual_objective": jnp.mean(result.value[:, :samples] - value, axis=1),
        "conjugate_iterations_mean": jnp.mean(
            result.iterations[:, :samples].astype(jnp.float32), axis=1
        ),
        "conjugate_gradient_norm_median": jnp.median(norm, axis=1),
        "conjugate_gradient_norm_max": jnp.max(norm, axis=1),
        "conjugate_status_counts": jnp.stack([jnp.sum(status == s, axis=1) for s in Status], 1),
    }


def _unknown(seeds: int) -> dict[str, Array]:
    """Return the same of a method that has no conjugate."""
    names = ("dual_objective", "conjugate_iterations_mean")
    names += ("conjugate_gradient_norm_median", "conjugate_gradient_norm_max")
    counts = jnp.zeros((seeds, len(Status)), jnp.int32)
    return dict.fromkeys(names, jnp.full(seeds, jnp.nan)) | {"conjugate_status_counts": counts}


def sinkhorn(a: Sets, b: Sets, other: Sets, epsilon: float) -> Float[Array, " seeds"]:
    """Return the mean squared distance under the entropic coupling of each seed's two sets.

    Args:
        a: one set of each seed.
        b: another.
        other: of the same measure as `b`; the mean squared distance between the two, times
            `epsilon`, is the regularisation.
        epsilon: a fraction.
    """
    return _sinkhorn(a, b, other, jnp.float32(epsilon))


@jax.jit
def _sinkhorn(a: Sets, b: Sets, other: Sets, epsilon: Float[Array, ""]) -> Float[Array, " seeds"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of jaxopt, which OTT-JAX imports
        from ott.geometry import pointcloud
        from ott.solvers import linear

    def one(sets: tuple[Array, Array, Array]) -> Array:
        moved, aim, twin = sets
        scale = pointcloud.PointCloud(twin, aim).mean_cost_matrix
        geometry = pointcloud.PointCloud(moved, aim, epsilon=epsilon * scale)
        return jnp.asarray(linear.solve(geometry).primal_cost)

    # OTT-JAX relies on NumPy's rule for shapes of different rank.
    with jax.numpy_rank_promotion("allow"):
        return jax.lax.map(one, (a, b, other))


def assignment(a: Sets, b: Sets) -> Float[np.ndarray, " seeds"]:
    """Return the mean squared distance under the optimal assignment of each seed's two sets.

    It is not finite where a point is not.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    found = []
    for one, other in zip(np.asarray(a, np.float64), np.asarray(b, np.float64), strict=True):
        distances = cdist(one, other, "sqeuclidean")
        if not np.isfinite(distances).all():
            found.append(np.nan)
            continue
        found.append(distances[linear_sum_assignment(distances)].mean())
    return np.array(found)

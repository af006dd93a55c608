"""How good the map of a Lagrangian cost is, by samples: its marginal, and what its paths cost.

The marginal, squared distances of pushed samples to samples of the target:

- `w2`: of the optimal assignment.
- `published`: the entropic one of few samples, <P, C> + epsilon KL(P | a b), by OTT-JAX, as the
  published table has it. It is not 0 for two sets of one law, and not even for one set and itself.

Both stand beside their floor, what a perfect map leaves on the same samples: where source and
target are one law shifted, the shift, which pushes the one onto the other; else a fresh sample of
the target. The cost is of the best paths found to where the map takes a point (`paths.search`), in
the published unit, 1/19 of the action; beside it the same of the shift, which is the best known
coupling of these measures.

A method whose map is random (`along_paths`) is measured twice: where one drawn path of each sample
leads, and where the mean of many does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from w2dual import rng
from w2dual.backend import jit
from w2dual.config.cells import Cell
from w2dual.config.settings import LagrangianEvaluationSettings
from w2dual.conjugate import ConjugateResult, Status
from w2dual.evaluation.base import COUNTS, CellEvaluation
from w2dual.evaluation.samples import Sets, assignment
from w2dual.measures import Pair
from w2dual.measures.pairs.synthetic import SyntheticPair
from w2dual.measures.synthetic.laws import Uniform
from w2dual.paths import polyline, search
from w2dual.paths.action import Action, Path, Rule, joined
from w2dual.records import InputError
from w2dual.training.health import SOLVED
from w2dual.training.methods import Method
from w2dual.training.methods.along_paths import AlongPaths, Scene
from w2dual.training.watch import Headline

SEGMENTS = 96
"""Of the paths that are found again."""
BENDS = (0.0, 0.5, -0.5, 1.0, -1.0)
"""Of their starts, in the units of the points."""
TEMPERATURES = (0.1, 0.05, 0.02)
"""Of the stages before the last, which is at the cell's own."""
NEWTON_STEPS = 12
"""In each stage."""
WALL = 0.5
"""A path is inside an obstacle where -U(x) is above this fraction of its strength."""
FINE = 8
"""Points of each segment at which that is looked at."""
NEAR_STEPS = 30
"""Of Newton's method, from a method's own path to the best near it."""


class Evaluation(NamedTuple):
    """Of each seed, on fresh samples; squared distances in the units of the points.

    Attributes:
        w2, w2_floor: by assignment, of the map and of a perfect one.
        published, published_floor: the same by the published measure, on a set that is the same at
            each evaluation of a run, as there.
        cost: mean cost of the best paths found.
        cost_reference: the same of the shift; not a number where the measures have none.
        own_cost: mean action of the method's own paths, of a random map that of its drift.
        path_gap: mean cost of the method's own paths less that of the best near them; not a number
            for a random map, whose paths have no finite cost.
        inside_fraction: of the method's own paths, those that enter a wall; not a number where the
            obstacle has no walls.
        *_expected: the same of a random map's expected paths; not a number for another.
        dual_objective: E[g(y)] + E[g^c(x)]; not a number without a dual.
        conjugate_*: how the solver fared at samples of the source; nothing without one.
    """

    w2: Float[Any, " seeds"]
    w2_floor: Float[Any, " seeds"]
    published: Float[Any, " seeds"]
    published_floor: Float[Any, " seeds"]
    cost: Float[Any, " seeds"]
    cost_reference: Float[Any, " seeds"]
    own_cost: Float[Any, " seeds"]
    path_gap: Float[Any, " seeds"]
    inside_fraction: Float[Any, " seeds"]
    w2_expected: Float[Any, " seeds"]
    published_expected: Float[Any, " seeds"]
    cost_expected: Float[Any, " seeds"]
    inside_fraction_expected: Float[Any, " seeds"]
    dual_objective: Float[Any, " seeds"]
    conjugate_iterations_mean: Float[Any, " seeds"]
    conjugate_gradient_norm_median: Float[Any, " seeds"]
    conjugate_gradient_norm_max: Float[Any, " seeds"]
    conjugate_status_counts: Int[Any, "seeds statuses"]


@dataclass(frozen=True)
class LagrangianEvaluation(CellEvaluation):
    """What evaluates such a cell; nothing of it is timed."""

    def record(self, values: Any, index: int, diverged: bool) -> dict[str, Any]:
        """Return the figures of a seed, and how its c-transforms ended."""
        counts = values.conjugate_status_counts[index]
        statuses = {s.name.lower(): int(counts[s]) for s in SOLVED}
        return super().record(values, index, diverged) | {"conjugate_status": statuses}


def make(method: Method[Any], pair: Pair, cell: Cell) -> LagrangianEvaluation:
    """Build what evaluates a cell.

    Raises:
        InputError: the method takes points along no paths, its settings lack what is said here, or
            an obstacle or the bounds do not fit the measures.
    """
    settings = cell.evaluation
    scene = method.scene if isinstance(method, AlongPaths) else None
    if not isinstance(method, AlongPaths) or scene is None:
        raise InputError(f"cell {cell.name}: the evaluation `lagrangian` is of costs along paths")
    if not isinstance(settings, LagrangianEvaluationSettings):
        raise InputError(
            f"cell {cell.name}: `settings.evaluation` lacks `published_samples`, "
            "`published_epsilon` and `cost_samples`"
        )
    check(scene, pair, cell.name)
    return LagrangianEvaluation(
        method=method,
        pair=pair,
        cell=cell,
        headline=Headline("w2", "W2 squared"),
        columns=tuple(name for name in Evaluation._fields if name != COUNTS),
        errors=("w2", "published"),
        evaluator=evaluator(method, scene, settings),
    )


def check(scene: Scene, pair: Pair, name: str) -> None:
    """Check that samples of the measures are within the bounds, and outside all obstacles.

    Raises:
        InputError: they are not, or U is not a finite number, or is positive, at one.
    """
    key, side = rng.stream(0, "check of an obstacle"), scene.bound or 0.0
    for which, sample in (("source", pair.sample_source), ("target", pair.sample_target)):
        points = sample(key, 1024)
        largest = float(jnp.max(jnp.abs(points)))
        if scene.bound is not None and largest > scene.bound:
            raise InputError(
                f"cell {name}: `bound` {scene.bound:g} does not hold the samples of the {which}, "
                f"of which one has a coordinate of {largest:.3g}; expected that much or more"
            )
        _check_potential(scene, points.T, f"cell {name}: at samples of the {which}", outside=True)
        side = max(side, largest)
    grid = jnp.stack(jnp.meshgrid(*[jnp.linspace(-side, side, 65)] * 2)).reshape(2, -1)
    if pair.dimension == 2:
        _check_potential(scene, grid, f"cell {name}: within the bounds", outside=False)


def _check_potential(scene: Scene, x: Array, where: str, outside: bool) -> None:
    found = np.asarray(scene.potential()(x))
    if not np.isfinite(found).all():
        place = np.asarray(x)[:, np.argmin(np.isfinite(found))]
        raise InputError(
            f"{where} the obstacle's U is {found[~np.isfinite(found)][0]} at {place.round(3)}; "
            "expected a finite number everywhere: a wall is a high penalty, not an infinite one"
        )
    if outside and scene.walls and (found < -WALL * scene.strength).any():
        place = np.asarray(x)[:, np.argmin(found)]
        raise InputError(
            f"{where} one is inside the obstacle, {place.round(3)}; expected measures outside: "
            "move or shrink one of them"
        )


def shift_of(pair: Pair) -> Float[np.ndarray, " n"] | None:
    """Return the shift that pushes the source onto the target; None where there is none."""
    if not isinstance(pair, SyntheticPair):
        return None
    source, target = pair.source, pair.target
    if not isinstance(source, Uniform) or not isinstance(target, Uniform):
        return None
    shifts = np.subtract(target.low, source.low), np.subtract(target.high, source.high)
    return shifts[0].astype(np.float32) if np.allclose(*shifts) else None


class _Moved(NamedTuple):
    x: Sets
    y: Sets
    other_y: Sets
    pushed: Sets
    expected: Sets | None
    measured: dict[str, Array]


def points_drawn(settings: LagrangianEvaluationSettings) -> int:
    """Return how many points are drawn: as many each time, so that one program does for a run."""
    return max(
        settings.samples,
        settings.history_samples,
        settings.published_samples,
        settings.cost_samples,
    )


def evaluator(
    method: AlongPaths[Any], scene: Scene, settings: LagrangianEvaluationSettings
) -> Callable[[Any, Key[Array, " seeds"], Any, int], Evaluation]:
    """Return a function of (params, one key per seed, pair, samples) that evaluates every seed."""
    few, epsilon = settings.published_samples, settings.published_epsilon
    size = points_drawn(settings)
    moved_of = jit(partial(_moved, method, scene), static_argnums=3)
    costs_of = jit(partial(_costs, scene))

    def evaluate(params: Any, key: Key[Array, " seeds"], pair: Any, samples: int) -> Evaluation:
        moved = moved_of(params, key, pair, size)
        shift = shift_of(pair)
        perfect = moved.other_y if shift is None else moved.x + shift[None, None]
        start = moved.x[:, : settings.cost_samples]

        def measured(image: Sets) -> tuple[Any, Any, Any]:
            return (
                assignment(image[:, :samples], moved.y[:, :samples]),
                entropic(image[:, :few], moved.y[:, :few], epsilon),
                np.asarray(costs_of(start, image[:, : settings.cost_samples])),
            )

        w2, published, cost = measured(moved.pushed)
        unknown = np.full(len(cost), np.nan)
        expected = (unknown,) * 3 if moved.expected is None else measured(moved.expected)
        reference = unknown if shift is None else costs_of(start, start + shift[None, None])
        return Evaluation(
            w2=w2,
            w2_floor=assignment(perfect[:, :samples], moved.y[:, :samples]),
            published=published,
            published_floor=entropic(perfect[:, :few], moved.y[:, :few], epsilon),
            cost=cost,
            cost_reference=np.asarray(reference),
            w2_expected=expected[0],
            published_expected=expected[1],
            cost_expected=expected[2],
            **moved.measured,
        )

    return evaluate


def _moved(
    method: AlongPaths[Any],
    scene: Scene,
    params: Any,
    key: Key[Array, " seeds"],
    pair: Any,
    size: int,
) -> _Moved:
    keys = jax.vmap(lambda k: jax.random.split(k, 3))(key)
    x = jax.vmap(lambda k: pair.sample_source(k, size))(keys[:, 0])
    y, other_y = (jax.vmap(lambda k: pair.sample_target(k, size))(keys[:, i]) for i in (1, 2))
    found = method.travel(params, x)
    unknown, expected = jnp.full(len(x), jnp.nan), found.expected
    measured = {
        "own_cost": jnp.mean(found.action, axis=1),
        "path_gap": _gap(scene.action(method.rule), found.path) if expected is None else unknown,
        "inside_fraction": _inside(scene, found.path),
        "inside_fraction_expected": unknown if expected is None else _inside(scene, expected),
    }
    values = method.values(params, y)
    measured |= _conjugation(found.result, values, unknown)
    ends = None if expected is None else jnp.moveaxis(expected[-1], 0, -1)
    return _Moved(x, y, other_y, found.y, ends, measured)


def _gap(lagrangian: Action, path: Path) -> Float[Array, " seeds"]:
    """Return the mean cost of paths less that of the best near them, with the same ends."""
    near = polyline.minimise(lagrangian, path[0], path[-1], path[1:-1], NEAR_STEPS).interior
    best = joined(path[0], near, path[-1])
    return jnp.mean(lagrangian.cost(path) - lagrangian.cost(best), axis=1)


def _inside(scene: Scene, path: Path) -> Float[Array, " seeds"]:
    """Return which part of the paths enters the obstacle; not a number where it has no walls."""
    if not scene.walls:
        return jnp.full(path.shape[2], jnp.nan)
    inside = -scene.potential()(_fine(path)) > WALL * scene.strength
    return jnp.mean(jnp.any(inside, axis=0), axis=1)


def _conjugation(
    result: ConjugateResult | None, values: Array | None, unknown: Array
) -> dict[str, Array]:
    """Return the dual's value, and how its solver fared; numbers are unknown without one."""
    names = ("dual_objective", "conjugate_iterations_mean")
    names += ("conjugate_gradient_norm_median", "conjugate_gradient_norm_max")
    if result is None:
        none = jnp.zeros((len(unknown), len(Status)), jnp.int32)
        return dict.fromkeys(names, unknown) | {COUNTS: none}
    norm, dual = result.gradient_norm, jnp.mean(result.value, axis=1)
    numbers = (
        unknown if values is None else dual + jnp.mean(values, axis=1),
        jnp.mean(result.iterations.astype(jnp.float32), axis=1),
        jnp.median(norm, axis=1),
        jnp.max(norm, axis=1),
    )
    counts = [jnp.sum(result.status == status, axis=1) for status in Status]
    return dict(zip(names, numbers, strict=True)) | {COUNTS: jnp.stack(counts, axis=1)}


def _fine(path: Path) -> Array:
    """Return points along all segments, (n, points, *batch)."""
    vectors = jnp.moveaxis(path, 0, 1)
    t = (jnp.arange(FINE, dtype=path.dtype) / FINE).reshape(1, -1, *(1,) * (path.ndim - 1))
    left, right = vectors[:, None, :-1], vectors[:, None, 1:]
    points = left + t * (right - left)
    return points.reshape(points.shape[0], -1, *points.shape[3:])


def _costs(scene: Scene, x: Sets, y: Sets) -> Float[Array, " seeds"]:
    """Return the mean cost of the best paths found from x to y."""
    at, stages = partial(scene.action, Rule(SEGMENTS)), (*TEMPERATURES, scene.temperature)
    first, last = jnp.moveaxis(x, -1, 0), jnp.moveaxis(y, -1, 0)
    found = search.search(at, first, last, stages, BENDS, NEWTON_STEPS)
    return jnp.mean(found.cost, axis=1)


def entropic(a: Sets, b: Sets, epsilon: float) -> Float[np.ndarray, " seeds"]:
    """Return <P, C> + epsilon KL(P | a b) of the entropic coupling of each seed's two sets.

    The cost is the squared distance. OTT-JAX's default tolerance and limit of iterations, as the
    published code has them.
    """
    return np.asarray(_entropic(a, b, epsilon))


@partial(jax.jit, static_argnums=2)
def _entropic(a: Sets, b: Sets, epsilon: float) -> Float[Array, " seeds"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of jaxopt, which OTT-JAX imports
        from ott.geometry import pointcloud
        from ott.solvers import linear

    def one(sets: tuple[Array, Array]) -> Array:
        geometry = pointcloud.PointCloud(*sets, epsilon=epsilon)
        return jnp.asarray(linear.solve(geometry).reg_ot_cost)

    # OTT-JAX relies on NumPy's rule for shapes of different rank.
    with jax.numpy_rank_promotion("allow"):
        return jax.lax.map(one, (a, b))

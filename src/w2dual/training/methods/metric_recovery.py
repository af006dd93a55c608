"""Learning the metric that a population moves under, from samples at successive times.

    min over A of the mean over t of OT_A(mu_t, mu_t+1)

OT_A is the transport cost under the geodesics of A. Each two successive times have a dual of their
own, a potential g_t and a map y_t, by the c-transform (`ctransform`); A and the network of paths
are shared. In each iteration every dual and the network of paths take a step; from time to time,
after a warm-up, A takes one, down the cost of what is transported now, with paths and maps held
fixed. Source: Pooladian, Domingo-Enrich, Chen and Amos, "Neural optimal transport with Lagrangian
costs" (UAI 2024), with the settings of its code.

# DIFFERS: there the duals of successive times take their steps one after another, each followed
# by one of the paths. Here all duals are trained side by side, as more seeds are; then the paths
# take as many steps, one on the points of each two times.
# DIFFERS: the metric's step is down the cost of the maps found in the same iteration, where there
# they are solved for once more after the duals have moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int

from w2dual import amortization, conjugate, potentials
from w2dual.conjugate.costs.along_paths import Predicted
from w2dual.conjugate.costs.base import Lanes, Vectors
from w2dual.decoding import decode
from w2dual.paths.action import PUBLISHED, Geodesic, Interior, Rule, joined, line
from w2dual.paths.directions import PLANE, DirectionField
from w2dual.paths.network import PathNetwork
from w2dual.records import InputError
from w2dual.training import health
from w2dual.training.methods import optimization
from w2dual.training.methods.base import (
    Batch,
    Batches,
    Divergence,
    Method,
    Network,
    Params,
    Step,
    Trees,
)
from w2dual.training.methods.optimization import TrainingState
from w2dual.training.methods.transforms import StepMetrics, dual_and_error
from w2dual.training.path_training import Fitted, PathSettings, PathTraining

NEEDS = ("potential", "amortization_model", "solver")
"""The parts of a cell's settings that it is made of."""

Problems = Float[Array, "problems batch 2"]
"""Points of each two successive times of each seed: seeds and times share the first axis."""


@dataclass(frozen=True)
class MetricSettings:
    """Of the metric and its training.

    Attributes:
        hidden: widths of the network of directions.
        activation: of its hidden layers.
        small_eigenvalue: of the metric, along the direction; across it is 1.
        learning_rate: of AdamW; decays as that of the duals, which would else fall behind.
        weight_decay: of AdamW.
        warm_up: iterations up to which the metric is left as it is.
        every: iterations between two of its steps.
    """

    hidden: tuple[int, ...]
    activation: str
    small_eigenvalue: float
    learning_rate: float
    weight_decay: float
    warm_up: int
    every: int


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        bounds: lower and upper bound of each coordinate, that images are clipped to.
        segments: of a path; null for the published rule.
        path: of the network of paths and its training.
        metric: of the metric and its training.
    """

    bounds: tuple[tuple[float, float], tuple[float, float]]
    segments: int | None
    path: PathSettings
    metric: MetricSettings


class Networks(NamedTuple):
    """Something for the potentials and maps of all times, the network of paths and the metric."""

    potential: Any
    model: Any
    path: Any
    metric: Any


RecoveryState = TrainingState[Networks]


class Transported(NamedTuple):
    """Where points go, and how; seeds and times share an axis.

    Attributes:
        result: of the solver; `x` is where a point goes, `value` its c-transform.
        path: from each point to there, (points, 2, problems, batch).
    """

    result: conjugate.ConjugateResult
    path: Float[Array, "points 2 problems batch"]


@dataclass(frozen=True, eq=False)
class MetricRecovery(Method[RecoveryState]):
    """What is trained: networks, solver, optimisers and schedules of one cell."""

    potential: nn.Module
    model: nn.Module
    solver: conjugate.ConjugateSolver[Any]
    field: DirectionField
    schedule: MetricSettings
    paths: PathTraining
    low: tuple[float, float]
    high: tuple[float, float]
    optimizer: optax.GradientTransformation
    final_factor: float
    divergence: Divergence
    dimension: int
    metrics: ClassVar = StepMetrics
    has_inverse: ClassVar = False

    # -- networks -----------------------------------------------------------------------------

    @property
    def times(self) -> int:
        """Pairs of successive times."""
        return self.dimension // PLANE

    @property
    def metric_optimizer(self) -> optax.GradientTransformation:
        """AdamW, at a rate that decays as that of the duals."""
        own, rate = self.schedule, self.schedule.learning_rate
        if self.final_factor != 1:
            steps = max(1, (self.paths.iterations - 1 - own.warm_up) // own.every)
            rate = optax.cosine_decay_schedule(rate, steps, self.final_factor)
        return optax.flatten(optax.adamw(rate, weight_decay=own.weight_decay))

    @property
    def networks(self) -> Mapping[str, Network]:
        """Potentials and maps, which start the same at all times, the paths and the metric."""
        return {
            "potential": Network("potential", partial(self._init_each, self.potential)),
            "model": Network("amortization model", partial(self._init_each, self.model)),
            "path": Network("path network", lambda key, x: self.paths.network.init(key, _first(x))),
            "metric": Network("metric", lambda key, x: self.field.init(key, _first(x))),
        }

    def _init_each(self, module: nn.Module, key: Array, points: Float[Array, "batch n"]) -> Params:
        params = potentials.initial(module, key, _first(points))
        return jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf[None], (self.times, *leaf.shape)), params
        )

    def assemble(self, trees: Trees) -> Networks:
        """Return the parameters of all networks."""
        return Networks(**trees)

    def init(self, params: Networks) -> RecoveryState:
        """Start training from parameters with a leading axis of seeds."""
        each = jax.vmap(jax.vmap(self.optimizer.init))
        return optimization.before_training(
            params,
            Networks(
                each(params.potential),
                each(params.model),
                jax.vmap(self.paths.optimizer.init)(params.path),
                jax.vmap(self.metric_optimizer.init)(params.metric),
            ),
        )

    # -- maps ---------------------------------------------------------------------------------

    def directions(
        self, params: Networks, x: Float[Array, "seeds points 2"]
    ) -> Float[Array, "seeds points 2"]:
        """Return the cheap direction of each seed's metric at points."""
        return self.field.directions(params.metric, x)

    def push(self, params: Networks, x: Batch) -> Batch:
        """Return where a row of samples goes, each by the map of its own two times."""
        found = self._ctransform(params, self.problems(x)).x
        return self._rows(found, x.shape[0])

    def pull(self, params: Networks, y: Batch) -> Batch:
        """Say that there is none: potentials on the later time give no map back.

        Raises:
            InputError: always.
        """
        raise InputError("the method `metric_recovery` has no inverse map; ask for the forward one")

    def transport(self, params: Networks, x: Problems) -> Transported:
        """Return where points go, and their paths."""
        result = self._ctransform(params, x)
        first, last = (jnp.moveaxis(item, -1, 0) for item in (x, result.x))
        return Transported(result, self._paths(params.path, first, last))

    def problems(self, x: Batch) -> Problems:
        """Return rows through the times as points of each two times of each seed."""
        seeds, batch, _ = x.shape
        apart = x.reshape(seeds, batch, self.times, PLANE)
        return jnp.swapaxes(apart, 1, 2).reshape(seeds * self.times, batch, PLANE)

    def _rows(self, points: Problems, seeds: int) -> Batch:
        apart = points.reshape(seeds, self.times, -1, PLANE)
        return jnp.swapaxes(apart, 1, 2).reshape(seeds, -1, self.dimension)

    def lagrangian(self, params: Networks) -> Geodesic:
        """Return what a path costs under each seed's metric."""
        return Geodesic(self.field.metric(params.metric), self.paths.network.rule)

    def clipped(self, y: Problems) -> Problems:
        """Return images within the bounds."""
        low, high = (jnp.broadcast_to(jnp.array(end), y.shape) for end in (self.low, self.high))
        return jnp.clip(y, low, high)

    def amortized(self, params: Networks, x: Problems) -> Problems:
        """Return the predicted images of points, within the bounds."""
        apply = partial(potentials.applied, self.model)
        return self.clipped(jax.vmap(apply)(_merged(params.model), x))

    def _ctransform(self, params: Networks, x: Problems) -> conjugate.ConjugateResult:
        cost = _Within(
            Predicted(self.lagrangian(params), partial(self._deviation, params.path)), self.clipped
        )
        own = _merged(params.potential)

        def oracle(y: Problems) -> tuple[Lanes, Problems]:
            inside = self.clipped(y)
            evaluate = partial(potentials.value_and_gradient, self.potential)
            value, gradient = jax.vmap(evaluate)(own, inside)
            return -value, jnp.where(inside == y, -gradient, 0.0)

        result = conjugate.solve(self.solver, oracle, x, self.amortized(params, x), cost=cost)
        return result._replace(x=self.clipped(result.x))

    def _deviation(self, params: Params, first: Vectors, last: Vectors) -> Interior:
        """Return what paths deviate from straight lines; the network is shared by all times."""
        seeds = jax.tree.leaves(params)[0].shape[0]
        ends = (jnp.moveaxis(end, 0, -1).reshape(seeds, -1, PLANE) for end in (first, last))
        found = self.paths.network.deviation(params, *ends)
        return found.reshape(*found.shape[:2], *first.shape[1:])

    def _paths(self, params: Params, first: Vectors, last: Vectors) -> Array:
        straight = line(first, last, self.paths.network.rule)
        return joined(first, straight + self._deviation(params, first, last), last)

    # -- training -----------------------------------------------------------------------------

    def update(
        self, state: RecoveryState, batches: Batches, over: str | None = None
    ) -> Step[RecoveryState]:
        """Take one step of all duals and as many of the paths, and of the metric if one is due."""
        seeds = state.diverged_at.shape[0]
        x, y = self.problems(batches.source()), self.problems(batches.target())
        fitted, fit_steps = self._fitted(state, x, y, over)
        params = state.params._replace(path=fitted.params)
        result = self._ctransform(params, x)
        y_hat = stop_gradient(result.x)

        def each_seed(leaf: Array) -> Array:
            return leaf.reshape(seeds, self.times, *leaf.shape[1:])

        duals = Networks(_merged(params.potential), _merged(params.model), None, None)
        gradients, (dual, error) = jax.vmap(jax.grad(self._loss, has_aux=True))(
            duals, x, y, y_hat, result.value
        )
        potential, model = (
            self._moved(jax.tree.map(each_seed, gradients[i]), state.optimizer[i], params[i])
            for i in range(len(("potential", "model")))
        )
        fitted, path_loss = self._stepped(fitted, params, x, y_hat, over)
        metric = self._metric_step(state, params, x, y_hat)

        dual, error = (jnp.mean(each_seed(item), axis=1) for item in (dual, error))
        of_seed = result._replace(
            **{
                name: getattr(result, name).reshape(seeds, -1)
                for name in result._fields
                if name != "x"
            },
            x=result.x.reshape(seeds, -1, PLANE),
        )
        conjugated = health.summary(of_seed)
        metrics = StepMetrics(
            error - dual,
            dual,
            error,
            conjugated.iterations,
            path_loss,
            fit_steps.astype(jnp.float32),
        )
        new, optimizers = zip(
            potential, model, (fitted.params, fitted.optimizer), metric, strict=True
        )
        number = state.step + 1
        (kept, optimizer), diverged_at = self.divergence.settle(
            state, metrics.loss, Networks(*new), (Networks(*optimizers), state.optimizer)
        )
        happened = health.of_step(
            number, state.diverged_at < 0, metrics.loss, self.divergence.loss, conjugated
        )
        return Step(TrainingState(kept, optimizer, number, diverged_at), metrics, happened)

    def _loss(
        self, params: Networks, x: Array, y: Array, y_hat: Array, conjugate: Array
    ) -> tuple[Array, tuple[Array, Array]]:
        """The dual of two times, negative, plus the regression of their map."""
        networks, of_both = (self.potential, self.model), (params.potential, params.model)
        dual, error = dual_and_error(networks, of_both, x, y, y_hat, conjugate)
        return error - dual, (dual, error)

    def _moved(self, gradients: Params, optimizer: Any, params: Params) -> tuple[Params, Any]:
        """Take one step on the networks of all times of all seeds."""
        step = jax.vmap(jax.vmap(partial(optimization.moved, self.optimizer)))
        return step(gradients, optimizer, params)

    def _fitted(
        self, state: RecoveryState, x: Problems, y: Problems, over: str | None
    ) -> tuple[Fitted, Int[Array, " seeds"]]:
        """Return the network of paths after the fit that is due before this step, if one is.

        The steps of a fit take two times after two times: at first paths between points of both in
        both directions, later from the earlier points to their predicted images.

        # DIFFERS: pairs of points are by a shift of one list against the other; there at random.
        """
        seeds = state.diverged_at.shape[0]
        images = self.amortized(state.params, x)

        def ends(index: Int[Array, ""]) -> tuple[Batch, Batch]:
            first, last, image = (
                item.reshape(seeds, self.times, -1, PLANE)[:, index % self.times]
                for item in (x, y, images)
            )
            turn = index // self.times
            shifted = jnp.roll(last, turn, axis=1)
            backwards = turn % 2 == 1
            pooled = (
                jnp.where(backwards, shifted, first),
                jnp.where(backwards, first, shifted),
            )
            return jax.tree.map(partial(jnp.where, state.step == 0), pooled, (first, image))

        fitted = Fitted(state.params.path, state.optimizer.path)
        due = self.paths.steps_due(state.step)
        return self.paths.fit(fitted, ends, self.lagrangian(state.params), due, over)

    def _stepped(
        self, fitted: Fitted, params: Networks, x: Problems, y_hat: Problems, over: str | None
    ) -> tuple[Fitted, Float[Array, " seeds"]]:
        """Take a step of the paths on the points of each two times."""
        lagrangian = self.lagrangian(params)
        seeds = jax.tree.leaves(params.metric)[0].shape[0]
        apart = [
            jnp.moveaxis(item.reshape(seeds, self.times, -1, PLANE), 1, 0) for item in (x, y_hat)
        ]

        def body(now: Fitted, ends: Any) -> tuple[Fitted, Array]:
            first, last = ends
            new, losses, _ = self.paths.step(now, first, last, lagrangian, over)
            return new, losses

        fitted, losses = jax.lax.scan(body, fitted, tuple(apart))
        return fitted, jnp.mean(losses, axis=0)

    def _metric_step(
        self, state: RecoveryState, params: Networks, x: Problems, y_hat: Problems
    ) -> tuple[Params, Any]:
        """Take a step of the metric, if one is due."""
        own = self.schedule
        due = (state.step > own.warm_up) & (state.step % own.every == 0)
        first, last = (jnp.moveaxis(item, -1, 0) for item in (x, y_hat))

        def cost(metric: Params) -> Array:
            paths = stop_gradient(self._paths(params.path, first, last))
            costs = self.lagrangian(params._replace(metric=metric)).cost(paths)
            # The sum over seeds of means over their points: each seed has its own gradient.
            return jnp.mean(costs) * state.diverged_at.shape[0]

        def move(_: None) -> tuple[Params, Any]:
            gradient = jax.grad(cost)(params.metric)
            step = jax.vmap(partial(optimization.moved, self.metric_optimizer))
            return step(gradient, state.optimizer.metric, params.metric)

        return jax.lax.cond(due, move, lambda _: (params.metric, state.optimizer.metric), None)


@dataclass(frozen=True, eq=False)
class _Within:
    """Another cost at points that are clipped to the bounds first, as published."""

    cost: Predicted
    clipped: Any

    def value_and_gradient(self, x: Vectors, context: Vectors) -> tuple[Lanes, Vectors]:
        """Return the cost at the clipped points; its gradient is 0 where a coordinate is cut."""
        inside = jnp.moveaxis(self.clipped(jnp.moveaxis(x, 0, -1)), -1, 0)
        value, gradient = self.cost.value_and_gradient(inside, context)
        return value, jnp.where(inside == x, gradient, 0.0)


def _first(points: Float[Array, "batch n"]) -> Float[Array, "batch 2"]:
    """Return the points of the first time."""
    return points[:, :PLANE]


def _merged(params: Params) -> Params:
    """Return parameters with the axes of seeds and times as one."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), params)


def make(settings: Mapping[str, Any], dimension: int) -> MetricRecovery:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown, its settings do not fit, or points are not rows of points on
            the plane.
    """
    record = {key: value for key, value in settings["method"].items() if key != "kind"}
    own = decode(Settings, record, "cell", "settings.method")
    solver = conjugate.make(settings["solver"])
    if solver is None:
        raise InputError("the method `metric_recovery` needs a conjugate solver: it is `none`")
    if dimension % PLANE:
        raise InputError(f"rows through the times have {dimension} numbers; expected an even count")
    (left, right), (bottom, top) = own.bounds
    if not all(a < b for a, b in own.bounds):
        raise InputError(f"cell: `settings.method.bounds` {own.bounds}: the lower one comes first")
    if own.metric.every < 1 or own.metric.warm_up < 0:
        raise InputError(
            f"cell: `settings.method.metric` has every {own.metric.every} and warm_up "
            f"{own.metric.warm_up}; expected at least 1 and 0"
        )
    moved = optimization.of(settings)
    rule = PUBLISHED if own.segments is None else Rule(own.segments)
    path = own.path
    network = PathNetwork(path.hidden, path.activation, path.knots, path.basis, rule, PLANE)
    return MetricRecovery(
        potential=potentials.make(settings["potential"], PLANE),
        model=amortization.make_model(settings["amortization_model"], PLANE),
        solver=solver,
        field=DirectionField(own.metric.hidden, own.metric.activation, own.metric.small_eigenvalue),
        schedule=own.metric,
        paths=PathTraining(network, path, settings["training"]["iterations"]),
        low=(left, bottom),
        high=(right, top),
        optimizer=moved.optimizer,
        final_factor=settings["training"]["final_learning_rate_factor"],
        divergence=moved.divergence,
        dimension=dimension,
    )

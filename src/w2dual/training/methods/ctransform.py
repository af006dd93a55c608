"""The Kantorovich dual of a general cost, its potential on the target, by the c-transform.

    max over g of E_beta[g(y)] + E_alpha[g^c(x)],   g^c(x) = min over y of c(x, y) - g(y)

The minimiser y_hat(x) is the map from source to target. A network amortizes it, a solver fine-tunes
from there, and the network is regressed on what the solver found; a second network predicts the
paths that c is the cost of. With c = -<x, y> and g = -f this is the project's dual with the
measures in each other's place. Source: Pooladian, Domingo-Enrich, Chen and Amos, "Neural optimal
transport with Lagrangian costs" (UAI 2024).
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
from jax.flatten_util import ravel_pytree
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int

from w2dual import amortization, conjugate, potentials
from w2dual.conjugate.costs import Cost, InnerProduct, SquaredEuclidean
from w2dual.conjugate.costs.along_paths import Clipped
from w2dual.decoding import decode
from w2dual.paths.action import Rule, joined
from w2dual.records import InputError
from w2dual.training import action_paths, health
from w2dual.training.action_paths import ActionSettings, Paths
from w2dual.training.methods import optimization
from w2dual.training.methods.along_paths import AlongPaths, Scene, Travelled
from w2dual.training.methods.base import Batch, Batches, Divergence, Network, Step, Trees
from w2dual.training.methods.optimization import TrainingState
from w2dual.training.methods.transforms import StepMetrics, dual_and_error
from w2dual.training.path_training import Fitted, PathSettings

NEEDS = ("potential", "amortization_model", "solver")
"""The parts of a cell's settings that it is made of."""
EVALUATION = "lagrangian"
CLOSED: Mapping[str, Cost] = {
    "inner_product": InnerProduct(),
    "squared_euclidean": SquaredEuclidean(),
}
"""Costs without paths."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        cost: `inner_product`, `squared_euclidean` or `action`.
        clip: of the norm of each network's gradient.
        bound: half the side of the cube that the map's images are clipped to; null for none.
        action: of that cost.
        path: of the network of its paths.
    """

    cost: str
    clip: float | None = None
    bound: float | None = None
    action: ActionSettings | None = None
    path: PathSettings | None = None


class Networks(NamedTuple):
    """Something for the potential, the map and the network of paths (None without paths)."""

    potential: Any
    model: Any
    path: Any


CState = TrainingState[Networks]


@dataclass(frozen=True, eq=False)
class CTransform(AlongPaths[CState]):
    """What is trained: networks, cost, solver and optimisers of one cell."""

    potential: nn.Module
    model: nn.Module
    solver: conjugate.ConjugateSolver[Any]
    closed: Cost | None
    paths: Paths | None
    bound: float | None
    optimizer: optax.GradientTransformation
    divergence: Divergence
    dimension: int
    metrics: ClassVar = StepMetrics

    # -- networks -----------------------------------------------------------------------------

    @property
    def networks(self) -> Mapping[str, Network]:
        """The potential, the map and the network of paths; none is pre-trained."""
        found = {
            "potential": Network("potential", partial(potentials.initial, self.potential)),
            "model": Network("amortization model", partial(potentials.initial, self.model)),
        }
        if self.paths is not None:
            found["path"] = Network("path network", self.paths.training.network.init)
        return found

    def assemble(self, trees: Trees) -> Networks:
        """Return the parameters of all networks."""
        return Networks(trees["potential"], trees["model"], trees.get("path"))

    def init(self, params: Networks) -> CState:
        """Start training from parameters with a leading axis of seeds."""
        path = None if self.paths is None else self.paths.training.optimizer
        optimizers = (self.optimizer, self.optimizer, path)
        return optimization.before_training(
            params,
            Networks(
                *(
                    None if own is None else jax.vmap(own.init)(tree)
                    for own, tree in zip(optimizers, params, strict=True)
                )
            ),
        )

    # -- maps ---------------------------------------------------------------------------------

    def amortized(self, params: Networks, x: Batch) -> Batch:
        """Return the predicted images of points of the source."""
        return jax.vmap(partial(potentials.applied, self.model))(params.model, x)

    def values(self, params: Networks, y: Batch) -> Float[Array, "seeds batch"]:
        """Return g of points of the target."""
        return jax.vmap(partial(potentials.value, self.potential))(params.potential, y)

    def ctransform(
        self, params: Networks, x: Batch, step: Int[Array, ""] | int | None = None
    ) -> conjugate.ConjugateResult:
        """Return y_hat(x) and g^c(x) of each seed, from the predicted images.

        Args:
            params: of all seeds.
            x: points of the source.
            step: of training, for an obstacle that is annealed; None for its end.
        """
        start = self.clipped(self.amortized(params, x))
        if self.paths is None:
            assert self.closed is not None  # noqa: S101  (`make` gives one of the two)
            cost, context = self.closed, x
        else:
            cost, context = self.paths.cost(params.path, x, start, step)

        def oracle(y: Batch) -> tuple[Float[Array, "seeds lanes"], Batch]:
            inside = self.clipped(y)
            value, gradient = jax.vmap(partial(potentials.value_and_gradient, self.potential))(
                params.potential, inside
            )
            return -value, jnp.where(inside == y, -gradient, 0.0)

        if self.bound is not None:
            cost = Clipped(cost, self.bound)
        result = conjugate.solve(self.solver, oracle, context, start, cost=cost)
        return result._replace(x=self.clipped(result.x))

    def clipped(self, y: Batch) -> Batch:
        """Return images within the bounds."""
        return y if self.bound is None else jnp.clip(y, -self.bound, self.bound)

    @property
    def scene(self) -> Scene | None:
        """Where paths are; None for a cost without paths."""
        if self.paths is None:
            return None
        strength, temperature = (float(number) for number in self.paths.annealing.end)
        return Scene(self.paths.obstacle, strength, temperature, self.bound)

    @property
    def rule(self) -> Rule:
        """How paths are discretised.

        Raises:
            InputError: there are none.
        """
        return self._with_paths().rule

    def travel(self, params: Networks, x: Batch) -> Travelled:
        """Return where points of the source go, and their paths.

        Raises:
            InputError: the cost is without paths.
        """
        paths, result = self._with_paths(), self.ctransform(params, x)
        interior = paths.interior(params.path, x, result.x)
        path = joined(jnp.moveaxis(x, -1, 0), interior, jnp.moveaxis(result.x, -1, 0))
        return Travelled(result.x, path, paths.lagrangian().cost(path), result)

    def _with_paths(self) -> Paths:
        if self.paths is None:
            raise InputError("the cost of this c-transform is not one of paths; expected `action`")
        return self.paths

    def push(self, params: Networks, x: Batch) -> Batch:
        """Return y_hat(x) of each seed."""
        return self.ctransform(params, x).x

    def pull(self, params: Networks, y: Batch) -> Batch:
        """Say that there is none: a potential on the target gives no map back.

        Raises:
            InputError: always.
        """
        raise InputError(
            "the method `ctransform` has no inverse map: its potential is on the target, and its "
            "c-transform maps points of the source; ask for the forward map"
        )

    # -- training -----------------------------------------------------------------------------

    def update(self, state: CState, batches: Batches, over: str | None = None) -> Step[CState]:
        """Take one step on each seed; a seed that diverges keeps its last parameters.

        Args:
            state: the state of all seeds.
            batches: the points of this step, and fresh ones of a fit's steps.
            over: name of a mapped axis, where the points are a part of the batch.
        """
        fitted, fit_steps = self._fitted(state, batches, over)
        params = state.params._replace(path=fitted.params)
        x, y = batches.source(), batches.target()
        result = self.ctransform(params, x, state.step)
        y_hat = stop_gradient(result.x)
        gradients, metrics = jax.vmap(jax.grad(self._loss, has_aux=True))(
            Networks(params.potential, params.model, None), x, y, y_hat, result.value
        )
        conjugated = health.summary(result)
        metrics = metrics._replace(conjugate_iterations=conjugated.iterations)
        if over is not None:
            flat, restore = ravel_pytree((gradients, metrics))
            gradients, metrics = restore(jax.lax.pmean(flat, over))
        optimizer = state.optimizer
        potential = self._moved(gradients.potential, optimizer.potential, params.potential)
        model = self._moved(gradients.model, optimizer.model, params.model)
        if self.paths is not None:
            lagrangian = self.paths.lagrangian(state.step)
            fitted, losses, _ = self.paths.training.step(fitted, x, y_hat, lagrangian, over)
            metrics = metrics._replace(path_loss=losses)
        metrics = metrics._replace(fit_steps=fit_steps.astype(metrics.loss.dtype))
        number = state.step + 1
        (kept, optimizers), diverged_at = self.divergence.settle(
            state,
            metrics.loss,
            Networks(potential[0], model[0], fitted.params),
            (Networks(potential[1], model[1], fitted.optimizer), state.optimizer),
        )
        happened = health.of_step(
            number, state.diverged_at < 0, metrics.loss, self.divergence.loss, conjugated
        )
        return Step(TrainingState(kept, optimizers, number, diverged_at), metrics, happened)

    def _fitted(
        self, state: CState, batches: Batches, over: str | None
    ) -> tuple[Fitted, Int[Array, " seeds"]]:
        """Return the network of paths after the fit that is due before this step, if one is.

        And how many steps each seed took of it.
        """
        fitted = Fitted(state.params.path, state.optimizer.path)
        if self.paths is None:
            return fitted, jnp.zeros_like(state.diverged_at)
        training = self.paths.training

        def ends(index: Int[Array, ""]) -> tuple[Batch, Batch]:
            x, other = batches.source(2 * index + 1), batches.source(2 * index + 2)
            y, aim = batches.target(2 * index + 1), batches.target(2 * index + 2)
            images = self.clipped(self.amortized(state.params, x))
            return jax.tree.map(
                partial(jnp.where, state.step == 0), _pooled(x, y, other, aim), (x, images)
            )

        lagrangian = self.paths.lagrangian(state.step)
        return training.fit(fitted, ends, lagrangian, training.steps_due(state.step), over)

    def _loss(
        self, params: Networks, x: Array, y: Array, y_hat: Array, conjugate: Array
    ) -> tuple[Array, StepMetrics]:
        """The dual, negative, plus the regression of the map, for one seed."""
        networks, of_both = (self.potential, self.model), (params.potential, params.model)
        dual, error = dual_and_error(networks, of_both, x, y, y_hat, conjugate)
        zero = jnp.zeros(())
        return error - dual, StepMetrics(error - dual, dual, error, zero, zero, zero)

    def _moved(self, gradients: Any, optimizer: Any, params: Any) -> tuple[Any, Any]:
        return jax.vmap(partial(optimization.moved, self.optimizer))(gradients, optimizer, params)


def _pooled(x: Batch, y: Batch, other: Batch, aim: Batch) -> tuple[Batch, Batch]:
    """Return pairs of points of source and target alike: each kind of pair is a quarter."""
    half = x.shape[1] // 2
    quarter = half // 2
    first = jnp.concatenate([x[:, :half], y[:, half:]], axis=1)
    parts = [other[:, :quarter], aim[:, quarter:half]]
    parts += [other[:, half : half + quarter], aim[:, half + quarter :]]
    return first, jnp.concatenate(parts, axis=1)


def make(settings: Mapping[str, Any], dimension: int) -> CTransform:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown, its settings do not fit, or an action lacks an obstacle.
    """
    record = {key: value for key, value in settings["method"].items() if key != "kind"}
    own = decode(Settings, record, "cell", "settings.method")
    solver = conjugate.make(settings["solver"])
    if solver is None:
        raise InputError("a c-transform needs a conjugate solver: `solver` is `none`")
    if own.cost not in (*CLOSED, "action"):
        raise InputError(
            f"cell: `settings.method.cost` is {own.cost!r}; expected action, {', '.join(CLOSED)}"
        )
    paths = None
    if own.cost == "action":
        if own.action is None or own.path is None or "obstacle" not in settings:
            raise InputError(
                "cell: the cost `action` needs `settings.method.action`, `settings.method.path` "
                "and `settings.obstacle`"
            )
        iterations = settings["training"]["iterations"]
        paths = action_paths.make(own.action, own.path, settings["obstacle"], dimension, iterations)
    moved = optimization.of(settings)
    optimizer = moved.optimizer
    if own.clip is not None:
        optimizer = optax.chain(optax.clip_by_global_norm(own.clip), optimizer)
    return CTransform(
        potential=potentials.make(settings["potential"], dimension),
        model=amortization.make_model(settings["amortization_model"], dimension),
        solver=solver,
        closed=CLOSED.get(own.cost),
        paths=paths,
        bound=own.bound,
        optimizer=optimizer,
        divergence=moved.divergence,
        dimension=dimension,
    )

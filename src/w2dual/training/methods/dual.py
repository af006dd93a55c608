"""The dual objective, its envelope gradient, and the init/update pair of dual training.

V(theta) = -E_alpha[f(x)] - E_beta[f*(y)] (Amos 2023, eq. 4). By Danskin's theorem its gradient is
-E_alpha[grad_theta f(x)] + E_beta[grad_theta f(x_hat(y))] with x_hat held fixed (eq. 5). V is
maximised, so the loss is -V plus the amortization loss; one gradient step updates both networks
(alg. 1). All seeds of a cell are trained at once: every array has a leading axis of seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.flatten_util import ravel_pytree
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from w2dual import amortization, backend, conjugate, extensions, potentials
from w2dual.records import InputError
from w2dual.training import fused, health, kernels
from w2dual.training.methods import optimization
from w2dual.training.methods.base import (
    Batch,
    Batches,
    Conjugating,
    Divergence,
    Looped,
    Network,
    Params,
    Step,
    Trees,
)
from w2dual.training.methods.optimization import TrainingState

NEEDS = ("potential", "amortization_model", "amortization", "solver")
"""The parts of a cell's settings that it is made of."""


class Networks(NamedTuple):
    """Something for the potential and for the amortization model (None where there is none)."""

    potential: Any
    model: Any


DualState = TrainingState[Networks]


class Weights(NamedTuple):
    """Of the points of a step, each (seeds, batch), or (batch,) of one seed; their mean is 1."""

    x: Array
    y: Array


class StepMetrics(NamedTuple):
    """Of one update, for each seed; means over the batch."""

    loss: Float[Array, " seeds"]
    dual_objective: Float[Array, " seeds"]
    amortization_loss: Float[Array, " seeds"]
    conjugate_iterations: Float[Array, " seeds"]


@dataclass(frozen=True)
class DualProblem(Conjugating[DualState]):
    """What is trained: networks, loss, conjugate solver and optimiser of one cell."""

    potential: nn.Module
    model: nn.Module | None
    loss: Any  # AmortizationBatch -> scalar, or None
    solver: Any  # conjugate.ConjugateSolver, or None
    optimizer: optax.GradientTransformation
    divergence: Divergence
    dimension: int
    metrics: ClassVar = StepMetrics

    # -- networks -----------------------------------------------------------------------------

    @property
    def networks(self) -> Mapping[str, Network]:
        """The potential, whose gradient begins as the identity, and the amortization model."""
        found = {
            "potential": Network(
                "potential",
                partial(potentials.initial, self.potential),
                partial(potentials.gradient, self.potential),
                project=partial(potentials.projected, self.potential),
            )
        }
        if self.model is not None:
            found["model"] = Network(
                "amortization model",
                partial(potentials.initial, self.model),
                partial(potentials.applied, self.model),
                self._start_from_potential(),
            )
        return found

    def _start_from_potential(self) -> tuple[str, Callable[[Params], Params]] | None:
        """Return where the model's parameters come from, for one that starts as the potential."""
        start = getattr(self.model, "start_from_potential", None)
        return None if start is None else ("potential", start)

    def assemble(self, trees: Trees) -> Networks:
        """Return the parameters of both networks."""
        return Networks(trees["potential"], trees.get("model"))

    # -- maps ---------------------------------------------------------------------------------

    def push(self, params: Networks, x: Batch) -> Batch:
        """T(x) = grad f(x) of each seed."""
        return jax.vmap(partial(potentials.gradient, self.potential))(params.potential, x)

    def amortized(self, params: Networks, y: Batch) -> Batch:
        """x_tilde(y) of each seed; y itself without an amortization model."""
        if self.model is None:
            return y
        if backend.few_launches():
            found = kernels.predictions(self.model, params.model, y)
            if found is not None:
                return found
        return jax.vmap(partial(potentials.applied, self.model))(params.model, y)

    def oracle(self, params: Networks) -> conjugate.Oracle:
        """Value f and grad f of each seed."""
        return potentials.Oracle(self.potential, params.potential)

    # -- training -----------------------------------------------------------------------------

    def init(self, params: Networks) -> DualState:
        """Start training from parameters with a leading axis of seeds."""
        return optimization.started(self.optimizer, params)

    def update(
        self, state: DualState, batches: Batches, over: str | None = None
    ) -> Step[DualState]:
        """Take one gradient step on each seed; a seed that diverges keeps its last parameters.

        Args:
            state: the state of all seeds.
            batches: the points of this step.
            over: name of a mapped axis, where the points are a part of the batch and the devices
                along the axis have the others.

        Returns:
            The new state, the metrics, and what has to be recorded. Of the last, `statuses` and
            `worst_residual` are of this device's part of the batch.
        """
        gradients, metrics, conjugated = self.gradients(state.params, batches, over)
        new_params, new_optimizer = jax.vmap(self.apply_gradients)(
            gradients, state.optimizer, state.params
        )
        alive, number = state.diverged_at < 0, state.step + 1
        (params, optimizer), diverged_at = self.divergence.settle(
            state, metrics.loss, new_params, (new_optimizer, state.optimizer)
        )
        return Step(
            TrainingState(params, optimizer, number, diverged_at),
            metrics,
            health.of_step(number, alive, metrics.loss, self.divergence.loss, conjugated),
        )

    def in_loop(self, like: DualState) -> Looped:
        """Return the update on trees, or on one array of both networks where few launches count.

        A potential whose parameters are projected after each step has its update on trees.
        """
        if not backend.few_launches() or hasattr(self.potential, "project"):
            return super().in_loop(like)

        def there(networks: Networks) -> list[Any]:
            return [item for item in networks if item is not None]

        def networks(found: Sequence[Any]) -> Networks:
            return Networks(*found) if len(found) > 1 else Networks(found[0], None)

        flattening = fused.Flattening(there(like.params), self.optimizer)

        def enter(state: DualState) -> fused.Flat:
            return flattening.enter(
                there(state.params), there(state.optimizer), state.step, state.diverged_at
            )

        def update(flat: fused.Flat, batches: Batches, over: str | None) -> Step[fused.Flat]:
            params = networks(flattening.trees(flat.params))
            gradients, metrics, conjugated = self.gradients(params, batches, over)
            settle = partial(self.divergence.settle, flat, metrics.loss)
            new = flattening.step(flat, there(gradients), settle)
            alive, bound = flat.diverged_at < 0, self.divergence.loss
            happened = health.of_step(new.step, alive, metrics.loss, bound, conjugated)
            return Step(new, metrics, happened)

        def leave(flat: fused.Flat) -> DualState:
            params, optimizers = flattening.leave(flat)
            return TrainingState(
                networks(params), networks(optimizers), flat.step, flat.diverged_at
            )

        return Looped(enter, update, leave)

    def words(self, means: StepMetrics) -> list[str]:
        """Word V and the solver's iterations."""
        return [
            f"dual {np.mean(means.dual_objective):.4f}",
            f"conjugate iterations {np.mean(means.conjugate_iterations):.1f}",
        ]

    def gradients(
        self,
        params: Networks,
        batches: Batches,
        over: str | None,
        weights: Weights | None = None,
    ) -> tuple[Networks, StepMetrics, health.Summary | None]:
        """Return the loss's gradient, the metrics, and a summary of this part's conjugates.

        Args:
            params: of all seeds.
            batches: the points of the step.
            over: as of `update`.
            weights: of the points in V; None for all the same.
        """
        x, y = batches.source(), batches.target()
        if self.solver is None:
            conjugated = None
            x_hat = y  # not read: the loss takes x_tilde(y) itself
            iterations = jnp.zeros(y.shape[:1])
        else:
            result = self.conjugate(params, y)
            x_hat = stop_gradient(result.x)
            conjugated = health.summary(result)
            iterations = conjugated.iterations
        if backend.few_launches():
            gradients, metrics = jax.grad(self._losses, has_aux=True)(params, x, y, x_hat, weights)
        else:
            gradients, metrics = jax.vmap(jax.grad(self._loss, has_aux=True))(
                params, x, y, x_hat, weights
            )
        metrics = metrics._replace(conjugate_iterations=iterations)
        if over is not None:
            flat, restore = ravel_pytree((gradients, metrics))  # one exchange in place of many
            gradients, metrics = restore(jax.lax.pmean(flat, over))
        return gradients, metrics, conjugated

    def apply_gradients(
        self, gradients: Networks, opt_state: Networks, params: Networks
    ) -> tuple[Networks, Networks]:
        """Return the parameters of one seed and the optimiser's state after a gradient step."""
        (potential, of_potential), model = (
            # No amortization model: there is nothing to update.
            (old, state)
            if old is None
            else optimization.moved(self.optimizer, gradient, state, old)
            for gradient, state, old in zip(gradients, opt_state, params, strict=True)
        )
        potential = potentials.projected(self.potential, potential)
        return Networks(potential, model[0]), Networks(of_potential, model[1])

    def _loss(
        self, params: Networks, x: Array, y: Array, x_hat: Array, weights: Weights | None = None
    ) -> tuple[Array, StepMetrics]:
        """-V plus the amortization loss for one seed; x, y, x_hat: (batch, n)."""
        of_x, of_y = (None, None) if weights is None else weights
        x_tilde = y if self.model is None else potentials.applied(self.model, params.model, y)
        if self.solver is None:
            x_hat = stop_gradient(x_tilde)
        inner = jnp.sum(x_hat * y, axis=-1)
        value = partial(potentials.value, self.potential, params.potential)
        dual = -_mean(value(x), of_x) - _mean(inner - value(x_hat), of_y)
        extra = self._amortization_loss(params, x, y, x_tilde, x_hat)
        loss = extra - dual
        return loss, StepMetrics(loss, dual, extra, jnp.zeros(()))

    def _losses(
        self, params: Networks, x: Batch, y: Batch, x_hat: Batch, weights: Weights | None
    ) -> tuple[Array, StepMetrics]:
        """As `_loss`, of all seeds, in few operations: their sum, and the metrics of each."""
        of_x, of_y = (None, None) if weights is None else weights
        x_tilde = self.amortized(params, y)
        if self.solver is None:
            x_hat = stop_gradient(x_tilde)
        points = jnp.concatenate([x, x_hat], axis=1)
        values = kernels.values(self.potential, params.potential, points)
        if values is None:
            values = jax.vmap(partial(potentials.value, self.potential))(params.potential, points)
        at_x, at_x_hat = jnp.split(values, 2, axis=1)
        inner = jnp.sum(x_hat * y, axis=-1)
        dual = _mean(inner - at_x_hat, of_y)
        dual = -_mean(at_x, of_x) - dual
        extra = jax.vmap(self._amortization_loss)(params, x, y, x_tilde, x_hat)
        losses = extra - dual
        return jnp.sum(losses), StepMetrics(losses, dual, extra, jnp.zeros_like(losses))

    def _amortization_loss(
        self, params: Networks, x: Array, y: Array, x_tilde: Array, x_hat: Array
    ) -> Array:
        """Loss of the amortization model of one seed; 0 without one."""
        if self.loss is None or self.model is None:
            return jnp.zeros(())
        fixed = stop_gradient(params.potential)
        value = partial(potentials.value, self.potential)
        gradient = partial(potentials.gradient, self.potential)
        return self.loss(
            amortization.AmortizationBatch(
                potential_fixed=partial(value, fixed),
                gradient=partial(gradient, params.potential),
                gradient_fixed=partial(gradient, fixed),
                model=partial(potentials.applied, self.model, params.model),
                x=x,
                y=y,
                x_tilde=x_tilde,
                x_hat=x_hat,
                fine_tuned=self.solver is not None,
            )
        )

    def check_loss(self, kind: str) -> None:
        """Check that the amortization loss is a scalar, without computing anything.

        Raises:
            InputError: it is not; the message names the kind.
        """
        if self.loss is None or self.model is None:
            return
        potential, model = self.potential, self.model

        def of_batch(points: Array) -> Array:
            key = jax.random.key(0)
            params = Networks(
                potentials.initial(potential, key, points), potentials.initial(model, key, points)
            )
            x_tilde = potentials.applied(model, params.model, points)
            return self._amortization_loss(params, points, points, x_tilde, points)

        found = extensions.shapes(
            of_batch,
            jax.ShapeDtypeStruct((3, self.dimension), jnp.float32),
            message=f"amortization loss kind {kind!r}: does not work on an `AmortizationBatch`",
        )
        if not extensions.is_array(found, ()):
            extensions.refuse(
                "amortization loss",
                kind,
                f"gives {extensions.described(found)}",
                "expected one number for the batch, of shape (), as of `jnp.mean(...)`",
            )


def _mean(values: Float[Array, "... batch"], weights: Array | None) -> Array:
    return jnp.mean(values if weights is None else weights * values, axis=-1)


def make(settings: Mapping[str, Any], dimension: int) -> DualProblem:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown or its settings do not fit.
    """
    moved = optimization.of(settings)
    kind = settings["amortization"]["kind"]
    loss = amortization.make_loss(settings["amortization"])
    solver = conjugate.make(settings["solver"])
    if kind == "regression" and solver is None:
        raise InputError("a regression loss needs a conjugate solver to regress on")
    if kind == "none" and solver is None:
        raise InputError("without an amortization loss a conjugate solver is needed")
    problem = DualProblem(
        potential=potentials.make(settings["potential"], dimension),
        model=(
            None
            if kind == "none"
            else amortization.make_model(settings["amortization_model"], dimension)
        ),
        loss=loss,
        solver=solver,
        optimizer=moved.optimizer,
        divergence=moved.divergence,
        dimension=dimension,
    )
    problem.check_loss(kind)
    return problem

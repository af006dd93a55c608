"""What the benchmark's own methods have in common: a potential on each measure, and AdamW.

The config makes it the plain Adam of their publications.

D is a potential on the source and C one on the target; T = grad D and its inverse is grad C. C
starts as a copy of D, which is pre-trained to the identity. How the two are trained is a method's
own matter (Korotin et al., NeurIPS 2021, and the notebooks of its repository).
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from w2dual import extensions, potentials
from w2dual.decoding import decode
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

Points = Float[Array, "batch n"]
Loss = Callable[..., tuple[Float[Array, ""], Any]]
"""Of one seed: from parameters, and the points that it needs, to a scalar and metrics."""


class Both(NamedTuple):
    """Something for the potential D on the source, and for C on the target."""

    potential: Any
    inverse: Any


BothState = TrainingState[Both]


class Losses(NamedTuple):
    """Of one update, for each seed: the losses of D and of C, and `loss`, which is judged."""

    loss: Float[Array, " seeds"]
    potential_loss: Float[Array, " seeds"]
    inverse_loss: Float[Array, " seeds"]


@dataclass(frozen=True)
class TwoPotentials(Method[BothState]):
    """Two potentials of one architecture, and their optimiser."""

    potential: nn.Module
    optimizer: optax.GradientTransformation
    divergence: Divergence
    dimension: int
    metrics: ClassVar[type] = Losses

    @abc.abstractmethod
    def train(self, state: BothState, batches: Batches, over: str | None) -> tuple[Both, Both, Any]:
        """Return the new parameters, the new optimiser states, and the metrics of one step."""

    # -- what a method is -----------------------------------------------------------------------

    @property
    def networks(self) -> Mapping[str, Network]:
        """D, whose gradient begins as the identity, and C, which begins as a copy of it."""
        return {
            "potential": Network(
                "potential",
                partial(potentials.initial, self.potential),
                partial(potentials.gradient, self.potential),
                project=partial(potentials.projected, self.potential),
            ),
            "inverse": Network(
                "inverse",
                partial(potentials.initial, self.potential),
                start_from=("potential", partial(jax.tree.map, jnp.copy)),
            ),
        }

    def assemble(self, trees: Trees) -> Both:
        """Return the parameters of D and C."""
        return Both(**trees)

    def init(self, params: Both) -> BothState:
        """Start training from parameters with a leading axis of seeds."""
        return optimization.started(self.optimizer, params)

    def update(
        self, state: BothState, batches: Batches, over: str | None = None
    ) -> Step[BothState]:
        """Take one step, as `train` has it; a seed that diverges keeps its last parameters."""
        new_params, new_optimizer, metrics = self.train(state, batches, over)
        alive, number = state.diverged_at < 0, state.step + 1
        (params, optimizer), diverged_at = self.divergence.settle(
            state, metrics.loss, new_params, (new_optimizer, state.optimizer)
        )
        return Step(
            TrainingState(params, optimizer, number, diverged_at),
            metrics,
            health.of_step(number, alive, metrics.loss, self.divergence.loss, None),
        )

    def push(self, params: Both, x: Batch) -> Batch:
        """T(x) = grad D(x) of each seed."""
        return jax.vmap(self.gradient)(params.potential, x)

    def pull(self, params: Both, y: Batch) -> Batch:
        """Grad C(y) of each seed."""
        return jax.vmap(self.gradient)(params.inverse, y)

    # -- for methods ----------------------------------------------------------------------------

    def value(self, params: Params, x: Points) -> Float[Array, " batch"]:
        """D(x) or C(x) of one seed."""
        return potentials.value(self.potential, params, x)

    def gradient(self, params: Params, x: Points) -> Points:
        """Grad D(x) or grad C(x) of one seed."""
        return potentials.gradient(self.potential, params, x)

    def step_both(
        self, loss: Loss, state: BothState, *points: Any, over: str | None
    ) -> tuple[Both, Both, Any]:
        """Take one step of Adam on both networks.

        Args:
            loss: from `Both` parameters of a seed, and its points.
            state: before the step.
            points: of all seeds.
            over: as of `update`.
        """
        gradients, metrics = slopes(loss, state.params, *points, over=over)
        moved = [
            self._move(*each) for each in zip(gradients, state.optimizer, state.params, strict=True)
        ]
        return Both(*(new for new, _ in moved)), Both(*(new for _, new in moved)), metrics

    def step_one(
        self, loss: Loss, params: Params, optimizer: Any, *points: Any, over: str | None
    ) -> tuple[Params, Any, Any]:
        """Take one step of Adam on one network: the same of its parameters and its optimiser."""
        gradient, metrics = slopes(loss, params, *points, over=over)
        return *self._move(gradient, optimizer, params), metrics

    def _move(self, gradients: Params, optimizer: Any, params: Params) -> tuple[Params, Any]:
        def one(gradient: Params, state: Any, old: Params) -> tuple[Params, Any]:
            new, state = optimization.moved(self.optimizer, gradient, state, old)
            return potentials.projected(self.potential, new), state

        return jax.vmap(one)(gradients, optimizer, params)


@dataclass(frozen=True)
class JointStep(TwoPotentials):
    """Two potentials that take one step together, on one loss of a batch of each measure."""

    @abc.abstractmethod
    def loss(self, params: Both, x: Points, y: Points) -> tuple[Array, Any]:
        """Return the loss of one seed, and the metrics."""

    def train(self, state: BothState, batches: Batches, over: str | None) -> tuple[Both, Both, Any]:
        """Take one step on D and C together."""
        x, y = batches.source(), batches.target()
        return self.step_both(self.loss, state, x, y, over=over)


def slopes(loss: Loss, params: Params, *points: Any, over: str | None) -> tuple[Params, Any]:
    """Return the gradient of each seed and the metrics, averaged over the devices of `over`."""
    found = jax.vmap(jax.grad(loss, has_aux=True))(params, *points)
    if over is None:
        return found
    flat, restore = ravel_pytree(found)  # one exchange in place of many
    return restore(jax.lax.pmean(flat, over))


def whole(points: Batch, over: str | None) -> Batch:
    """Return the points of all devices of `over`, for what depends on a batch as a whole."""
    return points if over is None else jax.lax.all_gather(points, over, axis=1, tiled=True)


def common(settings: Mapping[str, Any], dimension: int) -> dict[str, Any]:
    """Return what each of these methods is made of, from a cell's settings.

    Raises:
        InputError: the kind of potential is unknown, or settings do not fit.
    """
    return {
        **optimization.of(settings)._asdict(),
        "potential": potentials.make(settings["potential"], dimension),
        "dimension": dimension,
    }


Own = TypeVar("Own")


def own(cls: type[Own], settings: Mapping[str, Any]) -> Own:
    """Return a method's own settings, as a dataclass.

    Raises:
        InputError: a key is missing or unknown, or a value is of another type.
    """
    given = extensions.without_kind(settings["method"])
    return decode(cls, given, "cell", "settings.method")

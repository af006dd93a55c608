"""Meta OT: a network that predicts the dual potential of entropic transport from both measures.

A point of the source is a measure a as its weights on fixed places, a point of the target a measure
b; a step is a batch of pairs of them. With f = f_theta(a, b), and the semi-dual D of `entropic`:

    dual        loss = -mean D(f; a, b)
    regression  loss = mean sum_i a_i (f_i - f*_i)^2, both centred by a, with f* held fixed

The published loss is the first, with f as the network has it. `mask: true` leaves rows without mass
out of D, as solvers do, so that the network need not learn f = -infinity there. With `half_steps`
the first is D after so many updates of g and f in turn, differentiated through them; and f* of the
second is f after so many.

`residual: gaussian` adds the potential between the normal laws with the measures' moments, and the
network's last layer starts small, so that a bad prediction is the Gaussian start.
Source: Amos, Cohen, Luise, Redko, Meta Optimal Transport, ICML 2023, eq. 9 and section 5;
regression on a few iterations from the prediction: Geuter et al., UNOT, ICML 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from w2dual import potentials
from w2dual.decoding import decode
from w2dual.entropic import geometry, semi_dual, sinkhorn, starts
from w2dual.entropic.geometry import Geometry
from w2dual.entropic.semi_dual import masked
from w2dual.extensions import without_kind
from w2dual.measures.discrete.support import Support
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

NEEDS = ()
"""The parts of a cell's settings that it is made of: none of the config's."""
EVALUATION = "meta_dual"
LOSSES = ("dual", "regression")
RESIDUALS = ("none", "gaussian")
SMALL = 0.01
"""Factor on the last layer's start, where it is added to another potential."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        hidden: widths of the network's hidden layers.
        mask: whether rows without mass are left out of the loss.
        residual: what the network's output is added to: `none` or `gaussian`.
        loss: `dual` or `regression`.
        half_steps: updates of g and f in turn; even, as g is exact anyway.
        clip: of the gradient's norm, over all parameters.
        targets: atoms of a target measure.
    """

    hidden: tuple[int, ...]
    mask: bool
    residual: str
    loss: str
    half_steps: int
    clip: float
    targets: int

    def __post_init__(self) -> None:
        """Check what a type does not say.

        Raises:
            InputError: a name is unknown, or a number out of range.
        """
        for key, names in (("residual", RESIDUALS), ("loss", LOSSES)):
            if (given := getattr(self, key)) not in names:
                raise InputError(
                    f"`settings.method.{key}` is {given!r}; expected one of {', '.join(names)}"
                )
        if self.half_steps < 0 or self.half_steps % 2:
            raise InputError(
                f"`settings.method.half_steps` is {self.half_steps}; expected an even number from 0"
            )
        if self.loss == "regression" and self.half_steps == 0:
            raise InputError(
                "`settings.method.half_steps` is 0; a regression needs a target, which is some "
                "updates on"
            )
        if not self.clip > 0 or not self.hidden or min(self.hidden) < 1 or self.targets < 1:
            raise InputError(
                f"`settings.method` has hidden {list(self.hidden)}, clip {self.clip} and targets "
                f"{self.targets}; expected numbers above 0"
            )


class Networks(NamedTuple):
    """Parameters of the one network."""

    prediction: Any


MetaState = TrainingState[Networks]


class Losses(NamedTuple):
    """Of one update, for each seed: the loss, and the error of the marginals as predicted."""

    loss: Float[Array, " seeds"]
    predicted_error: Float[Array, " seeds"]


class Predictor(nn.Module):
    """An MLP with ReLU from both measures' weights to the source's potential."""

    hidden: Sequence[int]
    rows: int
    small: bool

    @nn.compact
    def __call__(self, weights: Float[Array, "batch both"]) -> Float[Array, "batch rows"]:
        """Return f, or what is added to another potential."""
        z = weights
        for i, width in enumerate(self.hidden):
            z = nn.relu(nn.Dense(width, name=f"dense_{i}")(z))
        scale = SMALL**2 if self.small else 1.0
        last = nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
        return nn.Dense(self.rows, kernel_init=last, name=f"dense_{len(self.hidden)}")(z)


@dataclass(frozen=True)
class MetaDual(Method[MetaState]):
    """The method; its dimension is the number of atoms of a source measure."""

    dimension: int
    settings: Settings
    predictor: Predictor
    optimizer: optax.GradientTransformation
    divergence: Divergence
    metrics: ClassVar[type] = Losses

    @property
    def networks(self) -> Mapping[str, Network]:
        """The network, which is not pre-trained."""
        both = self.dimension + self.settings.targets

        def init(key: Array, points: Float[Array, "batch n"]) -> Params:
            del points  # of the source alone
            return potentials.initial(self.predictor, key, jnp.zeros((1, both)))

        return {"prediction": Network("prediction", init)}

    def assemble(self, trees: Trees) -> Networks:
        """Return the parameters."""
        return Networks(**trees)

    def init(self, params: Networks) -> MetaState:
        """Start training from parameters with a leading axis of seeds."""
        return optimization.before_training(params, jax.vmap(self.optimizer.init)(params))

    def update(
        self, state: MetaState, batches: Batches, over: str | None = None
    ) -> Step[MetaState]:
        """Take one step of Adam; a seed that diverges keeps its last parameters."""
        support = batches.pair.support

        def one(params: Networks, a: Batch, b: Batch) -> tuple[Networks, Losses]:
            return jax.grad(self._loss, has_aux=True)(params, support, a, b)

        found = jax.vmap(one)(state.params, batches.source(), batches.target())
        gradients, metrics = found if over is None else jax.lax.pmean(found, over)
        new, optimizer = jax.vmap(partial(optimization.moved, self.optimizer))(
            gradients, state.optimizer, state.params
        )
        alive, number = state.diverged_at < 0, state.step + 1
        (params, optimizer), diverged_at = self.divergence.settle(
            state, metrics.loss, new, (optimizer, state.optimizer)
        )
        return Step(
            TrainingState(params, optimizer, number, diverged_at),
            metrics,
            health.of_step(number, alive, metrics.loss, self.divergence.loss, None),
        )

    def predict(
        self, params: Networks, support: Support, a: Float[Array, "batch n_a"], b: Batch
    ) -> Float[Array, "batch n_a"]:
        """Return the potential over epsilon that one seed's network predicts, not masked."""
        weights = jnp.concatenate([a, b], axis=1)
        f = self.predictor.apply({"params": params.prediction}, weights)
        assert isinstance(f, jax.Array)  # noqa: S101  (flax types it as anything)
        u = f / support.epsilon
        if self.settings.residual == "gaussian":
            u += jax.vmap(starts.gaussian, (None, 0, 0))(support, a, b)
        return u

    def push(self, params: Networks, x: Batch) -> Batch:
        """Say that there is no map of points.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"the method meta_dual predicts potentials: it maps no points such as {x.shape}"
        )

    def pull(self, params: Networks, y: Batch) -> Batch:
        """Say that there is no map of points.

        Raises:
            InputError: always.
        """
        return self.push(params, y)

    def _loss(
        self, params: Networks, support: Support, a: Batch, b: Batch
    ) -> tuple[Float[Array, ""], Losses]:
        """Return something with the gradient of the loss, and the loss itself."""
        u = self.predict(params, support, a, b)
        if self.settings.mask:
            u = masked(u, a)
        one = _dual if self.settings.loss == "dual" else _regression
        kernel = geometry.make(support)
        slopes, losses, errors = jax.vmap(one, (None, 0, 0, 0, None))(
            kernel, u, a, b, self.settings.half_steps
        )
        metrics = Losses(support.epsilon * jnp.mean(losses), jnp.mean(errors))
        return support.epsilon * jnp.mean(slopes), metrics


def _dual(kernel: Geometry, u: Array, a: Array, b: Array, half_steps: int) -> tuple[Array, ...]:
    """Return -<u, grad D>, whose gradient is -D's; -D with relative entropies; and the error.

    All over epsilon. D's gradient is known (`semi_dual`), so that no sum is differentiated.
    """
    after = sinkhorn.half_steps(kernel, a, b, u, half_steps)
    at = semi_dual.evaluate(kernel, jax.lax.stop_gradient(after), a, b)
    entropies = semi_dual.linear(semi_dual.log_weights(a), a)
    entropies += semi_dual.linear(semi_dual.log_weights(b), b)
    # Rows that are `NOTHING` have no gradient: times it they would be one.
    there = jnp.where(at.gradient == 0.0, 0.0, after)
    return -jnp.sum(there * at.gradient), entropies - at.value, at.error


def _regression(
    kernel: Geometry, u: Array, a: Array, b: Array, half_steps: int
) -> tuple[Array, ...]:
    """Return eps sum_i a_i (u_i - u*_i)^2 over epsilon twice, and the error as predicted."""
    fixed = jax.lax.stop_gradient(u)
    target = sinkhorn.half_steps(kernel, a, b, fixed, half_steps)
    difference = jnp.where(a > 0, u - target, 0.0)
    difference -= jnp.where(a > 0, jnp.sum(a * difference), 0.0)
    loss = jnp.sum(a * difference**2)
    return loss, loss, semi_dual.evaluate(kernel, masked(fixed, a), a, b).error


def make(settings: Mapping[str, Any], dimension: int) -> MetaDual:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: settings do not fit.
    """
    own = decode(Settings, without_kind(settings["method"]), "cell", "settings.method")
    optimizer, divergence = optimization.of(settings)
    return MetaDual(
        dimension=dimension,
        settings=own,
        predictor=Predictor(own.hidden, dimension, small=own.residual != "none"),
        optimizer=optax.chain(optax.clip_by_global_norm(own.clip), optimizer),
        divergence=divergence,
    )

"""The metric that Scarvelis and Solomon learn: a baseline of `metric_recovery`, without a map.

Each two successive times have a potential phi; all share a tensor R, which is of the dual problem:
what it makes large is what the metric makes cheap. Potentials and R are trained in turn,

    potentials:  min of the mean of phi(y) - phi(x) + w softplus(-1 + 1/2 grad phi^T R grad phi)
    R:           min of the mean of lambda |R|_F^2 - softplus(-1 + 1/2 grad phi^T R grad phi)

with x and y drawn anew, with replacement, from the samples of both times in each step, and the
softplus at points uniform on the lines from y to x. In the first round the potentials know no R,
and have |grad phi| in place of grad phi^T R grad phi, not squared. A round is some steps of the
potentials and then those of R; each starts from the parameters that its networks were drawn with,
and with a fresh optimiser. Sums of the published code are means here, which Adam hardly tells
apart. Source: Scarvelis and Solomon, "Riemannian metric learning via optimal transport" (ICLR
2023), by the formulas of its code (pytorch_training.py, pytorch_losses.py, pytorch_models.py).

# DIFFERS: float32, there float64. A round there draws the same samples as the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, Key

from w2dual import potentials
from w2dual.decoding import decode
from w2dual.measures.snapshots import published
from w2dual.paths.directions import PLANE
from w2dual.potentials.torch_layers import Linear
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

NEEDS = ()
"""The parts of a cell's settings that it is made of."""
NO_MAP = (
    "the method `scarvelis` has no map: it learns a metric, and its potentials say of no point "
    "where it goes"
)
SHORTEST = 1e-24
"""Square of a gradient below which its length has no derivative."""

Points = Float[Array, "problems batch 2"]
"""Of each two successive times of each group, for one seed."""
Values = Float[Array, "problems batch"]


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        hidden: widths of each potential's network.
        metric_hidden: widths of the network N of R = N^T N + 0.001 I.
        rounds: equal parts of the training, each of which starts again.
        potential_steps: of a round, at its begin; the others are R's.
        groups: equal parts of the samples, in their order, that are known to move each for itself:
            with potentials of their own.
        first_penalty: w in the first round.
        later_penalty: w in the others.
        regularization: lambda.
        bounds: of the rectangle that metrics are judged on; nothing is clipped to it.
    """

    hidden: tuple[int, ...]
    metric_hidden: tuple[int, ...]
    rounds: int
    potential_steps: int
    groups: int
    first_penalty: float
    later_penalty: float
    regularization: float
    bounds: tuple[tuple[float, float], tuple[float, float]]


class Networks(NamedTuple):
    """Something for the potentials of all times, and for R."""

    potential: Any
    metric: Any


class State(NamedTuple):
    """What is trained; `initial` is what each phase starts from again."""

    params: Networks
    optimizer: Networks
    step: Int[Array, ""]
    diverged_at: Int[Array, " seeds"]
    initial: Networks


class StepMetrics(NamedTuple):
    """Of one update, for each seed: what was minimised, and the mean of the softplus in it."""

    loss: Float[Array, " seeds"]
    penalty: Float[Array, " seeds"]


class Drawn(NamedTuple):
    """Points of one step: of both times, and two lists on the lines between them."""

    x: Points
    y: Points
    between: Points
    elsewhere: Points


class SoftplusMLP(nn.Module):
    """An MLP with softplus between its layers, which are drawn as PyTorch draws them."""

    hidden: Sequence[int]
    outputs: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        """Apply the network to each point."""
        for i, width in enumerate(self.hidden):
            x = jax.nn.softplus(Linear(width, name=f"layer_{i}")(x))
        return Linear(self.outputs, name=f"layer_{len(self.hidden)}")(x)


@dataclass(frozen=True, eq=False)
class Scarvelis(Method[State]):
    """What is trained: networks, optimiser and phases of one cell."""

    settings: Settings
    iterations: int
    optimizer: optax.GradientTransformation
    divergence: Divergence
    dimension: int
    metrics: ClassVar = StepMetrics
    has_map: ClassVar = False
    has_inverse: ClassVar = False

    # -- networks -----------------------------------------------------------------------------

    @property
    def problems(self) -> int:
        """Pairs of successive times, of all groups."""
        return self.dimension // PLANE * self.settings.groups

    @cached_property
    def potential(self) -> SoftplusMLP:
        """The network phi of two times."""
        return SoftplusMLP(self.settings.hidden, 1)

    @cached_property
    def factor(self) -> SoftplusMLP:
        """N, as a list of its four entries."""
        return SoftplusMLP(self.settings.metric_hidden, PLANE**2)

    @property
    def networks(self) -> Mapping[str, Network]:
        """The potentials, each with parameters of its own, and R; none is pre-trained."""
        return {
            "potential": Network("potential", self._init_potentials),
            "metric": Network("metric", partial(_init, self.factor)),
        }

    def _init_potentials(self, key: Key[Array, ""], points: Float[Array, "batch n"]) -> Params:
        keys = jax.random.split(key, self.problems)
        return jax.vmap(partial(_init, self.potential), (0, None))(keys, points)

    def assemble(self, trees: Trees) -> Networks:
        """Return the parameters of all networks."""
        return Networks(**trees)

    def init(self, params: Networks) -> State:
        """Start training from parameters with a leading axis of seeds."""
        begun = optimization.started(self.optimizer, params)
        # Buffers of their own, since a loop takes over those of the state.
        initial = jax.tree.map(jnp.copy, params)
        return State(begun.params, begun.optimizer, begun.step, begun.diverged_at, initial)

    # -- what is learned ------------------------------------------------------------------------

    def directions(
        self, params: Networks, x: Float[Array, "seeds points 2"]
    ) -> Float[Array, "seeds points 2"]:
        """Return the cheap direction of each seed's metric: the axis that R makes largest."""
        return published.cheap(jax.vmap(self.tensor)(params.metric, x), jnp)

    def tensor(self, metric: Params, x: Float[Array, "*points 2"]) -> Float[Array, "*points 2 2"]:
        """Return R of one seed at points."""
        outputs = potentials.applied(self.factor, metric, x.reshape(-1, PLANE))
        return published.tensor(outputs, jnp).reshape(*x.shape, PLANE)

    def push(self, params: Networks, x: Batch) -> Batch:
        """Say that there is none: a potential of this dual gives no map.

        Raises:
            InputError: always.
        """
        raise InputError(NO_MAP)

    def pull(self, params: Networks, y: Batch) -> Batch:
        """Say that there is none.

        Raises:
            InputError: always.
        """
        raise InputError(NO_MAP)

    # -- training -----------------------------------------------------------------------------

    @property
    def round(self) -> int:
        """Steps of a round."""
        return self.iterations // self.settings.rounds

    def update(self, state: State, batches: Batches, over: str | None = None) -> Step[State]:
        """Take one step of the potentials, or of R: that of the phase that the step is in."""
        place = state.step % self.round
        at_first, turn = place == 0, place == self.settings.potential_steps
        again = optimization.started(self.optimizer, state.initial)
        params, optimizer = (
            Networks(_chosen(at_first, new[0], old[0]), _chosen(turn, new[1], old[1]))
            for new, old in ((again.params, state.params), (again.optimizer, state.optimizer))
        )
        x, y = self._apart(batches.source()), self._apart(batches.target())
        points = jax.vmap(self._drawn)(x, y, batches.more_keys()[:, 0])
        of_potential = partial(self._potential_loss, first=state.step < self.round)

        def moved(loss: Any, name: str) -> tuple[Networks, Networks, StepMetrics]:
            """Move the network of a name down a loss."""

            def own(tree: Any, rest: Networks, points: Drawn) -> tuple[Array, Array]:
                return loss(rest._replace(**{name: tree}), points)

            gradient = jax.vmap(jax.value_and_grad(own, has_aux=True))
            found = gradient(getattr(params, name), params, points)
            if over is not None:
                found = jax.lax.pmean(found, over)
            (value, penalty), slope = found
            step = jax.vmap(partial(optimization.moved, self.optimizer))
            new, new_optimizer = step(slope, getattr(optimizer, name), getattr(params, name))
            return (
                params._replace(**{name: new}),
                optimizer._replace(**{name: new_optimizer}),
                StepMetrics(value, penalty),
            )

        new, new_optimizer, metrics = jax.lax.cond(
            place < self.settings.potential_steps,
            lambda: moved(of_potential, "potential"),
            lambda: moved(self._metric_loss, "metric"),
        )
        number = state.step + 1
        (kept, kept_optimizer), diverged_at = self.divergence.settle(
            state, metrics.loss, new, (new_optimizer, state.optimizer)
        )
        happened = health.of_step(
            number, state.diverged_at < 0, metrics.loss, self.divergence.loss, None
        )
        return Step(
            State(kept, kept_optimizer, number, diverged_at, state.initial), metrics, happened
        )

    def _apart(self, rows: Batch) -> Float[Array, "seeds problems batch 2"]:
        """Return rows through the times as points of each two times of each group."""
        seeds, batch, _ = rows.shape
        groups = self.settings.groups
        apart = rows.reshape(seeds, groups, batch // groups, -1, PLANE)
        return jnp.swapaxes(apart, 2, 3).reshape(seeds, self.problems, -1, PLANE)

    @staticmethod
    def _drawn(x: Points, y: Points, key: Key[Array, ""]) -> Drawn:
        """Draw as many points as there are, with replacement, and as many twice between them."""
        keys = jax.random.split(key, 4)

        def again(points: Points, key: Key[Array, ""]) -> Points:
            places = jax.random.randint(key, points.shape[:2], 0, points.shape[1])
            return jnp.take_along_axis(points, places[..., None], axis=1)

        x, y = again(x, keys[0]), again(y, keys[1])

        def between(key: Key[Array, ""]) -> Points:
            t = jax.random.uniform(key, (*x.shape[:2], 1))
            return t * x + (1 - t) * y

        return Drawn(x, y, between(keys[2]), between(keys[3]))

    def _values(self, potential: Params, x: Points) -> Values:
        """Return each problem's phi at its points."""
        return jax.vmap(partial(potentials.applied, self.potential))(potential, x)[..., 0]

    def _softplus(self, params: Networks, x: Points, first: Bool[Array, ""] | bool) -> Array:
        """Return the mean of the softplus at points, by |grad phi| alone at `first`."""
        slope = jax.grad(lambda x: jnp.sum(self._values(params.potential, x)))(x)
        dual = self.tensor(params.metric, x)
        size = jnp.sum(slope * jnp.sum(dual * slope[..., None, :], axis=-1), axis=-1)
        length = jnp.sqrt(jnp.maximum(jnp.sum(slope**2, axis=-1), SHORTEST))
        return jnp.mean(jax.nn.softplus(jnp.where(first, length, size) / 2 - 1))

    def _potential_loss(
        self, params: Networks, points: Drawn, first: Bool[Array, ""]
    ) -> tuple[Array, Array]:
        apart = self._values(params.potential, points.y) - self._values(params.potential, points.x)
        penalty = self._softplus(params, points.between, first)
        weight = jnp.where(first, self.settings.first_penalty, self.settings.later_penalty)
        return jnp.mean(apart) + weight * penalty, penalty

    def _metric_loss(self, params: Networks, points: Drawn) -> tuple[Array, Array]:
        penalty = self._softplus(params, points.between, first=False)
        size = jnp.mean(jnp.sum(self.tensor(params.metric, points.elsewhere) ** 2, axis=(-2, -1)))
        return self.settings.regularization * size - penalty, penalty


def _init(module: nn.Module, key: Key[Array, ""], points: Float[Array, "batch n"]) -> Params:
    """Draw parameters; of rows through the times a network sees one time."""
    return potentials.initial(module, key, points[:, :PLANE])


def _chosen(condition: Bool[Array, ""], new: Any, old: Any) -> Any:
    return jax.tree.map(partial(jnp.where, condition), new, old)


def make(settings: Mapping[str, Any], dimension: int) -> Scarvelis:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: its settings do not fit, or points are not rows of points on the plane.
    """
    record = {key: value for key, value in settings["method"].items() if key != "kind"}
    own, training = decode(Settings, record, "cell", "settings.method"), settings["training"]
    iterations, samples = training["iterations"], training["batch_size"]
    if dimension % PLANE:
        raise InputError(f"rows through the times have {dimension} numbers; expected an even count")
    for name in ("rounds", "groups"):
        if getattr(own, name) < 1:
            raise InputError(
                f"cell: `settings.method.{name}` is {getattr(own, name)}; expected 1 or more"
            )
    if iterations % own.rounds or not 0 < own.potential_steps < iterations // own.rounds:
        raise InputError(
            f"cell: `settings.training.iterations` {iterations}: expected `rounds` ({own.rounds}) "
            f"times a round, which is `potential_steps` ({own.potential_steps}) and the metric's"
        )
    if samples % own.groups:
        raise InputError(
            f"cell: `settings.method.groups` {own.groups}: expected equal parts of {samples} "
            "samples"
        )
    if training["final_learning_rate_factor"] != 1:
        raise InputError(
            "cell: `settings.training.final_learning_rate_factor` is "
            f"{training['final_learning_rate_factor']}; the method `scarvelis` has a constant "
            "learning rate, since each phase starts again: expected 1"
        )
    moved = optimization.of(settings)
    return Scarvelis(
        settings=own,
        iterations=iterations,
        optimizer=moved.optimizer,
        divergence=moved.divergence,
        dimension=dimension,
    )

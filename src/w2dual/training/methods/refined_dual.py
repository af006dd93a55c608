"""Dual training made to need fewer steps: calibrated batches, averaged networks, a careful end.

The loss, the solver and the networks are those of `dual`. What is added, each by a setting:

*Calibrated batches.* The gradient of V is a difference of two means, and its noise is that of
the points drawn. Means of simple features h of the points, as their coordinates and squares, are
known far better from all batches so far than from one. So the points of a batch are weighted such
that the batch has those means: with h_batch and C the mean and the covariance of h in it,

    w_i = 1 + (h_i - h_batch) . C^-1 (h_known - h_batch)

These are the weights of regression estimators in survey sampling (Deville and Saerndal, 1992), and
what control variates with h come to. What h explains of the noise is gone from every parameter's
gradient, at the cost of one linear system for each measure. Only samples are needed.

*Muon* (Jordan et al., 2024) moves matrices by momentum made orthogonal; the rest moves by AdamW.

*Averages.* Maps are those of an average of the networks along training: exponential, or even over
the last part of it (Polyak and Juditsky, 1992).

*The last part* of training may take more points for a step, and a tighter tolerance of the solver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from w2dual import conjugate, extensions
from w2dual.decoding import decode
from w2dual.records import InputError
from w2dual.training import health
from w2dual.training.methods import dual, optimization
from w2dual.training.methods.base import Batch, Batches, Conjugating, Network, Step, Trees
from w2dual.training.methods.batches import Given
from w2dual.training.methods.dual import DualProblem, StepMetrics, Weights

NEEDS = ("potential", "amortization_model", "amortization", "solver")
"""The parts of a cell's settings that it is made of."""
OPTIMIZERS = ("adamw", "muon")
CALIBRATIONS = ("none", "squares", "products", "auto")
RIDGE = 1e-4
"""Of the linear system for weights, as a part of its diagonal."""


@dataclass(frozen=True)
class Settings:
    """Of `settings.method`, besides its kind.

    Attributes:
        optimizer: `adamw`, or `muon` for matrices. Both have the schedule of `settings.training`.
        calibration: the features whose means each batch is weighted to have: none; `squares`, the
            coordinates and their squares; `products`, and the products of two coordinates; or
            `auto`, products where they and the rest are at most a quarter of a batch's points, else
            squares. More would fit the batch's own noise.
        decay: of the exponential average of the networks; 0 for the last networks.
        tail: the part of training, at its end, whose networks are averaged evenly; 0 for none.
        late: the part of training, at its end, that the next two are of; 0 for none.
        late_batches: batches of each measure that a step takes there.
        late_tolerance: the solver's `gradient_tolerance` there; None for its own.
    """

    optimizer: str = "adamw"
    calibration: str = "none"
    decay: float = 0.0
    tail: float = 0.0
    late: float = 0.0
    late_batches: int = 1
    late_tolerance: float | None = None


class Networks(NamedTuple):
    """Something for the networks that are trained, and for their averages, which give the maps."""

    potential: Any
    model: Any
    average_potential: Any
    average_model: Any

    @property
    def trained(self) -> dual.Networks:
        """Those that are trained."""
        return dual.Networks(self.potential, self.model)

    @property
    def average(self) -> dual.Networks:
        """Their averages."""
        return dual.Networks(self.average_potential, self.average_model)


class Known(NamedTuple):
    """Means of the features over all points so far."""

    source: Float[Array, "seeds features"]
    target: Float[Array, "seeds features"]


class RefinedState(NamedTuple):
    """As `optimization.TrainingState`, with what is known of both measures; None if nothing is."""

    params: Networks
    optimizer: dual.Networks
    step: Int[Array, ""]
    diverged_at: Int[Array, " seeds"]
    known: Known | None


@dataclass(frozen=True)
class RefinedDual(Conjugating[RefinedState]):
    """The method: `early` is the dual as it is trained first, `late` as it is at the end."""

    early: DualProblem
    late: DualProblem
    settings: Settings
    iterations: int
    metrics: ClassVar = StepMetrics

    @property
    def dimension(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the points."""
        return self.early.dimension

    @property
    def solver(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the end, which evaluation takes."""
        return self.late.solver

    # -- networks -----------------------------------------------------------------------------

    @property
    def networks(self) -> Mapping[str, Network]:
        """Those of `dual`, and for each the average, which begins as a copy."""
        trained = self.early.networks
        averages = {
            f"average_{name}": Network(f"average {name}", network.init, start_from=(name, _copied))
            for name, network in trained.items()
        }
        return {**trained, **averages}

    def assemble(self, trees: Trees) -> Networks:
        """Return the parameters of all networks."""
        return Networks(**{name: trees.get(name) for name in Networks._fields})

    def oracle(self, params: Networks) -> conjugate.Oracle:
        """Value and gradient of each seed's averaged potential."""
        return self.late.oracle(params.average)

    def amortized(self, params: Networks, y: Batch) -> Batch:
        """x_tilde(y) of each seed's averaged model."""
        return self.late.amortized(params.average, y)

    # -- training -----------------------------------------------------------------------------

    def init(self, params: Networks) -> RefinedState:
        """Start training from parameters with a leading axis of seeds; nothing is known yet."""
        begun = self.early.init(params.trained)
        known = None
        if self.settings.calibration != "none":
            seeds = begun.diverged_at.shape[0]
            zeros = jnp.zeros((seeds, _number(self.dimension, self.settings.calibration)))
            known = Known(zeros, jnp.copy(zeros))
        return RefinedState(params, begun.optimizer, begun.step, begun.diverged_at, known)

    def update(
        self, state: RefinedState, batches: Batches, over: str | None = None
    ) -> Step[RefinedState]:
        """Take one step on each seed; a seed that diverges keeps its last parameters."""
        given = state.params.trained, state.known
        if self.settings.late:
            start = round(self.iterations * (1 - self.settings.late))
            gradients, metrics, conjugated, known = jax.lax.cond(
                state.step < start,
                lambda: self._gradients(self.early, 1, *given, state.step, batches, over),
                lambda: self._gradients(
                    self.late, self.settings.late_batches, *given, state.step, batches, over
                ),
            )
        else:
            gradients, metrics, conjugated, known = self._gradients(
                self.early, 1, *given, state.step, batches, over
            )
        trained, optimizer = jax.vmap(self.early.apply_gradients)(
            gradients, state.optimizer, state.params.trained
        )
        number = state.step + 1
        rate = self._rate(number)
        average = jax.tree.map(
            lambda old, new: old + rate * (new - old), state.params.average, trained
        )
        divergence = self.early.divergence
        (params, optimizer), diverged_at = divergence.settle(
            state, metrics.loss, Networks(*trained, *average), (optimizer, state.optimizer)
        )
        alive = state.diverged_at < 0
        return Step(
            RefinedState(params, optimizer, number, diverged_at, known),
            metrics,
            health.of_step(number, alive, metrics.loss, divergence.loss, conjugated),
        )

    def words(self, means: StepMetrics) -> list[str]:
        """Word them as `dual` does."""
        return self.early.words(means)

    def _gradients(
        self,
        problem: DualProblem,
        count: int,
        params: dual.Networks,
        known: Known | None,
        step: Int[Array, ""],
        batches: Batches,
        over: str | None,
    ) -> tuple[dual.Networks, StepMetrics, health.Summary | None, Known | None]:
        """Return what `DualProblem.gradients` does of so many batches, and what is known then."""
        x, y = (
            jnp.concatenate([draw(index) for index in range(count)], axis=1)
            for draw in (batches.source, batches.target)
        )
        weights = None
        if known is not None:
            of_x, source = self._calibrated(x, known.source, step, over)
            of_y, target = self._calibrated(y, known.target, step, over)
            weights, known = Weights(of_x, of_y), Known(source, target)
        return *problem.gradients(params, Given(x, y), over, weights), known

    def _calibrated(
        self, points: Batch, known: Float[Array, "seeds features"], step: Array, over: str | None
    ) -> tuple[Float[Array, "seeds batch"], Float[Array, "seeds features"]]:
        """Return the weights of points, and the means of features with these points."""
        found = features(points, self.settings.calibration)
        mean = _shared(jnp.mean(found, axis=1), over)
        known = known + (mean - known) / (step + 1)
        centred = found - mean[:, None]
        covariance = _shared(jnp.einsum("sbi,sbj->sij", centred, centred), over) / points.shape[1]
        return jax.vmap(_weights)(centred, covariance, known - mean), known

    def _rate(self, number: Int[Array, ""]) -> Float[Array, ""] | float:
        """Return how far the averages move towards the networks after step `number`."""
        if not self.settings.tail:
            return 1 - self.settings.decay
        start = round(self.iterations * (1 - self.settings.tail))
        return 1.0 / jnp.maximum(number - start, 1)


def features(points: Float[Array, "... n"], kind: str) -> Float[Array, "... features"]:
    """Return the features of points: 2 n `squares`, or n (n + 3) / 2 `products`."""
    n = points.shape[-1]
    if kind == "squares":
        return jnp.concatenate([points, points**2], axis=-1)
    first, second = jnp.triu_indices(n)
    return jnp.concatenate([points, points[..., first] * points[..., second]], axis=-1)


def _number(n: int, kind: str) -> int:
    """Return how many features a point in R^n has."""
    return jax.eval_shape(lambda: features(jnp.zeros((1, n)), kind)).shape[-1]


def _weights(
    centred: Float[Array, "batch features"],
    covariance: Float[Array, "features features"],
    difference: Float[Array, " features"],
) -> Float[Array, " batch"]:
    """Return the weights of one seed's points, whose mean is 1 over the whole batch."""
    diagonal = jnp.diag(covariance)
    system = covariance + jnp.diag(RIDGE * diagonal + jnp.finfo(diagonal.dtype).tiny)
    return 1.0 + centred @ jnp.linalg.solve(system, difference)


def _shared(mean: Array, over: str | None) -> Array:
    return mean if over is None else jax.lax.pmean(mean, over)


def _copied(params: Any) -> Any:
    return jax.tree.map(jnp.copy, params)


def _check(own: Settings) -> None:
    """Check what types do not say.

    Raises:
        InputError: a value is out of its range, or two exclude each other.
    """
    key = "`settings.method"
    for name, known in (("optimizer", OPTIMIZERS), ("calibration", CALIBRATIONS)):
        if getattr(own, name) not in known:
            raise InputError(
                f"{key}.{name}` is {getattr(own, name)!r}; expected one of {', '.join(known)}"
            )
    for name in ("decay", "tail", "late"):
        if not 0.0 <= getattr(own, name) < 1.0:
            raise InputError(
                f"{key}.{name}` is {getattr(own, name)}; expected a number from 0 to below 1"
            )
    if own.decay and own.tail:
        raise InputError(f"{key}` has `decay` and `tail`; expected one of them")
    if own.late_batches < 1:
        raise InputError(f"{key}.late_batches` is {own.late_batches}; expected 1 or more")
    if not own.late and (own.late_batches > 1 or own.late_tolerance is not None):
        raise InputError(f"{key}` has settings of the end of training; `late` says of which part")


def make(settings: Mapping[str, Any], dimension: int) -> RefinedDual:
    """Build the method of a cell from its settings (`cells.Cell.settings`).

    Raises:
        InputError: a kind is unknown, or settings do not fit.
    """
    given = extensions.without_kind(settings["method"])
    own = decode(Settings, given, "cell", "settings.method")
    _check(own)
    training = settings["training"]
    if own.calibration == "auto":
        few = 4 * _number(dimension, "products") <= training["batch_size"]
        own = replace(own, calibration="products" if few else "squares")
    problem = dual.make(settings, dimension)
    if own.optimizer == "muon":
        problem = replace(problem, optimizer=optimization.muon(settings))
    late = problem
    if own.late_tolerance is not None:
        if problem.solver is None:
            raise InputError("`settings.method.late_tolerance` is of a solver; name one")
        late = replace(
            problem, solver=replace(problem.solver, gradient_tolerance=own.late_tolerance)
        )
    return RefinedDual(problem, late, own, training["iterations"])

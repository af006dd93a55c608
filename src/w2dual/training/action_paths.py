"""The paths of an action in training: by the step, and as the cost of a c-transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from w2dual.conjugate import Cost
from w2dual.conjugate.costs.along_paths import Anchored, Polished, Predicted
from w2dual.paths import obstacles, search, splines
from w2dual.paths.action import PUBLISHED, Action, Interior, Lagrangian, Rule, line
from w2dual.paths.network import PathNetwork
from w2dual.paths.obstacles import Annealing, Obstacle
from w2dual.paths.obstacles.base import Strength
from w2dual.training.path_training import PathSettings, PathTraining

Batch = Float[Array, "seeds batch n"]


@dataclass(frozen=True)
class ActionSettings:
    """Of the cost of an action: its obstacle is the cell's `obstacle`.

    Attributes:
        strength, temperature: of the obstacle, at the end.
        start_strength, start_temperature: the same at the start.
        annealing_steps: from the start's to the end's.
        segments: of a path; null for the published rule.
        stages: temperatures at which the path to each predicted point is sought first, one after
            another, where they are above the step's own: an edge that is sharp pushes no path that
            is further away than it is wide.
        bends: of further starts, beside the network's path: how far their middles are bent away.
        first_newton: steps of Newton's method from each start in each stage, and then at the step's
            own temperature; the best path is taken. 0 for the network's as it is, as published.
        newton: steps of it each time that the solver evaluates the cost.
    """

    strength: float
    temperature: float
    start_strength: float
    start_temperature: float
    annealing_steps: int
    segments: int | None
    stages: tuple[float, ...]
    bends: tuple[float, ...]
    first_newton: int
    newton: int


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths of an action, by the step of training."""

    obstacle: Obstacle
    annealing: Annealing
    rule: Rule
    training: PathTraining
    stages: tuple[float, ...]
    bends: tuple[float, ...]
    first_newton: int
    newton: int

    def lagrangian(self, step: Int[Array, ""] | int | None = None) -> Lagrangian:
        """Return what a path costs at a step; after the annealing where none is given."""
        return self._at(self._strength(step))

    def _strength(self, step: Int[Array, ""] | int | None) -> Strength:
        return self.annealing.end if step is None else self.annealing.at(step)

    def _at(self, now: Strength) -> Lagrangian:
        return Action(lambda x: self.obstacle(x, now.strength, now.temperature), self.rule)

    def interior(
        self, params: Any, x: Batch, y: Batch, step: Int[Array, ""] | int | None = None
    ) -> Interior:
        """Return the interior points of the network's paths, or of the best near them found."""
        first, last = jnp.moveaxis(x, -1, 0), jnp.moveaxis(y, -1, 0)
        predicted = line(first, last, self.rule) + self.training.network.deviation(params, x, y)
        if not self.first_newton:
            return predicted
        now = self._strength(step)

        def at(temperature: Float[Array, ""]) -> Lagrangian:
            return self._at(Strength(now.strength, jnp.maximum(temperature, now.temperature)))

        stages, bends = (*self.stages, now.temperature), (0.0, *self.bends)
        best = search.search(at, first, last, stages, bends, self.first_newton, start=predicted)
        return best.path[1:-1]

    def cost(
        self, params: Any, x: Batch, start: Batch, step: Int[Array, ""] | int | None = None
    ) -> tuple[Cost, Any]:
        """Return the cost of one c-transform, and its context."""
        lagrangian = self.lagrangian(step)
        if not self.first_newton:

            def deviation(first: Any, last: Any) -> Any:
                ends = (jnp.moveaxis(item, 0, -1) for item in (first, last))
                return self.training.network.deviation(params, *ends)

            return Predicted(lagrangian, deviation), x
        known = self.interior(params, x, start, step)
        flat = jnp.moveaxis(known.reshape(-1, *known.shape[2:]), 0, -1)
        return Polished(lagrangian, self.newton), Anchored(x, flat)


def make(
    action: ActionSettings,
    path: PathSettings,
    obstacle: Mapping[str, Any],
    dimension: int,
    iterations: int,
) -> Paths:
    """Build the paths of an action.

    Args:
        action: of the cost.
        path: of the network.
        obstacle: `kind` and settings of the potential U.
        dimension: of the points.
        iterations: of training, before whose end fits of the network stop.

    Raises:
        InputError: the obstacle's kind is unknown or its settings do not fit.
    """
    rule = PUBLISHED if action.segments is None else Rule(action.segments)
    splines.basis(path.basis, path.knots)  # which says what is wrong with them
    network = PathNetwork(path.hidden, path.activation, path.knots, path.basis, rule, dimension)
    return Paths(
        obstacle=obstacles.make(obstacle, dimension),
        annealing=Annealing(
            Strength(action.start_strength, action.start_temperature),
            Strength(action.strength, action.temperature),
            action.annealing_steps,
        ),
        rule=rule,
        training=PathTraining(network, path, iterations),
        stages=action.stages,
        bends=action.bends,
        first_newton=action.first_newton,
        newton=action.newton,
    )

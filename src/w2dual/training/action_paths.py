"""The paths of an action in training: by the step, and as the cost of a c-transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from w2dual.conjugate import Cost
from w2dual.conjugate.costs.along_paths import Anchored, Polished, Predicted
from w2dual.paths import obstacles, polyline, splines
from w2dual.paths.action import PUBLISHED, Action, Interior, Lagrangian, Path, Rule, joined, line
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
        first_newton: steps of Newton's method on the path to each predicted point; 0 for the
            network's path as it is, as published.
        newton: steps of it each time that the solver evaluates the cost.
    """

    strength: float
    temperature: float
    start_strength: float
    start_temperature: float
    annealing_steps: int
    segments: int | None
    first_newton: int
    newton: int


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths of an action, by the step of training."""

    obstacle: Obstacle
    annealing: Annealing
    rule: Rule
    training: PathTraining
    first_newton: int
    newton: int

    def lagrangian(self, step: Int[Array, ""] | int | None = None) -> Lagrangian:
        """Return what a path costs at a step; after the annealing where none is given."""
        now = self.annealing.end if step is None else self.annealing.at(step)
        return Action(lambda x: self.obstacle(x, now.strength, now.temperature), self.rule)

    def deviation(self, params: Any, lagrangian: Lagrangian, x: Batch, y: Batch) -> Interior:
        """Return the deviation of the paths that are used, polished where they are."""
        found = self.training.network.deviation(params, x, y)
        if not self.first_newton:
            return found
        first, last = jnp.moveaxis(x, -1, 0), jnp.moveaxis(y, -1, 0)
        straight = line(first, last, self.rule)
        start = straight + found
        best = polyline.minimise(lagrangian, first, last, start, self.first_newton)
        return best.interior - straight

    def best_near(self, lagrangian: Lagrangian, path: Path, steps: int = 30) -> Path:
        """Return the best paths near given ones, with the same ends."""
        found = polyline.minimise(lagrangian, path[0], path[-1], path[1:-1], steps)
        return joined(path[0], found.interior, path[-1])

    def cost(self, params: Any, lagrangian: Lagrangian, x: Batch, start: Batch) -> tuple[Cost, Any]:
        """Return the cost of one c-transform, and its context."""
        if not self.first_newton:

            def deviation(first: Any, last: Any) -> Any:
                ends = (jnp.moveaxis(item, 0, -1) for item in (first, last))
                return self.training.network.deviation(params, *ends)

            return Predicted(lagrangian, deviation), x
        known = self.deviation(params, lagrangian, x, start)
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
        first_newton=action.first_newton,
        newton=action.newton,
    )

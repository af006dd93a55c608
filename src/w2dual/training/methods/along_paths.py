"""Methods whose map takes points along paths through a potential, as their evaluation sees them.

A map may be random: a point then has a path that is drawn for it, and an expected one, the mean of
many. Such a method's module has a line `RANDOM = True`, which is read without importing it
(`config.cells.random_map`): tables have two rows of its cells.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from w2dual import conjugate
from w2dual.paths.action import Action, Path, Rule
from w2dual.paths.obstacles import Obstacle
from w2dual.paths.obstacles.base import Number, Points
from w2dual.training.methods.base import AnyState, Batch, Method


@dataclass(frozen=True, eq=False)
class Scene:
    """Where paths are: the potential U at full strength, and the cube around it.

    Attributes:
        obstacle: U, given its strength and temperature.
        strength: M, in the published unit, in which the action's potential is 361 U.
        temperature: T.
        bound: half the side of the cube that images are clipped to; None for none.
    """

    obstacle: Obstacle
    strength: float
    temperature: float
    bound: float | None

    @property
    def walls(self) -> bool:
        """Whether the obstacle is something that measures must be outside of."""
        return getattr(self.obstacle, "WALLS", False)

    def potential(self, temperature: Number | None = None) -> Callable[[Points], Array]:
        """Return U at points, coordinates first; at another temperature where one is given."""
        chosen = self.temperature if temperature is None else temperature
        return lambda x: self.obstacle(x, self.strength, chosen)

    def action(self, rule: Rule, temperature: Number | None = None) -> Action:
        """Return what a path costs."""
        return Action(self.potential(temperature), rule)


class Travelled(NamedTuple):
    """Points of the source, where they go, and how.

    Attributes:
        y: where they go.
        path: from each point to where it goes, (points, n, seeds, batch).
        action: along each path, in the published unit.
        result: of the c-transform; None without one.
        expected: mean of many paths of each point, as `path`; None where a point has one.
    """

    y: Batch
    path: Path
    action: Float[Array, "seeds batch"]
    result: conjugate.ConjugateResult | None = None
    expected: Path | None = None


class AlongPaths(Method[AnyState]):
    """A method whose map takes points along paths."""

    has_inverse = False

    @property
    @abc.abstractmethod
    def scene(self) -> Scene | None:
        """Where paths are; None where the cost is not that of paths."""

    @property
    @abc.abstractmethod
    def rule(self) -> Rule:
        """How paths are discretised."""

    @abc.abstractmethod
    def travel(self, params: Any, x: Batch) -> Travelled:
        """Return where points of the source go, and their paths."""

    def values(self, params: Any, y: Batch) -> Float[Array, "seeds batch"] | None:
        """Return the dual's potential g at points of the target; None without one."""
        del params, y
        return None

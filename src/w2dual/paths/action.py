"""What a polyline costs: the action of a potential, or half the square of a length under a metric.

The published code takes a path's points at T = 20 equally spaced times, and sums over its 19
segments, in displacements d_i = gamma_{i+1} - gamma_i and not in velocities:

    action:   sum_i 1/2 |d_i|^2 - U(gamma_i)
    geodesic: 1/2 (sum_i sqrt(d_i^T A(gamma_i) d_i))^2

So its costs are 1/19 of the action int 1/2 |gamma'|^2 - 361 U dt, by the left rule. That action in
those units is what the refined rule computes with more segments: N / 19 times the kinetic part and
19 / N times the potential one.

# DIFFERS: the refined rule takes potential and metric in the middle of a segment, where the
published one takes them at its left end, so that a segment that leaps over a thin wall is charged
for it, and the end point as much as the start; and it adds no 1e-6 to displacements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import jax.numpy as jnp
from jaxtyping import Array, Float

from w2dual.records import InputError

Points = Float[Array, "n *batch"]
Path = Float[Array, "points n *batch"]
Interior = Float[Array, "interior n *batch"]
Numbers = Float[Array, "*batch"]

PUBLISHED_SEGMENTS = 19
"""Of a path in the published code, which set the unit of its costs."""


@dataclass(frozen=True)
class Rule:
    """How an integral along a path is discretised.

    Attributes:
        segments: N of a path, which has N + 1 points.
        at: where a segment's potential or metric is taken.
        shift: added to each coordinate of a displacement.
    """

    segments: int
    at: Literal["left", "middle"] = "middle"
    shift: float = 0.0

    def __post_init__(self) -> None:
        """Check that there is a point between the ends."""
        if self.segments < 2:
            raise InputError(f"a path of {self.segments} segments: expected 2 or more")

    @property
    def points(self) -> int:
        """Of a path, both ends included."""
        return self.segments + 1

    @property
    def stretch(self) -> float:
        """N / 19: of the kinetic part; the potential's weight is its inverse."""
        return self.segments / PUBLISHED_SEGMENTS

    def point(self, p: Points, q: Points) -> Points:
        """Return where the potential or metric of a segment from p to q is taken."""
        return p if self.at == "left" else 0.5 * (p + q)


PUBLISHED = Rule(PUBLISHED_SEGMENTS, "left", 1e-6)


class Lagrangian(Protocol):
    """What a path costs, as a sum over its segments or a function of one."""

    @property
    def rule(self) -> Rule:
        """How it is discretised."""
        ...

    def segment(self, p: Points, q: Points) -> Numbers:
        """Return what a segment from p to q adds to a smooth energy, which Newton's method takes.

        A path that minimises the energy minimises the cost.
        """
        ...

    def loss(self, path: Path) -> Numbers:
        """Return what a network of paths is trained to make small."""
        ...

    def cost(self, path: Path) -> Numbers:
        """Return the cost of a path, which at the best path is c(x, y)."""
        ...


@dataclass(frozen=True)
class Action:
    """L = 1/2 |v|^2 - U(x)."""

    potential: Callable[[Points], Numbers]
    rule: Rule

    def segment(self, p: Points, q: Points) -> Numbers:
        """Return the kinetic part of a segment less the potential."""
        d = q - p + self.rule.shift
        kinetic = 0.5 * self.rule.stretch * jnp.sum(d * d, axis=0)
        return kinetic - self.potential(self.rule.point(p, q)) / self.rule.stretch

    def loss(self, path: Path) -> Numbers:
        """Return the cost itself."""
        return self.cost(path)

    def cost(self, path: Path) -> Numbers:
        """Return the discretised action, in the published unit."""
        return energy(self, path)


@dataclass(frozen=True)
class Geodesic:
    """L = 1/2 v^T A(x) v, whose cost is half the square of the distance."""

    metric: Callable[[Points], Float[Array, "n n *batch"]]
    rule: Rule

    def segment(self, p: Points, q: Points) -> Numbers:
        """Return N / 2 d^T A d: summed it is at least 1/2 length^2, which it is at equal speed."""
        return 0.5 * self.rule.segments * self._square(p, q)

    def loss(self, path: Path) -> Numbers:
        """Return the length."""
        p, q = _segments(path)
        square = self._square(p, q)
        # A gradient of 0 at a segment of no length, where sqrt has none.
        safe = jnp.where(square > 0, square, 1.0)
        return jnp.sum(jnp.where(square > 0, jnp.sqrt(safe), 0.0), axis=0)

    def cost(self, path: Path) -> Numbers:
        """Return half the square of the length."""
        return 0.5 * self.loss(path) ** 2

    def _square(self, p: Points, q: Points) -> Numbers:
        d = q - p + self.rule.shift
        return jnp.sum(d[:, None] * self.metric(self.rule.point(p, q)) * d[None], axis=(0, 1))


def energy(lagrangian: Lagrangian, path: Path) -> Numbers:
    """Return the sum of a path's segments."""
    return jnp.sum(lagrangian.segment(*_segments(path)), axis=0)


def _segments(path: Path) -> tuple[Any, Any]:
    """Return the left and the right ends of all segments, (n, segments, *batch)."""
    vectors = jnp.moveaxis(path, 0, 1)
    return vectors[:, :-1], vectors[:, 1:]


def line(x: Points, y: Points, rule: Rule) -> Interior:
    """Return the points of the straight path between its ends, at equal speed."""
    t = (jnp.arange(1, rule.segments, dtype=x.dtype) / rule.segments).reshape((-1,) + (1,) * x.ndim)
    return (1 - t) * x[None] + t * y[None]


def joined(x: Points, interior: Interior, y: Points) -> Path:
    """Return the path with its ends."""
    return jnp.concatenate([x[None], interior, y[None]])

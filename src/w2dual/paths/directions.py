"""A learned metric on the plane, of which only the cheap direction is learned.

A(x) = I - (1 - e) v(x) v(x)^T, where v(x) is the output of a network at length 1 and e the small
eigenvalue: moving along v costs e, across it 1. The published code writes it as R^T diag(1, e) R
with R the rotation by the angle of the network's output (Pooladian et al. 2024, its metrics).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from w2dual.paths.action import Points
from w2dual.paths.network import MLP
from w2dual.records import InputError

SHORTEST = 1e-12
"""Square of a length below which an output has no direction."""
PLANE = 2

Metric = Callable[[Points], Float[Array, "n n *batch"]]


@dataclass(frozen=True, eq=False)
class DirectionField:
    """The network v, and the metric that it stands for.

    Attributes:
        hidden: widths.
        activation: of the hidden layers.
        small_eigenvalue: e, between 0 and 1.
    """

    hidden: tuple[int, ...]
    activation: str
    small_eigenvalue: float

    def __post_init__(self) -> None:
        """Check that A is a metric whose cheap direction is v.

        Raises:
            InputError: it is not.
        """
        if not 0 < self.small_eigenvalue < 1:
            raise InputError(
                f"small eigenvalue {self.small_eigenvalue}: expected a number between 0 and 1, so "
                "that the metric is positive and moving along its direction is cheap"
            )

    @cached_property
    def module(self) -> MLP:
        """The MLP."""
        return MLP(self.hidden, PLANE, self.activation)

    def init(self, key: Key[Array, ""], x: Float[Array, "batch 2"]) -> Any:
        """Return parameters."""
        return self.module.init(key, x)["params"]

    def directions(
        self, params: Any, x: Float[Array, "seeds points 2"]
    ) -> Float[Array, "seeds points 2"]:
        """Return v(x) of each seed; its parameters have a leading axis of seeds."""
        output = jax.vmap(lambda own, z: self.module.apply({"params": own}, z))(params, x)
        assert isinstance(output, jax.Array)  # noqa: S101  (no collection is mutable)
        squares = jnp.sum(output**2, axis=-1, keepdims=True)
        return output * jax.lax.rsqrt(jnp.maximum(squares, SHORTEST))

    def metric(self, params: Any) -> Metric:
        """Return A, a function of points (n, *others, problems, lanes).

        Each seed has the same number of problems, one beside the other.
        """
        seeds = jax.tree.leaves(params)[0].shape[0]

        def at(x: Points) -> Float[Array, "n n *batch"]:
            *others, problems, lanes = x.shape[1:]
            apart = x.reshape(PLANE, -1, seeds, problems // seeds * lanes)
            flat = jnp.moveaxis(apart, (2, 0), (0, -1)).reshape(seeds, -1, PLANE)
            found = self.directions(params, flat)
            back = found.reshape(seeds, apart.shape[1], apart.shape[3], PLANE)
            v = jnp.moveaxis(back, (0, -1), (2, 0)).reshape(PLANE, *others, problems, lanes)
            eye = jnp.eye(PLANE).reshape(PLANE, PLANE, *(1,) * len(x.shape[1:]))
            outer = v[:, None] * v[None]
            return jnp.broadcast_to(eye, outer.shape) - (1 - self.small_eigenvalue) * outer

        return at

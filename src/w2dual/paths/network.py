"""A network that predicts a path between two points, as a spline beside the straight line.

An MLP takes both points and gives the spline's parameters, one a knot and coordinate; one matrix
turns them into the deviation of the path's interior points (`splines.folded`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Key

from w2dual.paths import splines
from w2dual.paths.action import Interior, Rule
from w2dual.potentials import Affine
from w2dual.potentials.activations import activation

Points = Float[Array, "seeds batch n"]


class MLP(nn.Module):
    """Parameters of the spline from [x, y]; the output is linear."""

    hidden: Sequence[int]
    outputs: int
    activation: str

    @nn.compact
    def __call__(self, ends: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        """Predict the parameters of each pair of points."""
        act = activation(self.activation)
        z = ends
        for i, width in enumerate(self.hidden):
            z = act(Affine(width, name=f"dense_{i}")(z))
        return Affine(self.outputs, name=f"dense_{len(self.hidden)}")(z)


@dataclass(frozen=True, eq=False)
class PathNetwork:
    """The network, and what its output means.

    Attributes:
        hidden: widths.
        activation: of the hidden layers.
        knots: of the spline.
        basis: of the splines.
        rule: says how many points a path has.
        dimension: n.
    """

    hidden: tuple[int, ...]
    activation: str
    knots: int
    basis: str
    rule: Rule
    dimension: int

    @cached_property
    def module(self) -> MLP:
        """The MLP."""
        return MLP(self.hidden, self.knots * self.dimension, self.activation)

    @cached_property
    def matrix(self) -> Float[np.ndarray, "interior knots"]:
        """From a spline's parameters to the interior points."""
        return splines.folded(self.rule.points, self.basis, self.knots).astype(np.float32)

    def init(self, key: Key[Array, ""], x: Float[Array, "batch n"]) -> Any:
        """Return parameters."""
        return self.module.init(key, jnp.concatenate([x, x], axis=-1))["params"]

    def deviation(self, params: Any, x: Points, y: Points) -> Interior:
        """Return the interior points less those of the straight line, for each seed.

        Args:
            params: with a leading axis of seeds.
            x: first points, (seeds, batch, n).
            y: last points, (seeds, batch, n).

        Returns:
            Coordinates before seeds and points, (interior, n, seeds, batch).
        """
        ends = jnp.concatenate([x, y], axis=-1)
        parameters = jax.vmap(lambda own, z: self.module.apply({"params": own}, z))(params, ends)
        assert isinstance(parameters, jax.Array)  # noqa: S101  (no collection is mutable)
        shape = (*parameters.shape[:-1], self.knots, self.dimension)
        return jnp.einsum("ik,sbkn->insb", self.matrix, parameters.reshape(shape))

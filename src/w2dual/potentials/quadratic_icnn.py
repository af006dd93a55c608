r"""A small input-convex network with a quadratic term, its parameters one vector.

    psi(x) = <softplus(w), leaky_relu(W x + b)> + <a, x> + c + |L x|^2

with a slope of 0.01; for points of R^3 and 128 units it has 653 parameters, which a hyper-network
puts out. It is convex for any of them. Source: Amos et al., Meta Optimal Transport, ICML 2023,
section 4.2, and its published code (models.py, conf/train_color_meta.yaml).

Functions take vectors with any leading axes, and points with the same axes before (points, n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

SLOPE = 0.01
"""Of the leaky ReLU below 0 [meta-ot models.py]."""
WEIGHTS_STD, FACTOR_STD = 0.1, 0.01
"""Standard deviation of the weights, and of L, as they are drawn [meta-ot models.py]."""

Vector = Float[Array, "*axes parameters"]
Points = Float[Array, "*axes points n"]


class Parts(NamedTuple):
    """The parameters by their names in the formula; `factor` is L."""

    weights: Float[Array, "*axes width n"]
    bias: Float[Array, "*axes width"]
    outer: Float[Array, "*axes width"]
    linear: Float[Array, "*axes n"]
    constant: Float[Array, "*axes"]
    factor: Float[Array, "*axes n n"]


class Shapes(NamedTuple):
    """The shapes of `Parts`."""

    weights: tuple[int, ...]
    bias: tuple[int, ...]
    outer: tuple[int, ...]
    linear: tuple[int, ...]
    constant: tuple[int, ...]
    factor: tuple[int, ...]


@dataclass(frozen=True)
class QuadraticICNN:
    """The architecture.

    Attributes:
        dimension: n of the points.
        width: units.
    """

    dimension: int = 3
    width: int = 128

    @property
    def shapes(self) -> Shapes:
        """The shape of each part, in the order in which the vector has them."""
        n, width = self.dimension, self.width
        return Shapes((width, n), (width,), (width,), (n,), (), (n, n))

    @property
    def parameters(self) -> int:
        """How many numbers a vector has."""
        return sum(math.prod(shape) for shape in self.shapes)

    def parts(self, vector: Vector) -> Parts:
        """Return the parts of a vector."""
        found, at = [], 0
        for shape in self.shapes:
            size = math.prod(shape)
            found.append(vector[..., at : at + size].reshape(*vector.shape[:-1], *shape))
            at += size
        return Parts(*found)

    def join(self, parts: Parts) -> Vector:
        """Return the vector of parts."""
        axes = parts.bias.shape[:-1]
        return jnp.concatenate([jnp.reshape(part, (*axes, -1)) for part in parts], axis=-1)

    def draw(self, key: Key[Array, ""]) -> Float[Array, " parameters"]:
        """Draw parameters as the published code does: biases are 0."""
        weights, outer, linear, factor = jax.random.split(key, 4)
        shapes = self.shapes
        return self.join(
            Parts(
                weights=WEIGHTS_STD * jax.random.normal(weights, shapes.weights),
                bias=jnp.zeros(shapes.bias),
                outer=WEIGHTS_STD * jax.random.normal(outer, shapes.outer),
                linear=WEIGHTS_STD * jax.random.normal(linear, shapes.linear),
                constant=jnp.zeros(()),
                factor=FACTOR_STD * jax.random.normal(factor, shapes.factor),
            )
        )

    def affine(self, matrix: Float[Array, "*axes n n"], shift: Float[Array, "*axes n"]) -> Vector:
        """Return the vector whose gradient is x -> matrix x + shift, exactly.

        Args:
            matrix: symmetric and positive semi-definite.
            shift: of the map.
        """
        axes = shift.shape[:-1]
        eigenvalues, vectors = jnp.linalg.eigh(matrix / 2)
        root = jnp.sqrt(jnp.maximum(eigenvalues, 0.0))
        zeros = jnp.zeros((*axes, self.width))
        return self.join(
            Parts(
                weights=jnp.zeros((*axes, self.width, self.dimension)),
                bias=zeros,
                outer=zeros,
                linear=shift,
                constant=jnp.zeros(axes),
                factor=root[..., :, None] * jnp.swapaxes(vectors, -1, -2),
            )
        )

    def value(self, vector: Vector, x: Points) -> Float[Array, "*axes points"]:
        """psi(x)."""
        return self.value_and_gradient(vector, x)[0]

    def gradient(self, vector: Vector, x: Points) -> Points:
        """Grad psi(x)."""
        return self.value_and_gradient(vector, x)[1]

    def value_and_gradient(
        self, vector: Vector, x: Points
    ) -> tuple[Float[Array, "*axes points"], Points]:
        """Return psi(x) and grad psi(x), the second written out, so that it costs two products."""
        p = self.parts(vector)
        outer = jax.nn.softplus(p.outer)[..., None, :]
        before = x @ jnp.swapaxes(p.weights, -1, -2) + p.bias[..., None, :]
        slope = jnp.where(before > 0, 1.0, SLOPE)
        scaled = x @ jnp.swapaxes(p.factor, -1, -2)
        value = (
            jnp.sum(outer * slope * before, axis=-1)
            + jnp.sum(x * p.linear[..., None, :], axis=-1)
            + p.constant[..., None]
            + jnp.sum(scaled**2, axis=-1)
        )
        gradient = (outer * slope) @ p.weights + p.linear[..., None, :] + 2.0 * scaled @ p.factor
        return value, gradient

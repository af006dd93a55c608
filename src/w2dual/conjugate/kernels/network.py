"""A layered potential inside a kernel: its weights in one array, its value and gradient.

All weights of a seed are in one array of rows, padded with zeros, so that a kernel takes one
argument for them and XLA makes it in one operation. A product is taken twice, forwards and
backwards, and its matrix is there twice, once transposed: in a kernel a transposition costs more
than the second load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from w2dual.conjugate.kernels.blocks import padded
from w2dual.conjugate.kernels.layout import Layout, Vector
from w2dual.potentials.layered import Layered


class Place(NamedTuple):
    """A matrix within the rows of the weights."""

    row: int
    rows: int
    columns: int

    def load(self, ref: Any) -> Any:
        """Load it."""
        return ref[self.row : self.row + self.rows, : self.columns]

    def load_row(self, ref: Any, index: int = 0) -> Any:
        """Load one of its rows."""
        return ref[self.row + index, : self.columns]


class Places(NamedTuple):
    """Of one layer; None for what it does not have."""

    hidden: Place | None
    hidden_back: Place | None
    skip: Place | None
    skip_back: Place | None
    bias: Place


@dataclass(frozen=True)
class Network:
    """Where the weights are, and how to evaluate with them."""

    places: tuple[Places, ...]
    constants: Place  # one row: bias of the output unit, alpha
    activation: Callable[[Any], Any]
    slope: Callable[[Any], Any]  # the activation's derivative, from its value
    layout: Layout
    precision: Any

    def value_and_gradient(self, ref: Any, x: Vector) -> tuple[Any, Vector]:
        """Return f(x) and grad f(x) of each point of the block."""
        *hidden, last = self.places
        activations, z = [], None
        for at in hidden:
            z = self.activation(self._before_activation(ref, at, x, z))
            activations.append(z)
        out_weights = _given(last.hidden).load_row(ref)
        out = jnp.sum(z * out_weights[None, :], axis=1) + ref[self.constants.row, 0]
        alpha = ref[self.constants.row, 1]
        if last.skip is not None:
            out += self._inner_with_row(ref, last.skip, x)
        out = self.activation(out)
        value = out + 0.5 * alpha * self.layout.inner(x, x)

        d_out = self.slope(out)
        gradient = tuple(alpha * part for part in x)
        if last.skip is not None:
            gradient = self._add_row(ref, last.skip, d_out, gradient)
        d = d_out[:, None] * out_weights[None, :]
        for at, z in zip(reversed(hidden), reversed(activations), strict=True):
            d *= self.slope(z)
            if at.skip is not None:
                gradient = self._add_skip(ref, at, d, gradient)
            if at.hidden_back is not None:
                d = self._product(d, at.hidden_back.load(ref))
        return value, gradient

    def _product(self, a: Any, b: Any) -> Any:
        return lax.dot_general(
            a,
            b,
            (((1,), (0,)), ((), ())),
            precision=self.precision,
            preferred_element_type=self.layout.dtype,
        )

    def _before_activation(self, ref: Any, at: Places, x: Vector, z: Any) -> Any:
        total = at.bias.load_row(ref)[None, :]
        if at.hidden is not None:
            total = total + self._product(z, at.hidden.load(ref))
        if at.skip is None:
            return total
        if self.layout.tile:
            return total + self._product(x[0], at.skip.load(ref))
        for i, part in enumerate(x):
            total = total + part[:, None] * at.skip.load_row(ref, i)[None, :]
        return total

    def _inner_with_row(self, ref: Any, place: Place, x: Vector) -> Any:
        if self.layout.tile:
            return jnp.sum(x[0] * place.load_row(ref)[None, :], axis=1)
        return sum(part * ref[place.row, i] for i, part in enumerate(x))

    def _add_row(self, ref: Any, place: Place, numbers: Any, gradient: Vector) -> Vector:
        if self.layout.tile:
            return (gradient[0] + numbers[:, None] * place.load_row(ref)[None, :],)
        return tuple(part + numbers * ref[place.row, i] for i, part in enumerate(gradient))

    def _add_skip(self, ref: Any, at: Places, d: Any, gradient: Vector) -> Vector:
        if self.layout.tile:
            return (gradient[0] + self._product(d, _given(at.skip_back).load(ref)),)
        skip = _given(at.skip)
        return tuple(
            part + jnp.sum(d * skip.load_row(ref, i)[None, :], axis=1)
            for i, part in enumerate(gradient)
        )


def elu_slope(value: Any) -> Any:
    """Return the derivative of ELU where it has this value."""
    return jnp.where(value > 0, 1.0, value + 1.0)


def leaky_relu_slope(value: Any, negative_slope: float) -> Any:
    """Return the derivative of a leaky ReLU where it has this value, 1 at 0 as JAX has it."""
    return jnp.where(value >= 0, 1.0, negative_slope)


def pack(
    potential: Layered,
    layout: Layout,
    activation: Callable[[Any], Any],
    slope: Callable[[Any], Any],
    precision: Any,
) -> tuple[Float[Array, "seeds rows columns"], Network]:
    """Put a potential's weights into one array, and return the network that knows its places."""
    *hidden, last = potential.layers
    sizes = [padded(width) for width in potential.widths]
    n = layout.size
    columns = max(*sizes, n, 2)
    packing = _Packing(columns)
    places = []
    for layer, width, before in zip(hidden, sizes, [0, *sizes[:-1]], strict=True):
        back, skip_back = None, None
        main = skip = None
        if layer.hidden is not None:
            main = packing.add(layer.hidden, before, width)
            back = packing.add(layer.hidden.mT, width, before)
        if layer.skip is not None:
            skip = packing.add(layer.skip, n, width)
            if layout.tile:
                skip_back = packing.add(layer.skip.mT, width, n)
        bias = packing.add(layer.bias[:, None, :], 1, width)
        places.append(Places(main, back, skip, skip_back, bias))
    if last.hidden is None:
        raise ValueError("a potential without a hidden layer has no kernel")
    output = packing.add(last.hidden.mT, 1, sizes[-1])
    skip = None if last.skip is None else packing.add(last.skip.mT, 1, n)
    numbers = jnp.stack([last.bias[:, 0], potential.alpha], axis=1)
    constants = packing.add(numbers[:, None, :], 1, 2)
    places.append(Places(output, None, skip, None, constants))
    network = Network(tuple(places), constants, activation, slope, layout, precision)
    return jnp.concatenate(packing.blocks, axis=1), network


class _Packing:
    """Matrices on top of each other, each filled up with zeros."""

    def __init__(self, columns: int) -> None:
        self.blocks: list[Array] = []
        self.columns, self.used = columns, 0

    def add(self, matrix: Float[Array, "seeds rows columns"], rows: int, columns: int) -> Place:
        _, r, c = matrix.shape
        self.blocks.append(jnp.pad(matrix, ((0, 0), (0, rows - r), (0, self.columns - c))))
        place = Place(self.used, rows, columns)
        self.used += rows
        return place


def _given(place: Place | None) -> Place:
    if place is None:
        raise ValueError("a layer lacks a matrix that it is asked for")
    return place

"""Our networks' outputs and their parameters' gradients on a GPU, by one kernel each.

XLA makes some 10 operations of a network's outputs and 20 of its gradient, each of which waits for
the one before. Here a program takes one seed and some of its points and goes through all layers,
forwards for the outputs, and back for the gradient, which it leaves as its points' part of a sum.

All weights of a seed are one vector, in the order in which `layers` has them (see `blocks`).
Written in Pallas and lowered by Triton, as `conjugate.kernels` explains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from w2dual.amortization.models.mlp_skip import MLPWithSkip
from w2dual.conjugate.kernels import blocks, choice
from w2dual.conjugate.kernels.blocks import Matrix, product
from w2dual.conjugate.kernels.pallas import pl, triton
from w2dual.potentials.layered import Layer, layered

POINTS = {"outputs": 64, "gradient": 32}
"""Points of a program: as many as spill no registers at n = 16."""
WARPS = 8
LARGEST_WIDTH = choice.NARROW
"""Of n and hidden layers. Beyond, arithmetic costs more than launches, and registers spill."""


class Places(NamedTuple):
    """Of one layer; None for a product that it does not have."""

    hidden: Matrix | None
    skip: Matrix | None
    bias: Matrix


@dataclass(frozen=True)
class Chain:
    """A network of layers z_i = act(z_{i-1} C_i + x A_i + b_i), and where its weights are.

    Attributes:
        n: dimension of the points.
        places: of each layer.
        activation: its name.
        last: whether the last layer has the activation too.
    """

    n: int
    places: tuple[Places, ...]
    activation: str
    last: bool

    @property
    def outputs(self) -> int:
        """Numbers of an output."""
        return self.places[-1].bias.columns

    @property
    def numbers(self) -> int:
        """Weights of a seed."""
        return self.places[-1].bias.start + self.outputs


def chain(layers: Sequence[Layer], n: int, activation: str, last: bool) -> Chain | None:
    """Return the chain of a network's layers; None for one that no kernel is for."""
    widths = [layer.bias.shape[-1] for layer in layers]
    known = choice.activation_and_slope(activation) is not None
    if not known or max(n, *widths) > LARGEST_WIDTH:
        return None
    places, start = [], 0
    for layer, width, before in zip(layers, widths, [0, *widths[:-1]], strict=True):
        found: list[Matrix | None] = []
        sizes = (before, layer.hidden), (n, layer.skip), (1, layer.bias)
        for rows, weights in sizes:
            found.append(None if weights is None else Matrix(start, rows, width))
            start += 0 if weights is None else rows * width
        places.append(Places(*found))  # pyright: ignore[reportArgumentType]
    return Chain(n, tuple(places), activation, last)


def apply(
    chain: Chain, layers: Sequence[Layer], x: Float[Array, "seeds points n"]
) -> Float[Array, "seeds points outputs"]:
    """Return a network's outputs; its gradient is that in the layers, and no other is known."""
    leaves = jax.tree.leaves(layers)
    vector = jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)
    return _apply(chain, vector, lax.stop_gradient(x))


def values(
    module: nn.Module, params: Any, x: Float[Array, "seeds points n"]
) -> Float[Array, "seeds points"] | None:
    """Return f of each seed at points that no gradient is asked in; None: there is no kernel."""
    found = layered(module, params)
    if found is None:
        return None
    known = chain(found.layers, x.shape[-1], found.activation, last=True)
    if known is None:
        return None
    square = jnp.sum(x * x, axis=-1)
    return apply(known, found.layers, x)[..., 0] + 0.5 * found.alpha[:, None] * square


def predictions(
    module: nn.Module, params: Any, y: Float[Array, "seeds points n"]
) -> Float[Array, "seeds points n"] | None:
    """Return x_tilde(y) of each seed; None: there is no kernel."""
    if type(module) is not MLPWithSkip:
        return None
    layers = module.layers(params)
    known = chain(layers, y.shape[-1], module.activation, last=False)
    return None if known is None else y + apply(known, layers, y)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _apply(
    chain: Chain, weights: Float[Array, "seeds numbers"], x: Float[Array, "seeds points n"]
) -> Float[Array, "seeds points outputs"]:
    seeds, points, _ = x.shape
    shape = (seeds, points, chain.outputs)
    return _launch("outputs", chain, _outputs, [weights, x], shape, (None, *shape[1:]))


def _forward(chain: Chain, weights: Array, x: Array) -> tuple[Array, tuple[Array, Array]]:
    return _apply(chain, weights, x), (weights, x)


def _backward(chain: Chain, kept: tuple[Array, Array], slopes: Array) -> tuple[Array, Array]:
    weights, x = kept
    seeds, points, _ = x.shape
    shape = (seeds, -(-points // POINTS["gradient"]), chain.numbers)
    inputs = [weights, x, slopes]
    parts = _launch("gradient", chain, _gradient, inputs, shape, (None, None, chain.numbers))
    return jnp.sum(parts, axis=1), jnp.zeros_like(x)


_apply.defvjp(_forward, _backward)


def _launch(
    name: str,
    chain: Chain,
    kernel: Callable[..., None],
    inputs: list[Array],
    shape: tuple[int, ...],
    block: tuple[int | None, ...],
) -> Array:
    """Run a kernel on the grid of seeds and blocks of points.

    Args:
        name: of what it gives.
        chain: the network.
        kernel: (chain, references) -> None.
        inputs: arrays with a leading axis of seeds, which a program sees as a whole.
        shape: of the result.
        block: what of the result a program sees: whatever is None is its seed, or its block.
    """
    seeds, points, _ = inputs[1].shape

    def whole(array: Array) -> pl.BlockSpec:
        rest = array.shape[1:]
        return pl.BlockSpec((None, *rest), lambda s, b: (s, *(0 for _ in rest)))

    def place(s: Any, b: Any) -> tuple[Any, ...]:
        of_program = [s, b][: block.count(None)]
        return (*of_program, *(0 for size in block if size is not None))

    return pl.pallas_call(
        partial(kernel, chain),
        grid=(seeds, -(-points // POINTS[name])),
        in_specs=[whole(item) for item in inputs],
        out_specs=pl.BlockSpec(block, place),
        out_shape=jax.ShapeDtypeStruct(shape, inputs[0].dtype),
        compiler_params=triton.CompilerParams(num_warps=WARPS, num_stages=1),
        interpret=blocks.interpreted(),
        name=f"network_{name}",
    )(*inputs)


def _outputs(chain: Chain, weights: Any, x_ref: Any, out: Any) -> None:
    size = POINTS["outputs"]
    *_, last = _activations(chain, weights, blocks.load_points(x_ref, size, 1))
    blocks.store_points(out, size, 1, last)


def _gradient(chain: Chain, weights: Any, x_ref: Any, slopes: Any, out: Any) -> None:
    _, slope = _activation(chain)
    size = POINTS["gradient"]
    x = blocks.load_points(x_ref, size, 1)
    z = _activations(chain, weights, x)
    d = blocks.load_points(slopes, size, 1)
    if chain.last:
        d = d * slope(z[-1])
    for i in reversed(range(len(chain.places))):
        at = chain.places[i]
        at.bias.store_row(out, jnp.sum(d, axis=0))
        if at.skip is not None:
            at.skip.store(out, product(x, d, transposed=True))
        if at.hidden is not None:
            at.hidden.store(out, product(z[i - 1], d, transposed=True))
            d = product(d, at.hidden.load(weights, transposed=True)) * slope(z[i - 1])


def _activations(chain: Chain, weights: Any, x: Any) -> list[Any]:
    """Return what each layer gives."""
    activation, _ = _activation(chain)
    found: list[Any] = []
    for i, at in enumerate(chain.places):
        z = at.bias.load_row(weights)
        if at.hidden is not None:
            z = z + product(found[-1], at.hidden.load(weights))
        if at.skip is not None:
            z = z + product(x, at.skip.load(weights))
        last = i == len(chain.places) - 1
        found.append(z if last and not chain.last else activation(z))
    return found


def _activation(chain: Chain) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    found = choice.activation_and_slope(chain.activation)
    if found is None:
        raise ValueError(f"activation {chain.activation!r} has no kernel")
    return found

"""What a loop of training carries where few operations count: all numbers of a seed in one array.

What an operation costs on a GPU is starting it. So there the optimiser takes one step on one array
in place of one on a tree for each network, and whatever counts steps is there once and not once a
seed. Checkpoints and all else have the trees: a loop begins with `enter` and ends with `leave`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int


class Flat(NamedTuple):
    """What is trained, of all networks of each seed; a `methods.State`.

    Attributes:
        params: their numbers, network after network.
        optimizer: its state for these numbers; what counts steps has no axis of seeds.
        step: steps done.
        diverged_at: of each seed.
    """

    params: Float[Array, "seeds numbers"]
    optimizer: Any
    step: Int[Array, ""]
    diverged_at: Int[Array, " seeds"]


@dataclass(frozen=True)
class Flattening:
    """Between trees, one for each network, and arrays of the numbers of a seed.

    # ASSUME: the optimiser treats all numbers alike, and what else its state has counts the steps
    that a seed has taken. So it is with AdamW.

    Attributes:
        like: parameters of each network with a leading axis of seeds, for their shapes.
        optimizer: of one seed, which takes its parameters as one vector.
    """

    like: Sequence[Any]
    optimizer: optax.GradientTransformation

    def flat(self, trees: Sequence[Any]) -> Float[Array, "seeds numbers"]:
        """Return the numbers of trees as one array."""
        leaves = jax.tree.leaves(trees)
        return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)

    def trees(self, numbers: Float[Array, "seeds numbers"]) -> Sequence[Any]:
        """Return the trees of an array."""
        one = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), self.like)
        return jax.vmap(ravel_pytree(one)[1])(numbers)

    def enter(
        self, params: Sequence[Any], optimizers: Sequence[Any], step: Array, diverged_at: Array
    ) -> Flat:
        """Return a state as a loop carries it."""

        def joined(*leaves: Array) -> Array:
            if leaves[0].ndim == 1:
                return step.astype(leaves[0].dtype)
            return jnp.concatenate(leaves, axis=1)

        return Flat(self.flat(params), jax.tree.map(joined, *optimizers), step, diverged_at)

    def leave(self, flat: Flat) -> tuple[Sequence[Any], list[Any]]:
        """Return the parameters and the optimiser's state of each network."""
        taken = jnp.where(flat.diverged_at < 0, flat.step, flat.diverged_at - 1)

        def part(first: int, last: int) -> Any:
            def of_leaf(leaf: Array) -> Array:
                return leaf[:, first:last] if leaf.ndim else taken.astype(leaf.dtype)

            return jax.tree.map(of_leaf, flat.optimizer)

        parts, first = [], 0
        for tree in self.like:
            last = first + sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(tree))
            parts.append(part(first, last))
            first = last
        return self.trees(flat.params), parts

    def step(
        self,
        flat: Flat,
        gradients: Sequence[Any],
        settle: Callable[..., tuple[tuple[Any, ...], Int[Array, " seeds"]]],
    ) -> Flat:
        """Take a step.

        Args:
            flat: what is trained.
            gradients: of the parameters of each network.
            settle: as `methods.Divergence.settle`, but for the state and the loss.
        """
        axes = jax.tree.map(lambda leaf: 0 if leaf.ndim else None, flat.optimizer)

        updates, optimizer = jax.vmap(self.optimizer.update, (0, axes, 0), (0, axes))(
            self.flat(gradients), flat.optimizer, flat.params
        )
        new, shape = jax.tree.flatten(optimizer)
        pairs = list(zip(new, jax.tree.leaves(flat.optimizer), strict=True))
        (params, *kept), diverged_at = settle(
            optax.apply_updates(flat.params, updates), *(pair for pair in pairs if pair[0].ndim)
        )
        kept = iter(kept)
        leaves = [next(kept) if leaf.ndim else leaf for leaf in new]
        return Flat(params, jax.tree.unflatten(shape, leaves), flat.step + 1, diverged_at)

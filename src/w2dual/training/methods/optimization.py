"""How networks are moved, and when a seed has diverged: the same for all methods of the project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from w2dual.config.settings import TrainingSettings
from w2dual.decoding import decode
from w2dual.training.methods.base import Divergence

Networks = TypeVar("Networks", bound=tuple[Any, ...])


class TrainingState(NamedTuple, Generic[Networks]):
    """Parameters and optimiser state of all seeds; `diverged_at` is -1 for a seed that goes on.

    Parameters are a named tuple with a field for each network, None where there is none. So is the
    optimiser's state where each network is moved by itself.
    """

    params: Networks
    optimizer: Any
    step: Int[Array, ""]
    diverged_at: Int[Array, " seeds"]


def started(optimizer: optax.GradientTransformation, params: Networks) -> TrainingState[Networks]:
    """Return the state before the first step, where one optimiser moves each network by itself.

    Args:
        optimizer: of each network.
        params: with a leading axis of seeds.
    """
    of_each: Any = type(params)
    return before_training(
        params,
        of_each(*(None if tree is None else jax.vmap(optimizer.init)(tree) for tree in params)),
    )


def before_training(params: Networks, optimizer: Any) -> TrainingState[Networks]:
    """Return the state before the first step, with an optimiser's state that is there already.

    Args:
        params: with a leading axis of seeds.
        optimizer: the state of whatever moves them, of all seeds.
    """
    seeds = jax.tree.leaves(params)[0].shape[0]
    return TrainingState(
        params=params,
        optimizer=optimizer,
        step=jnp.zeros((), jnp.int32),
        diverged_at=jnp.full(seeds, -1, jnp.int32),
    )


def moved(
    optimizer: optax.GradientTransformation, gradient: Any, state: Any, params: Any
) -> tuple[Any, Any]:
    """Take one step on a network of one seed; return its parameters and its optimiser's state."""
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state


class Optimization(NamedTuple):
    """What a method needs of a cell's `training`."""

    optimizer: optax.GradientTransformation
    divergence: Divergence


def of(settings: Mapping[str, Any]) -> Optimization:
    """Return AdamW with a cosine decay over the run, and the rule of divergence.

    Without weight decay, and with a final factor of 1, it is plain Adam.

    Args:
        settings: of a cell (`cells.Cell.settings`).

    Raises:
        InputError: its `training` does not fit.
    """
    training = decode(TrainingSettings, settings["training"], "cell", "settings.training")
    adamw = optax.adamw(
        _schedule(training), b1=training.b1, b2=training.b2, weight_decay=training.weight_decay
    )
    # On one flat vector for each network: fewer and larger operations, the same numbers.
    return Optimization(
        optax.flatten(adamw), Divergence(training.divergence_loss, training.divergence_every)
    )


def muon(settings: Mapping[str, Any]) -> optax.GradientTransformation:
    """Return Muon for matrices, with optax's momentum, and AdamW for the rest, as `of` has it.

    Source: Jordan et al. 2024, as in `optax.contrib`.

    Args:
        settings: of a cell.

    Raises:
        InputError: its `training` does not fit.
    """
    training = decode(TrainingSettings, settings["training"], "cell", "settings.training")
    return optax.contrib.muon(
        _schedule(training),
        weight_decay=training.weight_decay,
        adam_b1=training.b1,
        adam_b2=training.b2,
        adam_weight_decay=training.weight_decay,
    )


def _schedule(training: TrainingSettings) -> optax.Schedule:
    """Return the learning rate by step: a cosine decay over the run."""
    return optax.cosine_decay_schedule(
        training.learning_rate, training.iterations, training.final_learning_rate_factor
    )

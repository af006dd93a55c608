"""What training the potentials of a pair has in common, whatever network they are.

Both kinds of the benchmark's pairs have two potentials, each the potential D of one training
(`benchmark.generated`, `celeba64.generated`), of which weights named `convex` and `final` may not
be negative.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from w2dual import rng
from w2dual.records import InputError

log = logging.getLogger(__name__)

PROGRESS_LINES = 10
IDENTITY_TOLERANCE = 1e-3
"""Error at which the fit to the identity stops."""

Points = Float[Array, "batch n"]
Weights = TypeVar("Weights")
"""A named tuple of a network's weights."""
States = TypeVar("States")


def drawn(
    key: Key[Array, ""], shapes: Mapping[str, tuple[int, ...]], std: float
) -> dict[str, Float[Array, ...]]:
    """Draw weights of the given shapes by their names, each number from N(0, std^2)."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    numbers = std * jax.random.normal(key, (sum(sizes),), jnp.float32)
    pieces = jnp.split(numbers, np.cumsum(sizes)[:-1])
    return {
        name: piece.reshape(shape)
        for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
    }


def clamped(weights: Any) -> Any:
    """Return weights with 0 where a negative one would keep the potential from being convex."""
    return weights._replace(
        convex=tuple(jnp.maximum(item, 0) for item in weights.convex),
        final=jnp.maximum(weights.final, 0),
    )


def mse(found: Points, wanted: Points) -> Float[Array, ""]:
    """Return the squared error, a mean over points and coordinates."""
    return jnp.mean(jnp.square(found - wanted))


def fit_identity(
    weights: Weights,
    key: Key[Array, ""],
    push: Callable[[Weights, Points], Points],
    draw: Callable[[Key[Array, ""]], Points],
    update: optax.GradientTransformation,
    iterations: int,
) -> tuple[Weights, Float[Array, ""]]:
    """Fit a potential's gradient to the identity; return it and its last error.

    Args:
        weights: of the potential.
        key: of what is drawn; each step has its own.
        push: its gradient, from the weights.
        draw: draws the points of a step.
        update: the optimiser.
        iterations: steps at most.
    """

    def loss(current: Weights, points: Points) -> Float[Array, ""]:
        return mse(push(current, points), points)

    def unfinished(carry: tuple) -> Array:
        step, _, _, error = carry
        return (step < iterations) & (error >= IDENTITY_TOLERANCE)

    def advance(carry: tuple) -> tuple:
        step, current, state, _ = carry
        points = draw(rng.at(key, step))
        error, gradient = jax.value_and_grad(loss)(current, points)
        change, state = update.update(gradient, state, current)
        moved: Any = optax.apply_updates(current, change)
        return step + 1, clamped(moved), state, error

    start = (jnp.int32(0), weights, update.init(weights), jnp.float32(jnp.inf))  # pyright: ignore[reportArgumentType]
    _, fitted, _, error = jax.lax.while_loop(unfinished, advance, start)
    return fitted, error


def in_portions(
    advance: Callable[[States, int, int], States],
    states: States,
    iterations: int,
    errors: Callable[[States], Iterable[Any]],
    label: str,
    versions: Sequence[str],
    started: float,
) -> States:
    """Take all steps in portions, with a line in the log after each.

    Args:
        advance: from states, the first step and the one after the last to the states after them.
        states: before the first step.
        iterations: steps.
        errors: from states to the error of the cycles, of each version.
        label: of the lines.
        versions: names.
        started: when the job began, by `time.monotonic`.
    """
    every = max(1, -(-iterations // PROGRESS_LINES))
    for begin in range(0, iterations, every):
        end = min(begin + every, iterations)
        states = advance(states, begin, end)
        log.info(
            "%s: step %d of %d, cycle mse %s (%.0f s)",
            label,
            end,
            iterations,
            words(errors(states), versions),
            time.monotonic() - started,
        )
    return states


def told_apart(stacked: Weights, versions: Sequence[str], name: str, section: str) -> list[Weights]:
    """Return the weights of each version, given those of all along a leading axis.

    Args:
        stacked: the weights.
        versions: names.
        name: of the pair, for messages.
        section: of the config that says how it is trained.

    Raises:
        InputError: a weight is not finite.
    """
    found = [
        jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), stacked) for i in range(len(versions))
    ]
    for version, potential in zip(versions, found, strict=True):
        check_finite(potential, f"{name}, {version}", section)
    return found


def check_finite(potential: Any, name: str, section: str) -> None:
    """Refuse weights of a training that diverged.

    Raises:
        InputError: a weight is not finite.
    """
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(potential)):
        raise InputError(
            f"{name}: its training diverged; try another seed or a smaller learning_rate in "
            f"{section}"
        )


def words(values: Iterable[Any], versions: Sequence[str]) -> str:
    """Word a number of each version."""
    return ", ".join(
        f"{version} {float(value):.3g}"
        for version, value in zip(versions, np.asarray(list(values)), strict=True)
    )

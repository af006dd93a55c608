"""A benchmark pair's potentials, trained again the way the benchmark's authors trained theirs.

For each of two target mixtures of ten Gaussians, a potential D and its conjugate's model D_conj,
both DenseICNN, are trained by the cycle method (W2GN) from the three-component source:

    mean(D(x) - D(xi)) + n [mse(grad D(grad D_conj(y)), y) + mse(grad D_conj(grad D(x)), x)],

xi = grad D_conj(y) held fixed, mse averaged over batch and coordinates, weights clamped to keep
both convex after each step of Adam. Starts from potentials fitted to the identity map.
Source: Korotin et al., NeurIPS 2021, appendix B.1, and W2_train_hd_benchmark in its repository.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from w2dual import rng
from w2dual.measures import potential_training
from w2dual.measures.benchmark import icnn_dense, mixture
from w2dual.measures.benchmark.icnn_dense import VERSIONS, DenseICNN
from w2dual.measures.benchmark.mixture import Mixture
from w2dual.measures.potential_training import mse, words

log = logging.getLogger(__name__)

TARGET_SEEDS = {"v1": 0xBADBEEF, "v2": 0xC0FFEE}
TARGET_COMPONENTS = 10
WEIGHT_DECAY = 1e-10
PRETRAINING_SPREAD = 3.0
"""Standard deviation of the points on which the potentials learn the identity."""
SECTION = "measures.benchmark.generated"
"""Of the config."""

Points = Float[Array, "batch n"]


@dataclass(frozen=True)
class Budget:
    """What a pair's training may spend, and its settings; see `measures.benchmark.generated`."""

    iterations: int
    batch_size: int
    learning_rate: float
    pretraining_iterations: int
    strong_convexity: float
    seed: int


@dataclass(frozen=True)
class Generated:
    """A trained pair of potentials.

    Attributes:
        potentials: D of each version, in the order of `VERSIONS`.
        identity_mse: of each version, after pre-training.
        cycle_mse: of each version, both directions added, at the last training step.
    """

    potentials: list[DenseICNN]
    identity_mse: list[float]
    cycle_mse: list[float]


class _State(NamedTuple):
    potential: DenseICNN
    conjugate: DenseICNN
    optimizer: optax.OptState
    cycle: Float[Array, ""]


def optimizer(learning_rate: float) -> optax.GradientTransformation:
    """Adam with the L2 penalty inside the gradient, as PyTorch's `weight_decay` has it."""
    adam = optax.chain(optax.add_decayed_weights(WEIGHT_DECAY), optax.adam(learning_rate))
    # On one vector of all weights: the same numbers from one kernel instead of one per weight.
    return optax.flatten(adam)


def fit_identity(
    weights: DenseICNN, key: Key[Array, ""], budget: Budget
) -> tuple[DenseICNN, Float[Array, ""]]:
    """Fit a potential's gradient to the identity on N(0, 9 I); return it and its last error."""
    dimension = weights.quad[0].shape[0]

    def push(current: DenseICNN, points: Points) -> Points:
        return icnn_dense.push(current, budget.strong_convexity, points)

    def draw(key: Key[Array, ""]) -> Points:
        shape = (budget.batch_size, dimension)
        return PRETRAINING_SPREAD * jax.random.normal(key, shape, jnp.float32)

    update, steps = optimizer(budget.learning_rate), budget.pretraining_iterations
    return potential_training.fit_identity(weights, key, push, draw, update, steps)


def dual_and_cycle_losses(
    value: Callable[[Float[Array, "batch n"]], Float[Array, " batch"]],
    forward: Callable[[Float[Array, "batch n"]], Float[Array, "batch n"]],
    backward: Callable[[Float[Array, "batch n"]], Float[Array, "batch n"]],
    x: Float[Array, "batch n"],
    y: Float[Array, "batch n"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return mean(D(x) - D(xi)) and the two cycle errors added, without the factor n.

    Args:
        value: D.
        forward: grad D.
        backward: grad D_conj.
        x: points of the source.
        y: points of the target.
    """
    xi = backward(y)
    dual = jnp.mean(value(x) - value(jax.lax.stop_gradient(xi)))
    return dual, mse(forward(xi), y) + mse(backward(forward(x)), x)


def train(dimension: int, budget: Budget) -> Generated:
    """Train the potentials of both versions side by side.

    Raises:
        InputError: a version's training diverged.
    """
    source = _as_mixture(*mixture.draw_source(dimension))
    drawn = [mixture.draw(dimension, TARGET_COMPONENTS, TARGET_SEEDS[v]) for v in VERSIONS]
    targets = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[_as_mixture(*d) for d in drawn])
    keys = jnp.stack([rng.stream(budget.seed, f"generated {v}") for v in VERSIONS])

    started = time.monotonic()
    state, identity_mse = jax.jit(jax.vmap(functools.partial(_start, dimension, budget)))(keys)
    label = f"n={dimension}"
    log.info(
        "%s: potentials fitted to the identity, mse %s (%.0f s)",
        label,
        words(identity_mse, VERSIONS),
        time.monotonic() - started,
    )
    chunk = _chunk(source, budget)
    state = potential_training.in_portions(
        lambda state, begin, end: chunk(state, targets, keys, begin, end),
        state,
        budget.iterations,
        lambda state: state.cycle,
        label,
        VERSIONS,
        started,
    )
    potentials = potential_training.told_apart(
        state.potential, VERSIONS, f"generated pair, {label}", SECTION
    )
    return Generated(
        potentials,
        [float(item) for item in identity_mse],
        [float(item) for item in state.cycle],
    )


def _start(dimension: int, budget: Budget, key: Key[Array, ""]) -> tuple[_State, Float[Array, ""]]:
    init_key, points_key = jax.random.split(rng.at(key, 0))
    weights = icnn_dense.init(init_key, dimension)
    fitted, error = fit_identity(weights, points_key, budget)
    pair = (fitted, fitted)
    state = optimizer(budget.learning_rate).init(pair)
    return _State(fitted, fitted, state, jnp.float32(jnp.inf)), error


def _chunk(source: Mixture, budget: Budget) -> Callable[..., _State]:
    """Compile steps begin, ..., end - 1 of both versions; the bounds do not recompile it."""
    update = optimizer(budget.learning_rate)
    dimension = source.centers.shape[1]

    def loss(
        pair: tuple[DenseICNN, DenseICNN], x: Float[Array, "batch n"], y: Float[Array, "batch n"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        forward, backward = (
            functools.partial(icnn_dense.push, weights, budget.strong_convexity) for weights in pair
        )
        value = functools.partial(icnn_dense.values, pair[0], budget.strong_convexity)
        dual, cycle = dual_and_cycle_losses(value, forward, backward, x, y)
        return dual + dimension * cycle, cycle

    def one(state: _State, target: Mixture, key: Key[Array, ""], step: Array) -> _State:
        x_key, y_key = jax.random.split(rng.at(key, step + 1))
        x = mixture.sample(source, x_key, budget.batch_size)
        y = mixture.sample(target, y_key, budget.batch_size)
        pair = (state.potential, state.conjugate)
        gradient, cycle = jax.grad(loss, has_aux=True)(pair, x, y)
        change, optimizer_state = update.update(gradient, state.optimizer, pair)
        moved: Any = optax.apply_updates(pair, change)
        potential, conjugate = (icnn_dense.convexify(item) for item in moved)
        return _State(potential, conjugate, optimizer_state, cycle)

    @functools.partial(jax.jit, donate_argnums=0)
    def advance(
        state: _State, targets: Mixture, keys: Key[Array, " versions"], begin: Array, end: Array
    ) -> _State:
        both = jax.vmap(one, in_axes=(0, 0, 0, None))
        return jax.lax.fori_loop(
            begin, end, lambda step, current: both(current, targets, keys, step), state
        )

    return advance


def _as_mixture(centers: np.ndarray, maps: np.ndarray) -> Mixture:
    return Mixture(jnp.asarray(centers), jnp.asarray(maps), jnp.float32(mixture.COMPONENT_STD))

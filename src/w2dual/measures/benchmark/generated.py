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
from w2dual.measures.benchmark import icnn_dense, mixture
from w2dual.measures.benchmark.icnn_dense import VERSIONS, DenseICNN
from w2dual.measures.benchmark.mixture import Mixture
from w2dual.records import InputError

log = logging.getLogger(__name__)

TARGET_SEEDS = {"v1": 0xBADBEEF, "v2": 0xC0FFEE}
TARGET_COMPONENTS = 10
WEIGHT_DECAY = 1e-10
PRETRAINING_SPREAD = 3.0
"""Standard deviation of the points on which the potentials learn the identity."""
PRETRAINING_TOLERANCE = 1e-3
PROGRESS_LINES = 10


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
    update = optimizer(budget.learning_rate)
    dimension = weights.quad[0].shape[0]

    def loss(current: DenseICNN, points: Float[Array, "batch n"]) -> Float[Array, ""]:
        return _mse(icnn_dense.push(current, budget.strong_convexity, points), points)

    def unfinished(carry: tuple) -> Array:
        step, _, _, error = carry
        return (step < budget.pretraining_iterations) & (error >= PRETRAINING_TOLERANCE)

    def advance(carry: tuple) -> tuple:
        step, current, state, _ = carry
        shape = (budget.batch_size, dimension)
        points = PRETRAINING_SPREAD * jax.random.normal(rng.at(key, step), shape, jnp.float32)
        error, gradient = jax.value_and_grad(loss)(current, points)
        change, state = update.update(gradient, state, current)
        moved: Any = optax.apply_updates(current, change)
        return step + 1, icnn_dense.convexify(moved), state, error

    start = (jnp.int32(0), weights, update.init(weights), jnp.float32(jnp.inf))
    _, fitted, _, error = jax.lax.while_loop(unfinished, advance, start)
    return fitted, error


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
    return dual, _mse(forward(xi), y) + _mse(backward(forward(x)), x)


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
    log.info(
        "n=%d: potentials fitted to the identity, mse %s (%.0f s)",
        dimension,
        _words(identity_mse),
        time.monotonic() - started,
    )
    advance = _chunk(source, budget)
    every = max(1, -(-budget.iterations // PROGRESS_LINES))
    for begin in range(0, budget.iterations, every):
        end = min(begin + every, budget.iterations)
        state = advance(state, targets, keys, begin, end)
        log.info(
            "n=%d: step %d of %d, cycle mse %s (%.0f s)",
            dimension,
            end,
            budget.iterations,
            _words(state.cycle),
            time.monotonic() - started,
        )
    potentials = [
        jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), state.potential)
        for i in range(len(VERSIONS))
    ]
    for version, potential in zip(VERSIONS, potentials, strict=True):
        check_finite(potential, f"generated pair, n={dimension}, {version}")
    return Generated(
        potentials,
        [float(item) for item in identity_mse],
        [float(item) for item in state.cycle],
    )


def check_finite(potential: DenseICNN, name: str) -> None:
    """Refuse weights of a training that diverged.

    Raises:
        InputError: a weight is not finite.
    """
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(potential)):
        raise InputError(
            f"{name}: its training diverged; try another seed or a smaller learning_rate in "
            "measures.benchmark.generated"
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


def _mse(found: Float[Array, "batch n"], wanted: Float[Array, "batch n"]) -> Float[Array, ""]:
    return jnp.mean(jnp.square(found - wanted))


def _as_mixture(centers: np.ndarray, maps: np.ndarray) -> Mixture:
    return Mixture(jnp.asarray(centers), jnp.asarray(maps), jnp.float32(mixture.COMPONENT_STD))


def _words(values: Float[Array, " versions"]) -> str:
    return ", ".join(
        f"{version} {value:.3g}"
        for version, value in zip(VERSIONS, np.asarray(values), strict=True)
    )

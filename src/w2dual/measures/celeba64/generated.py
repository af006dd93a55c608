"""A pair of images made here: generators drawn at random, potentials trained as the authors' were.

The source's generator and one target's for each of the two potentials are random networks, with the
statistics of batch normalisation of one batch. For each target a potential D and its conjugate's
model D_conj, both ConvICNN, are trained by the cycle method (W2GN), weights clamped to keep both
convex after each step of Adam:

    mean(D(x) - D(xi)) + weight [mse(grad D(grad D_conj(y)), y) + mse(grad D_conj(grad D(x)), x)],

xi = grad D_conj(y) held fixed, mse averaged over batch and coordinates. Starts from potentials
fitted to the identity map. Source: Korotin et al., NeurIPS 2021, the repository's
W2_train_images_benchmark. It labels no table as the published one: no generator here makes faces.
"""

# DIFFERS: batches are drawn from pools of images made once, and nothing is dropped out.
from __future__ import annotations

import functools
import logging
import math
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
from w2dual.measures.benchmark import generated
from w2dual.measures.benchmark.icnn_dense import VERSIONS
from w2dual.measures.celeba64 import generator, icnn_conv, maps
from w2dual.measures.celeba64.generator import Architecture, Generator, Layer
from w2dual.measures.celeba64.icnn_conv import ConvICNN

log = logging.getLogger(__name__)

SOURCE_CONTRAST, TARGET_CONTRAST = 0.7, 0.5
"""Factor on the last layer of a generator: targets are duller, as under-trained generators are."""
STATISTICS = 256
"""Images whose statistics a drawn generator normalises by."""
BETAS, CONJUGATE_BETAS = (0.8, 0.99), (0.4, 0.4)
"""Of Adam, for D and for D_conj."""
WEIGHT_DECAY = 1e-10
"""In the fit to the identity."""
PRETRAINING_BOUND = 2.0
"""The identity is fitted on points uniform on [-2, 2]^n."""
SECTION = "measures.celeba64.generated"
"""Of the config."""

Points = Float[Array, "batch n"]


@dataclass(frozen=True)
class Budget:
    """What making a pair may spend, and its settings; see `measures.celeba64.generated`."""

    size: int
    latent: int
    filters: int
    max_filters: int
    widths: tuple[int, ...]
    pool: int
    iterations: int
    batch_size: int
    learning_rate: float
    cycle_weight: float
    pretraining_iterations: int
    pretraining_learning_rate: float
    seed: int

    @property
    def architecture(self) -> Architecture:
        """Of the generators."""
        return Architecture(self.size, self.latent, self.filters, self.max_filters)


@dataclass(frozen=True)
class Trained:
    """A trained pair of potentials.

    Attributes:
        potentials: D of each version, in the order of `VERSIONS`.
        identity_mse: of each version, after pre-training.
        cycle_mse: of each version, both directions added, at the last training step.
    """

    potentials: list[ConvICNN]
    identity_mse: list[float]
    cycle_mse: list[float]


class _State(NamedTuple):
    potential: ConvICNN
    conjugate: ConvICNN
    optimizers: tuple[optax.OptState, optax.OptState]
    cycle: Float[Array, ""]


def draw_source(budget: Budget) -> Generator:
    """Draw the generator of the source, which all pairs of a seed share."""
    key = rng.stream(budget.seed, "celeba64 source")
    return draw_generator(key, budget.architecture, SOURCE_CONTRAST)


def draw_generator(key: Key[Array, ""], architecture: Architecture, contrast: float) -> Generator:
    """Draw a generator: weights N(0, 2 / fan_in), normalised by the statistics of one batch.

    Args:
        key: of what is drawn.
        architecture: of the network.
        contrast: factor on the weights of the last layer.
    """
    sizes = [math.prod(shape) for shape in architecture.layers.values()]

    @jax.jit
    def draw(key: Key[Array, ""]) -> dict[str, Layer]:
        latent_key, weights_key = jax.random.split(key)
        numbers = jax.random.normal(weights_key, (sum(sizes),))
        pieces = jnp.split(numbers, np.cumsum(sizes)[:-1])
        layers: dict[str, Layer] = {}
        drawn = {
            name: piece.reshape(shape) * math.sqrt(2 / math.prod(shape[1:]))
            for piece, (name, shape) in zip(pieces, architecture.layers.items(), strict=True)
        }

        def apply(name: str, x: Array) -> Array:
            """Apply a layer and normalise its output; note the layer with that folded in."""
            if name == generator.LAST:
                layers[name] = Layer(contrast * drawn[name], jnp.zeros(len(drawn[name])))
                return generator.affine(x, layers[name].weight)
            made = generator.affine(x, drawn[name])
            axes = (0, *range(2, made.ndim))
            mean = jnp.mean(made, axes)
            scale = jax.lax.rsqrt(jnp.var(made, axes) + generator.EPSILON)
            kernel = scale.reshape(-1, *(1,) * (drawn[name].ndim - 1))
            layers[name] = Layer(kernel * drawn[name], -mean * scale)
            return (made - generator.broadcast(mean, made)) * generator.broadcast(scale, made)

        latent = jax.random.normal(latent_key, (STATISTICS, architecture.latent))
        generator.run(architecture, latent, apply)
        return layers

    return Generator(architecture, jax.tree.map(np.asarray, draw(key)))


def train(which: str, source: Generator, noise: float, budget: Budget) -> Trained:
    """Train the potentials of both versions side by side.

    Args:
        which: name of the pair, whose targets are its own.
        source: the generator of the source.
        noise: standard deviation of what is added to each number of an image.
        budget: what may be spent.

    Raises:
        InputError: a version's training diverged.
    """
    started = time.monotonic()
    keys = [rng.stream(budget.seed, f"celeba64 {which} {version}") for version in VERSIONS]
    pool = functools.partial(_pool, noise=noise, size=budget.pool)
    x_pool = pool(source, rng.stream(budget.seed, "celeba64 source pool"))
    y_pools = []
    for key in keys:
        target_key, pool_key = jax.random.split(rng.at(key, 0))
        target = draw_generator(target_key, budget.architecture, TARGET_CONTRAST)
        y_pools.append(pool(target, pool_key))
    log.info("%s: %d images of each measure (%.0f s)", which, budget.pool, _since(started))

    fit = jax.jit(functools.partial(_start, budget))
    states, identity_mse = _stacked([fit(key) for key in keys])
    log.info(
        "%s: potentials fitted to the identity, mse %s (%.0f s)",
        which,
        potential_training.words(identity_mse, VERSIONS),
        _since(started),
    )
    pools, stacked_keys = _stacked(y_pools), jnp.stack(keys)
    chunk = _chunk(budget)
    states = potential_training.in_portions(
        lambda states, begin, end: chunk(states, x_pool, pools, stacked_keys, begin, end),
        states,
        budget.iterations,
        lambda states: states.cycle,
        which,
        VERSIONS,
        started,
    )
    potentials = potential_training.told_apart(
        states.potential, VERSIONS, f"generated pair {which}", SECTION
    )
    return Trained(
        potentials,
        [float(item) for item in identity_mse],
        [float(item) for item in states.cycle],
    )


def fit_identity(
    weights: ConvICNN, key: Key[Array, ""], budget: Budget
) -> tuple[ConvICNN, Float[Array, ""]]:
    """Fit a potential's gradient to the identity; return it and its last error."""
    adam = optax.adam(budget.pretraining_learning_rate)
    update = optax.flatten(optax.chain(optax.add_decayed_weights(WEIGHT_DECAY), adam))
    shape, bound = (budget.batch_size, budget.architecture.dimension), PRETRAINING_BOUND

    def push(current: ConvICNN, points: Points) -> Points:
        return icnn_conv.push(current, maps.STRONG_CONVEXITY, points)

    def draw(key: Key[Array, ""]) -> Points:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    steps = budget.pretraining_iterations
    return potential_training.fit_identity(weights, key, push, draw, update, steps)


def dual_and_cycle_losses(
    potential: ConvICNN,
    conjugate: ConvICNN,
    x: Float[Array, "batch n"],
    y: Float[Array, "batch n"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return mean(D(x) - D(xi)) and the two cycle errors added, without their weight."""
    mu = maps.STRONG_CONVEXITY
    forward, backward = (functools.partial(icnn_conv.push, w, mu) for w in (potential, conjugate))
    value = functools.partial(icnn_conv.values, potential, mu)
    return generated.dual_and_cycle_losses(value, forward, backward, x, y)


@functools.partial(jax.jit, static_argnames=("noise", "size"))
def _pool(source: Generator, key: Key[Array, ""], noise: float, size: int) -> Array:
    return maps.sample(source, jnp.float32(noise), key, size)


def _optimizers(budget: Budget) -> list[optax.GradientTransformation]:
    # On one vector of all weights: the same numbers from one kernel instead of one per weight.
    return [
        optax.flatten(optax.adam(budget.learning_rate, b1=b1, b2=b2))
        for b1, b2 in (BETAS, CONJUGATE_BETAS)
    ]


def _start(budget: Budget, key: Key[Array, ""]) -> tuple[_State, Float[Array, ""]]:
    init_key, points_key = jax.random.split(rng.at(key, 1))
    weights = icnn_conv.init(init_key, budget.size, budget.widths)
    fitted, error = fit_identity(weights, points_key, budget)
    first, second = (update.init(fitted) for update in _optimizers(budget))
    return _State(fitted, fitted, (first, second), jnp.float32(jnp.inf)), error


def _stacked(versions: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *versions)


def _chunk(budget: Budget) -> Callable[..., _State]:
    """Compile steps begin, ..., end - 1 of both versions; the bounds do not recompile it."""
    updates = _optimizers(budget)

    def loss(
        pair: tuple[ConvICNN, ConvICNN], x: Float[Array, "batch n"], y: Float[Array, "batch n"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        dual, cycle = dual_and_cycle_losses(*pair, x, y)
        return dual + budget.cycle_weight * cycle, cycle

    def one(state: _State, x_pool: Array, y_pool: Array, key: Array, step: Array) -> _State:
        x_key, y_key = jax.random.split(rng.at(key, step + 2))
        drawn = (budget.batch_size,)
        x = x_pool[jax.random.randint(x_key, drawn, 0, len(x_pool))]
        y = y_pool[jax.random.randint(y_key, drawn, 0, len(y_pool))]
        pair = (state.potential, state.conjugate)
        gradients, cycle = jax.grad(loss, has_aux=True)(pair, x, y)

        def stepped(i: int) -> tuple[ConvICNN, optax.OptState]:
            change, after = updates[i].update(gradients[i], state.optimizers[i], pair[i])
            moved: Any = optax.apply_updates(pair[i], change)
            return icnn_conv.convexify(moved), after

        (potential, first), (conjugate, second) = stepped(0), stepped(1)
        return _State(potential, conjugate, (first, second), cycle)

    @functools.partial(jax.jit, donate_argnums=0)
    def advance(
        states: _State,
        x_pool: Float[Array, "pool n"],
        y_pools: Float[Array, "versions pool n"],
        keys: Key[Array, " versions"],
        begin: Array,
        end: Array,
    ) -> _State:
        # One version after the other in a step: vectorised, their convolutions would be grouped
        # ones, which are slow everywhere.
        def both(step: Array, current: _State) -> _State:
            return jax.lax.map(
                lambda version: one(version[0], x_pool, version[1], version[2], step),
                (current, y_pools, keys),
            )

        return jax.lax.fori_loop(begin, end, both, states)

    return advance


def _since(started: float) -> float:
    return time.monotonic() - started

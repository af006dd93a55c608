"""Populations made here by the published recipe: particles along paths of little energy.

Each particle has a start and an end of two normal laws, and a velocity field of its own, a small
network u, along which it is moved from t = 0 to 1. The network is trained on

    mean over the times of u^T A(x) u  +  penalty |x(1) - end|

by 100 steps of AdamW (Scarvelis and Solomon 2023, the repository's data_generation.py, by whose
formulas this was written; its data has no licence and is not here). Here all particles of a leg
are trained side by side, and moved by one Runge-Kutta step between times.

# DIFFERS: there an integrator of variable order chooses its own steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from w2dual import rng
from w2dual.backend import jit
from w2dual.measures.snapshots.truths import TRUTHS, Field
from w2dual.records import InputError

WIDTHS = (2, 64, 64, 2)
"""Of a particle's network."""
STEPS = 100
LEARNING_RATE = WEIGHT_DECAY = 1e-3
"""Of AdamW."""
DATA_STRENGTH = 1.0
"""s in A = I - s v v^T, where the data is made."""
SPREAD = 0.1
"""Standard deviation of the laws of starts and ends."""
LONGER = {"x_paths": 1.25}
"""v is so many times as long where the data is made; A has a negative eigenvalue in the corners."""


class Leg(NamedTuple):
    """Particles from one law to another.

    Attributes:
        start, end: means; of several ends each is that of an equal share of the particles.
        penalty: on missing the end.
        keep_end: whether the last points are the ends themselves.
    """

    start: tuple[float, float]
    ends: tuple[tuple[float, float], ...]
    penalty: float = 1.0
    keep_end: bool = False


@dataclass(frozen=True)
class Recipe:
    """How one published set was made.

    Attributes:
        legs: followed one after another, or side by side.
        chained: whether the legs follow one another: the end of each is then left out, the start
            of the next stands for it, and the first slice comes again at the end.
        scale: of all points at the end.
    """

    legs: tuple[Leg, ...]
    chained: bool = False
    scale: float = 1.0


_CORNERS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
RECIPES = {
    "circle": Recipe(
        tuple(Leg(_CORNERS[i], (_CORNERS[(i + 1) % 4],)) for i in range(4)), chained=True
    ),
    "mass_splitting": Recipe(
        (Leg((0.0, 0.0), ((1.0, 1.0), (1.0, -1.0)), keep_end=True),), scale=10.0
    ),
    "x_paths": Recipe(
        (
            Leg((-1.0, -1.0), ((1.0, 1.0),), penalty=10.0),
            Leg((-1.0, 1.0), ((1.0, -1.0),), penalty=10.0, keep_end=True),
        ),
    ),
}


def generate(
    name: str, times: int, samples: int, seed: int
) -> Float[np.ndarray, "times samples 2"]:
    """Return the samples of all times of a set.

    Args:
        name: one of `RECIPES`.
        times: of the set; of one whose legs follow one another, one more than a multiple of them.
        samples: of each time; legs side by side share them.
        seed: of the stream that everything is drawn from.

    Raises:
        InputError: times or samples cannot be shared among the legs.
    """
    recipe = RECIPES[name]
    field, count = _as_made(name), len(recipe.legs)
    own_times = (times - 1) // count + 1 if recipe.chained else times
    particles = samples if recipe.chained else samples // count
    whole = own_times - 1 if not recipe.chained else (own_times - 1) * count
    if whole != times - 1 or own_times < 2:
        raise InputError(f"{name}: {times} times; expected a multiple of {count}, and one more")
    if particles * (1 if recipe.chained else count) != samples or particles < 2:
        raise InputError(f"{name}: {samples} samples; expected a multiple of {count} above it")
    legs = []
    for index, leg in enumerate(recipe.legs):
        key = rng.at(rng.stream(seed, f"snapshots {name}"), index)
        legs.append(np.asarray(_follow(field, leg, own_times, particles, key)))
    if recipe.chained:
        slices = np.concatenate([leg[:-1] for leg in legs])
        slices = np.concatenate([slices, slices[:1]])
    else:
        slices = np.concatenate(legs, axis=1)
    return np.asarray(recipe.scale * slices, np.float32)


def _as_made(name: str) -> Field:
    """Return v as long as it is where the data is made."""
    field, factor = TRUTHS[name], LONGER.get(name, 1.0)
    return lambda x: factor * field(x)


def _follow(
    field: Field, leg: Leg, times: int, particles: int, key: Key[Array, ""]
) -> Float[Array, "times particles 2"]:
    """Draw the particles of a leg, and return where each is at each time."""
    starts, ends, networks = jax.random.split(key, 3)
    means = np.repeat(np.array(leg.ends, np.float32), -(-particles // len(leg.ends)), axis=0)
    normal = partial(jax.random.normal, shape=(particles, 2))
    begin = np.tile(np.array(leg.start, np.float32), (particles, 1))
    start = begin + SPREAD * normal(starts)
    end = means[:particles] + SPREAD * normal(ends)
    train = jax.vmap(partial(_path, field, leg.penalty, times))
    found = jit(train)(jax.random.split(networks, particles), start, end)
    if leg.keep_end:
        found = found.at[:, -1].set(end)
    return jnp.moveaxis(found, 0, 1)


def _path(
    field: Field,
    penalty: float,
    times: int,
    key: Key[Array, ""],
    start: Float[Array, " 2"],
    end: Float[Array, " 2"],
) -> Float[Array, "times 2"]:
    """Train one particle's network, and return its places at equally spaced times."""
    optimizer = optax.flatten(optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY))

    def loss(params: Any) -> Array:
        places = _moved(params, start, times)
        velocity = _velocity(params, places)
        along = jnp.sum(field(places) * velocity, axis=-1)
        energy = jnp.sum(velocity**2, axis=-1) - DATA_STRENGTH * along**2
        return jnp.mean(energy) + penalty * jnp.linalg.norm(places[-1] - end)

    def step(_: Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    params = _drawn(key)
    params, _ = jax.lax.fori_loop(0, STEPS, step, (params, optimizer.init(params)))
    return _moved(params, start, times)


def _drawn(key: Key[Array, ""]) -> list[tuple[Array, Array]]:
    """Draw weights and biases uniform on +-1/sqrt(inputs), as PyTorch does."""
    layers = []
    for index, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:], strict=False)):
        weights, biases = jax.random.split(rng.at(key, index))
        draw = partial(jax.random.uniform, minval=-(inputs**-0.5), maxval=inputs**-0.5)
        layers.append((draw(weights, (inputs, outputs)), draw(biases, (outputs,))))
    return layers


def _velocity(params: Any, x: Float[Array, "*points 2"]) -> Float[Array, "*points 2"]:
    *hidden, last = params
    for layer in hidden:
        x = jax.nn.elu(_affine(layer, x))
    return _affine(last, x)


def _affine(layer: tuple[Array, Array], x: Array) -> Array:
    weight, bias = layer
    product = x @ weight
    return product + jnp.broadcast_to(bias, product.shape)


def _moved(params: Any, start: Float[Array, " 2"], times: int) -> Float[Array, "times 2"]:
    """Move a point along the network's field, by one Runge-Kutta step of order 4 between times."""
    h = 1.0 / (times - 1)

    def step(x: Array, _: None) -> tuple[Array, Array]:
        a = _velocity(params, x)
        b = _velocity(params, x + h / 2 * a)
        c = _velocity(params, x + h / 2 * b)
        d = _velocity(params, x + h * c)
        new = x + h / 6 * (a + 2 * b + 2 * c + d)
        return new, new

    _, later = jax.lax.scan(step, start, None, length=times - 1)
    return jnp.concatenate([start[None], later])

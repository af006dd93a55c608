r"""Fine-tuning of predicted potentials on held-out pairs of images, next to what needs no network.

Each pair of images is a problem of its own; all are solved side by side. The runs:

    w2gn        W2GN from the identity, as published
    meta_w2gn   W2GN from the hyper-network's prediction, as published
    meta_lbfgs  from the prediction, psi by the dual with converged conjugates, psi_bar by
                regression on them: the paper's own method (amortized start, L-BFGS) [ours]

and, without a run, the identity and the Gaussian map. The value of a potential psi is the bound on
the exact cost W2^2 that weak duality gives (`evaluation.kinds.meta_color`), its conjugates found by
L-BFGS from the best of the pair's own points; so it is a bound however L-BFGS fares. Outside the
cube of colours psi is continued by w/2 times the squared distance, since for another potential the
conjugate may be infinite; the published code projects onto the cube.

# DIFFERS: values are of the parameters after so many updates. The published ones, logged before
parameters were copied back, are of those of the log before. Batches are of the colours kept of an
image, not of all. A run's seconds are a pair's share of those of all pairs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from w2dual import conjugate, measures, provenance, rng
from w2dual.backend import jit
from w2dual.decoding import decode
from w2dual.evaluation.kinds.meta_color import bound, held_out
from w2dual.measures.linear import bures_matrix
from w2dual.measures.pairs.palettes import COLOUR, Palettes, unit
from w2dual.potentials.quadratic_icnn import QuadraticICNN
from w2dual.records import InputError, load_arrays, read_json, save_arrays
from w2dual.seeds import place_of
from w2dual.training import methods
from w2dual.training.files import load_params
from w2dual.training.methods.meta_w2gn import Hyper, MetaW2GN, pair_loss

log = logging.getLogger(__name__)

FORMAT = 2
RIDGE = 1e-6
"""Added to the spread of colours in each direction, since gray images have some without any."""
IDENTITY_BATCH = 1024
"""Points of a step of the start at the identity [meta-ot train_color_single.py]."""
REPETITIONS = 5
"""Predictions that are timed."""

Vectors = Float[Array, "pairs parameters"]
Colours = Float[Array, "pairs points 3"]


@dataclass(frozen=True)
class Settings:
    """The config's `meta_color.finetuning`, its solver's own settings, and the method's weights."""

    steps: int
    log_every: int
    batch_size: int
    learning_rate: float
    identity_iterations: int
    cube_weight: float
    seed: int
    solver: Mapping[str, Any]


class Potentials(NamedTuple):
    """The parameters of psi and psi_bar of each pair."""

    psi: Vectors
    psi_bar: Vectors


class Value(NamedTuple):
    """The bound of each pair, and the share of points whose conjugate converged."""

    bound: Float[Array, " pairs"]
    converged: Float[Array, " pairs"]


class Run(NamedTuple):
    """A run: what was logged, seconds since its start, and where it ended."""

    bounds: Float[np.ndarray, "pairs logs"]
    converged: Float[np.ndarray, "pairs logs"]
    seconds: Float[np.ndarray, " logs"]
    potentials: Potentials


Slopes = Callable[[Potentials, Colours, Colours], Potentials]


@dataclass(frozen=True)
class Problem:
    """How the potentials of pairs are judged and moved."""

    icnn: QuadraticICNN
    settings: Settings
    solver: conjugate.ConjugateSolver[Any]
    cycle_weight: float
    l2: float

    def oracle(self, psi: Vectors) -> conjugate.Oracle:
        """Return psi continued outside of the cube of colours, and its gradient."""
        weight = self.settings.cube_weight

        def value_and_gradient(x: Colours) -> tuple[Array, Array]:
            value, gradient = self.icnn.value_and_gradient(psi, x)
            beyond = x - jnp.clip(x, 0.0, 1.0)
            return value + weight / 2 * jnp.sum(beyond**2, axis=-1), gradient + weight * beyond

        return value_and_gradient

    def value(self, psi: Vectors, x: Colours, y: Colours) -> Value:
        """Return the bound of each pair."""
        at_x = self.icnn.value(psi, x)
        best = jnp.argmax(y @ jnp.swapaxes(x, -1, -2) - at_x[:, None, :], axis=-1)
        start = jnp.take_along_axis(x, best[..., None], axis=1)
        found = conjugate.solve(self.solver, self.oracle(psi), y, start)
        converged = jnp.mean(found.status == conjugate.Status.CONVERGED, axis=-1)
        return Value(bound(at_x, -found.value, x, y), converged)

    def w2gn(self, state: Potentials, x: Colours, y: Colours) -> Potentials:
        """Return the slopes of W2GN's loss."""

        def loss(state: Potentials) -> Array:
            return jnp.sum(pair_loss(self.icnn, *state, x, y, self.cycle_weight, self.l2).loss)

        return jax.grad(loss)(state)

    def lbfgs(self, state: Potentials, x: Colours, y: Colours) -> Potentials:
        """Return the slopes of the dual with converged conjugates, and of regression on them."""
        start = self.icnn.gradient(state.psi_bar, y)
        x_hat = conjugate.solve(self.solver, self.oracle(state.psi), y, start).x

        def loss(state: Potentials) -> Array:
            dual = self.icnn.value(state.psi, x) - self.icnn.value(state.psi, x_hat)
            error = (self.icnn.gradient(state.psi_bar, y) - x_hat) ** 2
            return jnp.sum(jnp.mean(dual, axis=-1) + jnp.mean(error, axis=(-2, -1)))

        return jax.grad(loss)(state)


class Tuning:
    """Fine-tunes all pairs from any start; what it needs is compiled once."""

    def __init__(self, problem: Problem, pair: Palettes) -> None:
        """Take the problem and its pairs."""
        self.problem, self.pair = problem, pair
        self.ends = tuple(pair.pixels[pair.test_pairs[:, end]] for end in (0, 1))
        self.points = unit(pair.test_source), unit(pair.test_target)
        self.adam = optax.adam(problem.settings.learning_rate)
        self._judge = jit(problem.value)
        self._chunks: dict[Slopes, Any] = {}

    def value(self, psi: Vectors) -> Value:
        """Return the bound of each pair."""
        return self._judge(psi, *self.points)

    def run(self, name: str, slopes: Slopes, start: Potentials) -> Run:
        """Fine-tune all pairs from a start, and log their values; compiling takes none of its time.

        Args:
            name: for the log.
            slopes: of what is minimised, at potentials and a batch of colours.
            start: where it begins.
        """
        settings = self.problem.settings
        state, optimizer = start, self.adam.init(start)
        if slopes not in self._chunks:
            lowered = jit(partial(self._chunk, slopes)).lower(state, optimizer, 0, self.ends)
            self._chunks[slopes] = lowered.compile()
        chunk = self._chunks[slopes]
        values, seconds = [self.value(state.psi)], [0.0]
        for first in range(0, settings.steps, settings.log_every):
            began = time.perf_counter()
            state, optimizer = jax.block_until_ready(chunk(state, optimizer, first, self.ends))
            seconds.append(seconds[-1] + time.perf_counter() - began)
            values.append(self.value(state.psi))
            share = np.mean(np.asarray(values[-1].bound) / self.pair.exact)
            log.info("%s: %d updates, %.4f of W2^2", name, first + settings.log_every, share)
        bounds, converged = (np.stack([np.asarray(v[i]) for v in values], 1) for i in (0, 1))
        return Run(bounds, converged, np.array(seconds) / len(self.pair.test_pairs), state)

    def _chunk(
        self, slopes: Slopes, state: Potentials, optimizer: Any, first: Array, ends: Any
    ) -> tuple[Potentials, Any]:
        settings = self.problem.settings
        key = rng.stream(settings.seed, "colour fine-tuning")

        def step(number: Array, carry: tuple[Potentials, Any]) -> tuple[Potentials, Any]:
            state, optimizer = carry
            batch = [
                _batch(rng.at(rng.at(key, number), end), pixels, settings.batch_size)
                for end, pixels in enumerate(ends)
            ]
            updates, optimizer = self.adam.update(slopes(state, *batch), optimizer)
            moved: Any = optax.apply_updates(state, updates)
            return moved, optimizer

        return jax.lax.fori_loop(first, first + settings.log_every, step, (state, optimizer))


def _batch(key: Key[Array, ""], pixels: Int[Array, "pairs pixels 3"], size: int) -> Colours:
    which = jax.random.randint(key, (pixels.shape[0], size), 0, pixels.shape[1])
    return unit(jnp.take_along_axis(pixels, which[..., None], axis=1))


def identity_start(icnn: QuadraticICNN, settings: Settings) -> Float[Array, " parameters"]:
    """Return parameters whose gradient is nearly the identity around the cube: W2GN's start.

    Over x uniform on [-1/2, 3/2]^3, by Adam (0.8, 0.9) [meta-ot train_color_single.py].
    """
    adam = optax.adam(settings.learning_rate, b1=0.8, b2=0.9)
    key = rng.stream(settings.seed, "colour identity")

    def loss(vector: Array, x: Array) -> Array:
        return jnp.mean(jnp.sum((icnn.gradient(vector, x) - x) ** 2, axis=-1))

    def step(number: Array, carry: tuple[Array, Any]) -> tuple[Array, Any]:
        vector, optimizer = carry
        shape = (IDENTITY_BATCH, COLOUR)
        x = jax.random.uniform(rng.at(key, number), shape, minval=-0.5, maxval=1.5)
        updates, optimizer = adam.update(jax.grad(loss)(vector, x), optimizer)
        moved: Any = optax.apply_updates(vector, updates)
        return moved, optimizer

    def train(vector: Array) -> Array:
        start = (vector, adam.init(vector))
        return jax.lax.fori_loop(0, settings.identity_iterations, step, start)[0]

    return jit(train)(icnn.draw(rng.stream(settings.seed, "colour start")))


def gaussian_potentials(icnn: QuadraticICNN, pair: Palettes) -> Potentials:
    """Return the potentials of the Gaussian map of each pair, from all colours that are kept."""

    def moments(which: int) -> tuple[np.ndarray, np.ndarray]:
        colours = np.asarray(pair.pixels[which], np.float64) / 255.0
        return colours.mean(axis=0), np.cov(colours.T, bias=True) + RIDGE * np.eye(COLOUR)

    found: list[list[Array]] = [[], []]
    for pairs in np.asarray(pair.test_pairs):
        ends = [moments(int(which)) for which in pairs]
        for to, ((mean, cov), (mean_to, cov_to)) in enumerate((ends, ends[::-1])):
            matrix = bures_matrix(cov, cov_to)
            shift = mean_to - matrix @ mean
            found[to].append(icnn.affine(*(jnp.asarray(a, jnp.float32) for a in (matrix, shift))))
    return Potentials(*(jnp.stack(each) for each in found))


def predicted(method: MetaW2GN, params: Hyper, pair: Palettes) -> tuple[Potentials, float]:
    """Return what one seed predicts for the held-out pairs, and a pair's share of the seconds."""
    ends = held_out(pair)
    predict = jit(partial(method.predict))
    result = jax.block_until_ready(predict(params, *ends))
    times = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        jax.block_until_ready(predict(params, *ends))
        times.append(time.perf_counter() - began)
    return Potentials(*result), float(np.median(times)) / len(pair.test_pairs)


def run(
    params_path: Path, metrics_path: Path, measures_path: Path, settings: Any, out: Path
) -> None:
    """Fine-tune a trained cell's predictions and write what was found.

    Of a cell whose seeds all diverged there is what needs no network.

    Raises:
        InputError: a file cannot be used, or they are not of one cell.
    """
    checked = decode(Settings, settings, "settings")
    params, cell, seeds = load_params(params_path)
    record = read_json(metrics_path)
    if record["cell"]["hash"] != cell.hash:
        raise InputError(f"{metrics_path} is not of the cell {cell.name} of {params_path}")
    method = methods.make(cell.settings, cell.dimension)
    pair = measures.load(measures_path)
    if not isinstance(method, MetaW2GN) or not isinstance(pair, Palettes):
        raise InputError(
            f"{params_path}: is of the cell {cell.name}; expected one of the method `meta_w2gn`, "
            f"and {measures_path} of the kind `palettes`"
        )
    live = [entry["seed"] for entry in record["seeds"] if entry["status"] != "diverged"]
    solver = conjugate.make(checked.solver)
    if solver is None:
        raise InputError("settings: `solver` is none; expected one, such as lbfgs")
    weights = (method.settings.cycle_weight, method.settings.l2)
    problem = Problem(method.icnn, checked, solver, *weights)
    _, metadata = load_arrays(measures_path)
    start = identity_start(method.icnn, checked)
    count = len(pair.test_pairs)
    both = Potentials(*(jnp.tile(start, (count, 1)) for _ in range(2)))
    shown = {"gaussian": gaussian_potentials(method.icnn, pair)}
    plan: dict[str, tuple[Slopes, Potentials]] = {"w2gn": (problem.w2gn, both)}
    prediction_s = None
    if live:
        place = place_of(live[0], seeds, params_path, metrics_path)
        one = jax.tree.map(lambda leaf: jnp.asarray(leaf[place]), params)
        meta, prediction_s = predicted(method, one, pair)
        shown["meta"] = meta
        plan |= {"meta_w2gn": (problem.w2gn, meta), "meta_lbfgs": (problem.lbfgs, meta)}
    else:
        log.warning("%s: every seed diverged, and nothing is predicted", cell.name)
    tuning = Tuning(problem, pair)
    runs = {name: tuning.run(name, *each) for name, each in plan.items()}
    by_gauss = tuning.value(shown["gaussian"].psi)
    arrays: dict[str, np.ndarray] = {
        "exact": np.asarray(pair.exact),
        "floor": np.asarray(pair.floor),
        "test_pairs": np.asarray(pair.test_pairs),
        "updates": np.arange(0, checked.steps + 1, checked.log_every),
        # psi = |x|^2 / 2 is its own conjugate, and bounds the cost by 0.
        "identity.bounds": np.zeros(count),
        "gaussian.bounds": np.asarray(by_gauss.bound),
        "gaussian.converged": np.asarray(by_gauss.converged),
    }
    ended = {name: found.potentials for name, found in runs.items()}
    for name, potentials in (ended | shown).items():
        arrays |= {f"{name}.psi": np.asarray(potentials.psi)}
        arrays |= {f"{name}.psi_bar": np.asarray(potentials.psi_bar)}
    for name, found in runs.items():
        arrays |= {
            f"{name}.bounds": found.bounds,
            f"{name}.converged": found.converged,
            f"{name}.seconds": found.seconds,
        }
    facts = {
        "format": FORMAT,
        "cell": cell.to_json(),
        "preset": record["preset"],
        "seed": live[0] if live else None,
        # Of the records: the parameters may be cut to one seed.
        "seeds": [entry["seed"] for entry in record["seeds"]],
        "diverged": [e["seed"] for e in record["seeds"] if e["seed"] not in live],
        "prediction_s": prediction_s,
        "measures_source": metadata["source"],
        "images": metadata["images"],
        "device": provenance.device_name(),
        "settings": settings,
    }
    save_arrays(out, arrays, facts)
    log.info("%s: written", out)

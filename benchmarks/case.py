"""A case: one dimension and one potential, with the trained state that all contestants start from.

The training is w2dual's own, of one seed by regression and L-BFGS, with the settings of config.yaml
but for a shorter pre-training.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from w2dual import rng
from w2dual.backend import jit
from w2dual.config import reader
from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in
from w2dual.config.settings import TrainingSettings
from w2dual.conjugate import ConjugateResult
from w2dual.measures import base
from w2dual.measures.benchmark import files as benchmark_files
from w2dual.measures.benchmark import icnn_dense
from w2dual.measures.benchmark.weights import published_weights
from w2dual.measures.pairs import benchmark
from w2dual.measures.preparation import benchmark as prepare
from w2dual.records import InputError
from w2dual.training.loop import Loop, compile_loop
from w2dual.training.methods.dual import DualProblem, DualState, Networks
from w2dual.training.methods.dual import make as make_problem
from w2dual.training.pretraining import initial_params

log = logging.getLogger(__name__)

CONFIG = Path(__file__).parents[1] / "config.yaml"
SEED = 0
MOMENT_SAMPLES = 16_384
"""Points that fix the push's shift and scale, which no time depends on."""
PRETRAINING_STEPS = 1_001
WARMUP_STEPS = 1_500
SHORT_ABOVE = 128
"""Above this dimension both are divided by `SHORTER`: a step takes a large part of a second."""
SHORTER = 15


@dataclass(frozen=True)
class Case:
    """What the contestants are given.

    Attributes:
        cell: w2dual's cell: regression, L-BFGS, one seed.
        pair: the measures.
        pair_source: `published`, or `random` for untrained DenseICNN weights.
        problem: networks, loss, solver and optimiser.
        state: after the warm-up; its arrays have a leading axis of one seed.
        warmup_steps: training steps before `state`.
        loop: the compiled (state, steps) -> (state, means); it uses its state up.
        first_call_s: compiling `loop`, and its first step.
    """

    cell: Cell
    pair: Any
    pair_source: str
    problem: DualProblem
    state: DualState
    warmup_steps: int
    loop: Loop
    first_call_s: float

    @property
    def dimension(self) -> int:
        """The points' dimension n."""
        return self.cell.dimension

    @property
    def batch_size(self) -> int:
        """Points of each measure in a step, and of a conjugation."""
        return self.cell.training.batch_size

    @property
    def params(self) -> Networks:
        """Parameters of the state, without the axis of seeds."""
        return jax.tree.map(lambda leaf: leaf[0], self.state.params)

    def fresh_state(self) -> DualState:
        """Return a copy of the state, which `loop` may use up."""
        return jax.block_until_ready(jax.tree.map(jnp.copy, self.state))

    def points(self) -> tuple[Float[Array, "batch n"], Float[Array, "batch n"]]:
        """Return points to conjugate at and x_tilde of them, where the solvers start."""
        y = self.pair.sample_target(rng.stream(SEED, "benchmark conjugation"), self.batch_size)
        return y, self.problem.amortized(self.state.params, y[None])[0]

    def conjugate(self, y: Float[Array, "batch n"]) -> ConjugateResult:
        """Conjugate with w2dual's solver, warm started; without the axis of seeds."""
        result = jit(self.problem.conjugate)(self.state.params, y[None])
        return jax.tree.map(lambda leaf: leaf[0], result)

    def gradient_norms(
        self, x: Float[Array, "batch n"], y: Float[Array, "batch n"]
    ) -> Float[np.ndarray, " batch"]:
        """Return max|grad f(x) - y| for each point."""
        gradient = self.problem.push(self.state.params, x[None])[0]
        return np.asarray(jnp.max(jnp.abs(gradient - y), axis=-1))


def make(dimension: int, potential: str, quick: bool) -> Case:
    """Build a case and train its state.

    Args:
        dimension: n, one of the config's.
        potential: a name of the config's `potentials`.
        quick: train for a tenth of the steps.

    Raises:
        InputError: the config has no such dimension or potential.
    """
    settings = reader.load([CONFIG])
    cell = find_cell(settings, dimension, potential)
    shorter = (10 if quick else 1) * (SHORTER if dimension > SHORT_ABOVE else 1)
    pre = cell.settings["pretraining"] | {
        "iterations": PRETRAINING_STEPS // shorter,
        "min_iterations": PRETRAINING_STEPS // shorter,
    }
    cell = replace(cell, settings=cell.settings | {"seeds": [SEED], "pretraining": pre})
    pair, pair_source = load_solved(dimension, settings["measures"]["benchmark"])
    problem = make_problem(cell.settings, dimension)
    steps = WARMUP_STEPS // shorter
    log.info("n = %d, %s: %s pair, %d warm-up steps", dimension, potential, pair_source, steps)
    params, _ = initial_params(problem, cell)
    batch_size = cell.training.batch_size
    started = time.perf_counter()
    state = problem.init(params)
    loop = compile_loop(problem, [SEED], batch_size, state, pair)
    state, _ = jax.block_until_ready(loop(state, 1))
    first_call_s = time.perf_counter() - started
    state, _ = jax.block_until_ready(loop(state, steps - 1))
    if int(state.diverged_at[0]) >= 0:
        raise InputError(f"n = {dimension}, {potential}: diverged in the warm-up")
    log.info("warm after %.0f s", time.perf_counter() - started)
    return Case(cell, pair, pair_source, problem, state, steps, loop, first_call_s)


def find_cell(settings: reader.Config, dimension: int, potential: str) -> Cell:
    """Return the config's cell by regression and L-BFGS.

    Raises:
        InputError: the config has no such dimension or potential.
    """
    cells = [
        cell
        for cell in cells_in("hd", settings)
        if (cell.amortization, cell.solver) == ("regression", "lbfgs")
    ]
    for cell in cells:
        if (cell.dimension, cell.potential) == (dimension, potential):
            return cell
    dimensions = sorted({cell.dimension for cell in cells})
    potentials = sorted({cell.potential for cell in cells})
    raise InputError(
        f"n = {dimension}, potential {potential!r}: {CONFIG.name} has n in {dimensions} "
        f"and the potentials {', '.join(potentials)}"
    )


def adamw(training: TrainingSettings) -> optax.GradientTransformation:
    """Build the paper's optimiser from a cell's settings, as its users would."""
    schedule = optax.cosine_decay_schedule(
        training.learning_rate, training.iterations, training.final_learning_rate_factor
    )
    return optax.adamw(schedule, b1=training.b1, b2=training.b2, weight_decay=training.weight_decay)


def load_solved(dimension: int, settings: dict[str, Any]) -> tuple[base.SolvedPair, str]:
    """Make the benchmark's pair in memory; nothing is downloaded.

    Its weights are the published ones where a mirror has them, and random ones otherwise, which
    cost the same.

    Returns:
        The pair, and `published` or `random`.
    """
    try:
        paths = benchmark_files.weight_paths(dimension)
        files = benchmark_files.read_mirror(paths, settings["mirror"])
        potentials = published_weights(dimension, "mirror", files).potentials
        source = "published"
    except benchmark_files.Unavailable as reason:
        log.warning("n = %d: random weights in the published ones' place (%s)", dimension, reason)
        keys = jax.random.split(rng.stream(SEED, "benchmark pair"))
        potentials = [icnn_dense.convexify(icnn_dense.init(key, dimension)) for key in keys]
        source = "random"
    arrays = benchmark.source_arrays(dimension)
    arrays |= prepare.fix_constants(potentials, arrays, MOMENT_SAMPLES, SEED)
    for version, weights in zip(icnn_dense.VERSIONS, potentials, strict=True):
        arrays |= icnn_dense.to_arrays(weights, version)
    metadata = {
        "format": base.FORMAT,
        "kind": benchmark.KIND,
        "pair": f"hd{dimension}",
        "dimension": dimension,
    }
    return benchmark.from_arrays(arrays, metadata), source

"""Training of one cell: all its seeds at once, in compiled loops of many steps on the device.

Sampling, the ground-truth push, conjugation and both updates run inside one compiled loop; the
host is touched once a chunk, for progress, the history and the check whether any seed is alive.
What a seed draws depends on (seed, stream, step) alone, so neither its neighbours nor the chunk
length move it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Array, Float, Int, Key

from w2dual import conjugation_time, metrics, potentials, rng, transport_metrics
from w2dual.backend import jit
from w2dual.cells import Cell
from w2dual.checkpoint import Checkpoints, Snapshot
from w2dual.dual import DualProblem, DualState, Networks, make_problem
from w2dual.incidents import SOLVED, Totals
from w2dual.loop import compile_loop, streams
from w2dual.measures import Measures, Pair
from w2dual.progress import CHUNK_S, Progress, Timing
from w2dual.records import finite
from w2dual.stopping import StopSignals
from w2dual.transport_metrics import ENDS

log = logging.getLogger(__name__)


@dataclass
class TrainingResult:
    """What training a cell gave: final parameters, metrics per seed, history and times."""

    state: DualState
    headline: Headline
    seeds: list[dict[str, Any]]
    history: list[dict[str, Any]]
    timing: dict[str, Any]


class Pretraining(NamedTuple):
    """State of pre-training one network to the identity, for all seeds."""

    params: Any
    optimizer: Any
    step: Int[Array, ""]
    running: Array
    loss: Float[Array, " seeds"]


def pretrain_to_identity(
    push: Callable[[Any, Float[Array, "batch n"]], Float[Array, "batch n"]],
    params: Any,
    keys: Key[Array, " seeds"],
    *,
    dimension: int,
    batch_size: int,
    iterations: int,
    learning_rate: float,
    bound: float,
    tolerance: float,
    min_iterations: int,
) -> Pretraining:
    """Minimise mean ||push(x) - x||^2 over x uniform on [-bound, bound]^n, for all seeds.

    A seed stops at a loss below `tolerance`, but not in the first `min_iterations` steps
    (the published code's rule). The whole loop runs on the device.

    Args:
        push: (params of one seed, (batch, n)) -> (batch, n).
        params: parameters with a leading axis of seeds.
        keys: one key for each seed; the batch of a step is drawn from the key at that step.
        dimension: n.
        batch_size: points per step.
        iterations: steps at most.
        learning_rate: of Adam.
        bound: half the side of the cube.
        tolerance: loss to stop at.
        min_iterations: steps at least.
    """
    optimizer = optax.flatten(optax.adam(learning_rate))

    def loss(params: Any, x: Array) -> Array:
        return jnp.mean(jnp.sum((push(params, x) - x) ** 2, axis=-1))

    def one_seed(params: Any, opt_state: Any, key: Array, step: Array) -> tuple[Array, Any, Any]:
        x = jax.random.uniform(
            rng.at(key, step), (batch_size, dimension), minval=-bound, maxval=bound
        )
        value, gradient = jax.value_and_grad(loss)(params, x)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return value, optax.apply_updates(params, updates), opt_state

    def step(carry: Pretraining) -> Pretraining:
        value, new, opt_state = jax.vmap(one_seed, (0, 0, 0, None))(
            carry.params, carry.optimizer, keys, carry.step
        )

        def keep(new: Array, old: Array) -> Array:
            return jnp.where(carry.running.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

        done = (value < tolerance) & (carry.step >= min_iterations)
        return Pretraining(
            params=jax.tree.map(keep, new, carry.params),
            optimizer=jax.tree.map(keep, opt_state, carry.optimizer),
            step=carry.step + 1,
            running=carry.running & ~done,
            loss=jnp.where(carry.running, value, carry.loss),
        )

    def run(params: Any) -> Pretraining:
        seeds = keys.shape[0]
        start = Pretraining(
            params=params,
            optimizer=jax.vmap(optimizer.init)(params),
            step=jnp.zeros((), jnp.int32),
            running=jnp.ones(seeds, bool),
            loss=jnp.full(seeds, jnp.inf),
        )
        return jax.lax.while_loop(
            lambda carry: jnp.any(carry.running) & (carry.step < iterations), step, start
        )

    return jit(run)(params)


_jit_once = partial(jit, once=True)


def _fresh_params(
    problem: DualProblem, cell: Cell, jit: Callable[..., Any] = _jit_once
) -> Networks:
    """Initialise both networks of every seed, on a batch of pre-training's points."""
    settings = cell.settings
    bound = settings["pretraining"]["bound"]
    shape = (settings["training"]["batch_size"], cell.dimension)

    def init(module: nn.Module, keys: Array, x: Array) -> Any:
        def single(key: Array, points: Array) -> Any:
            return module.init(key, points)["params"]

        return jit(jax.vmap(single))(keys, x)

    def uniform(key: Array) -> Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    first = jax.vmap(uniform)(streams(settings["seeds"], "initial batch"))
    potential = init(problem.potential, streams(settings["seeds"], "potential"), first)
    if problem.model is None:
        return Networks(potential, None)
    model = init(problem.model, streams(settings["seeds"], "amortization model"), first)
    return Networks(potential, model)


def initial_params(problem: DualProblem, cell: Cell) -> tuple[Networks, dict[str, float]]:
    """Initialise both networks of every seed and pre-train them to the identity.

    Returns:
        The parameters, and what pre-training cost and reached.
    """
    seeds = cell.settings["seeds"]
    arguments = cell.settings["pretraining"] | {
        "dimension": cell.dimension,
        "batch_size": cell.settings["training"]["batch_size"],
    }
    started = time.perf_counter()
    params = _fresh_params(problem, cell)
    potential = pretrain_to_identity(
        partial(potentials.gradient, problem.potential),
        params.potential,
        streams(seeds, "pretraining potential"),
        **arguments,
    )
    report = {"pretraining_loss_potential": float(jnp.max(potential.loss))}
    model = None
    if problem.model is not None:
        network = problem.model
        trained = pretrain_to_identity(
            lambda p, y: jnp.asarray(network.apply({"params": p}, y)),
            params.model,
            streams(seeds, "pretraining amortization model"),
            **arguments,
        )
        report["pretraining_loss_model"] = float(jnp.max(trained.loss))
        model = trained.params
    report["pretraining_steps"] = int(potential.step)
    jax.block_until_ready(potential.params)
    report["pretraining_s"] = time.perf_counter() - started
    return Networks(potential.params, model), report


def train(
    cell: Cell,
    pair: Measures,
    checkpoints: Checkpoints | None = None,
    chunk_s: float = CHUNK_S,
) -> TrainingResult:
    """Train all seeds of a cell on a pair of measures, and evaluate them.

    With checkpoints, training goes on from the newest that can be used, and ends with the numbers
    it would have had without a stop.

    Args:
        cell: the cell, with all its settings.
        pair: a pair of measures of the cell's dimension.
        checkpoints: where they are kept; None for none.
        chunk_s: seconds that a chunk of steps may take. It moves no number.

    Returns:
        Final parameters, metrics for each seed, the history and the times.

    Raises:
        Stopped: SIGTERM or SIGUSR1 came while the steps were running; there is a checkpoint.
            Before the first step and after the last these signals end the process at once.
    """
    seeds, batch_size = cell.settings["seeds"], cell.settings["training"]["batch_size"]
    problem = make_problem(cell.settings, cell.dimension)
    with Progress(cell, checkpoints.folder if checkpoints else None) as progress:
        now = _start(cell, problem, progress, checkpoints)
        progress.enter("compiling")
        began = time.perf_counter()
        run = compile_loop(problem, seeds, batch_size, now.state, pair)
        now.timing.compile_s += time.perf_counter() - began
        log.info("compiled in %.1f s", time.perf_counter() - began)

        watch = _Watch(cell, problem, pair, now.history)
        progress.headline = watch.headline.label
        progress.enter("training")
        with StopSignals(active=checkpoints is not None) as stop:
            if not now.history:
                watch.evaluate(now.state)
            while not progress.finished():
                steps = progress.next_chunk(chunk_s)
                began = time.perf_counter()
                now.state, chunk = run(now.state, steps)
                jax.block_until_ready(now.state)
                progress.add(now.state, time.perf_counter() - began)
                now.totals.add(chunk.incidents)
                watch.note_diverged(now.state)
                if watch.due(progress.step):
                    watch.evaluate(now.state, progress.seconds_per_step())
                log.info("%s", progress.line(chunk.means, watch.latest()))
                if checkpoints is not None:
                    checkpoints.tend(now, stop.received)
            if progress.diverged_seeds == progress.seeds:
                log.info("all seeds have diverged: nothing is left to train")
            if checkpoints is not None:
                checkpoints.tend(now, stop.received, last=True)
        progress.enter("evaluating")
        final = watch.final(now.state, now.totals)
        times = now.timing.record() | conjugation_time.measure(
            problem, now.state.params, pair, seeds, batch_size
        )
        return TrainingResult(now.state, watch.headline, final, now.history, times)


def _start(
    cell: Cell, problem: DualProblem, progress: Progress, checkpoints: Checkpoints | None
) -> Snapshot:
    """Go on from a checkpoint, or initialise and pre-train."""
    now = None
    if checkpoints is not None:
        # Only shapes are asked for, and within a trace nothing may be compiled.
        like = jax.eval_shape(lambda: problem.init(_fresh_params(problem, cell, lambda f: f)))
        now = checkpoints.resume(like)
    if now is None:
        seeds = len(cell.settings["seeds"])
        log.info("%s: %d seed(s), pre-training to the identity", cell.name, seeds)
        progress.enter("pre-training")
        params, report = initial_params(problem, cell)
        log.info(
            "pre-trained %d steps in %.1f s, loss %.2e",
            report["pretraining_steps"],
            report["pretraining_s"],
            report["pretraining_loss_potential"],
        )
        now = Snapshot(problem.init(params), [], Timing(report), Totals.start(seeds))
        if checkpoints is not None:
            checkpoints.save(now)
    progress.restore(now.state, now.timing, now.totals)
    return now


class Headline(NamedTuple):
    """The one figure that says how good a cell is: its column, and what people call it."""

    column: str
    label: str


def evaluation_of(
    problem: DualProblem, pair: Measures, settings: Mapping[str, Any]
) -> tuple[Callable[[Networks, Key[Array, " seeds"], Any, int], Any], Headline, tuple[str, ...]]:
    """Give what evaluates a cell: against the optimal map where it is known, else by samples.

    Args:
        problem: what is trained.
        pair: the measures.
        settings: the cell's `evaluation`.

    Returns:
        A function of (params, one key per seed, pair, samples), whose result is a named tuple with
        a number for each seed; the headline; and the columns of the history.
    """
    common = ("dual_objective", "conjugate_iterations_mean")
    if isinstance(pair, Pair):
        most = max(settings["history_samples"], settings["samples"])
        columns = ("l2_uvp_forward_percent", "l2_uvp_inverse_percent")
        columns += ("cosine_forward", "cosine_inverse", *common)
        if problem.solver is not None:  # without one there is no optimum to be above
            columns += ("amortization_gap_mean",)
        columns += ("start_gradient_norm_mean",)
        headline = Headline("l2_uvp_forward_percent", "L2-UVP %")
        return metrics.evaluator(problem, most), headline, columns
    columns = tuple(
        f"{name}_{end}" for name in ("sinkhorn", "w2", "monge_gap", "cycle") for end in ENDS
    )
    evaluate = transport_metrics.evaluator(problem, settings["epsilon"])
    return evaluate, Headline("w2_forward", "W2 squared"), columns + common


class _Watch:
    """Evaluates the state on streams of its own and adds to the history."""

    def __init__(
        self, cell: Cell, problem: DualProblem, pair: Measures, history: list[dict[str, Any]]
    ) -> None:
        self.settings = cell.settings["evaluation"]
        self.iterations = cell.settings["training"]["iterations"]
        self.seeds: list[int] = cell.settings["seeds"]
        self.pair = pair
        self.problem = problem
        self.evaluator, self.headline, self.columns = evaluation_of(problem, pair, self.settings)
        self.keys = streams(self.seeds, "history evaluation")
        self.rows = history
        self.has_solver = problem.solver is not None

    def due(self, step: int) -> bool:
        return step % self.settings["history_every"] == 0 or step == self.iterations

    def evaluate(self, state: DualState, seconds_per_step: float = float("nan")) -> None:
        """Add a row for each seed that has not diverged."""
        live = np.flatnonzero(np.asarray(state.diverged_at) < 0)
        self._add(state, {int(i): int(state.step) for i in live}, seconds_per_step)

    def note_diverged(self, state: DualState) -> None:
        """Add a row for each seed that has newly diverged: of the parameters that it keeps.

        They are those before the step at which it diverged. The published code evaluates a run that
        it ends too, and its tables take that as the run's result.
        """
        diverged_at = np.asarray(state.diverged_at)
        order = np.argsort(diverged_at, kind="stable")  # however the steps fell into chunks
        new = {int(i): int(diverged_at[i]) - 1 for i in order if diverged_at[i] >= 0}
        new = {i: step for i, step in new.items() if self._last(self.seeds[i])["step"] < step}
        if new:
            self._add(state, new, float("nan"))

    def _add(self, state: DualState, steps: Mapping[int, int], seconds_per_step: float) -> None:
        """Evaluate, and add a row for each seed in `steps`: index -> steps that it has had."""
        values = self.evaluator(
            state.params, self.keys, self.pair, self.settings["history_samples"]
        )
        for i, step in steps.items():
            row = {name: float(getattr(values, name)[i]) for name in self.columns}
            place = {"seed": self.seeds[i], "step": step}
            self.rows.append(place | row | {"seconds_per_step": seconds_per_step})

    def _last(self, seed: int) -> dict[str, Any]:
        """Return the last row of a seed; each has one of step 0."""
        return next(row for row in reversed(self.rows) if row["seed"] == seed)

    def latest(self) -> tuple[int, float] | None:
        """Return the last step at which all live seeds were evaluated, and the headline there.

        The headline is a mean over these seeds.
        """
        last = max((row["step"] for row in self.rows if self.due(row["step"])), default=None)
        if last is None:
            return None
        now = [row[self.headline.column] for row in self.rows if row["step"] == last]
        return last, sum(now) / len(now)

    def final(self, state: DualState, totals: Totals) -> list[dict[str, Any]]:
        """Evaluate on the final, larger sample.

        A diverged seed has a status and no figures; what its last evaluation was stands apart.
        """
        keys = streams(self.seeds, "final evaluation")
        values = self.evaluator(state.params, keys, self.pair, self.settings["samples"])
        return [
            self._seed_record(state, values, i, seed) | totals.of_seed(i)
            for i, seed in enumerate(self.seeds)
        ]

    def _seed_record(self, state: DualState, values: Any, i: int, seed: int) -> dict[str, Any]:
        diverged_at = int(state.diverged_at[i])
        diverged = diverged_at >= 0
        figures = {
            name: None if diverged else finite(float(getattr(values, name)[i]))
            for name in values._fields
            if name != "conjugate_status_counts"
        }
        counts = values.conjugate_status_counts[i]
        return {
            "seed": seed,
            "status": "diverged" if diverged else "finished",
            "diverged_at_step": diverged_at if diverged else None,
            "steps": diverged_at if diverged else int(state.step),
            "before_divergence": self._before(seed) if diverged else None,
            **figures,
            "conjugate_status": {
                status.name.lower(): int(counts[status]) if self.has_solver else 0
                for status in SOLVED
            },
        }

    def _before(self, seed: int) -> dict[str, Any]:
        """Return a diverged seed's last evaluation, on the history's samples."""
        row = self._last(seed)
        return {"step": row["step"]} | {name: finite(row[name]) for name in self.columns}

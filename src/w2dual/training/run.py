"""Training of one cell: all its seeds at once, in compiled loops of many steps on the device.

Sampling, the ground-truth push and the method's updates run inside one compiled loop; the host is
touched once a chunk, for progress, the history and the check whether any seed is alive. What a
seed draws depends on (seed, stream, step) alone, so neither its neighbours nor the chunk length
move it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import jax

from w2dual.config.cells import Cell
from w2dual.measures import Pair
from w2dual.training import methods
from w2dual.training.checkpoint import Checkpoints, Snapshot
from w2dual.training.incidents import Totals
from w2dual.training.loop import compile_loop
from w2dual.training.methods import Method
from w2dual.training.pretraining import fresh_params, initial_params
from w2dual.training.progress import CHUNK_S, Progress, Timing
from w2dual.training.stopping import StopSignals
from w2dual.training.watch import EvaluationOf, Headline, Watch

log = logging.getLogger(__name__)


@dataclass
class TrainingResult:
    """What training a cell gave: final parameters, metrics per seed, history and times."""

    state: Any  # a `methods.State`
    headline: Headline
    seeds: list[dict[str, Any]]
    history: list[dict[str, Any]]
    timing: dict[str, Any]


def train(
    cell: Cell,
    pair: Pair,
    evaluation_of: EvaluationOf,
    checkpoints: Checkpoints | None = None,
    chunk_s: float = CHUNK_S,
) -> TrainingResult:
    """Train all seeds of a cell on a pair of measures, and evaluate them.

    With checkpoints, training resumes from the newest that can be used, and ends with the numbers
    it would have had without a stop.

    Args:
        cell: the cell, with all its settings.
        pair: a pair of measures of the cell's dimension.
        evaluation_of: builds what says how good the maps are.
        checkpoints: where they are kept; None for none.
        chunk_s: seconds that a chunk of steps may take. It moves no number.

    Returns:
        Final parameters, metrics for each seed, the history and the times.

    Raises:
        Stopped: SIGTERM or SIGUSR1 came while the steps were running; there is a checkpoint.
            Before the first step and after the last these signals end the process at once.
    """
    seeds, batch_size = cell.seeds, cell.training.batch_size
    method = methods.make(cell.settings, cell.dimension)
    with Progress(cell, checkpoints.folder if checkpoints else None) as progress:
        now = _start(cell, method, progress, checkpoints)
        progress.enter("compiling")
        began = time.perf_counter()
        run = compile_loop(method, seeds, batch_size, now.state, pair)
        now.timing.compile_s += time.perf_counter() - began
        log.info("compiled in %.1f s", time.perf_counter() - began)

        evaluation = evaluation_of(method, pair, cell)
        watch = Watch(cell, evaluation, now.history)
        progress.headline = evaluation.headline.label
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
                log.info("%s", progress.line(method.words(chunk.means), watch.latest()))
                if checkpoints is not None:
                    checkpoints.tend(now, stop.received)
            if progress.diverged_seeds == progress.seeds:
                log.info("all seeds have diverged: nothing is left to train")
            if checkpoints is not None:
                checkpoints.tend(now, stop.received, last=True)
        progress.enter("evaluating")
        final = watch.final(now.state, now.totals)
        times = now.timing.record() | evaluation.timing(now.state.params)
        return TrainingResult(now.state, evaluation.headline, final, now.history, times)


def _start(
    cell: Cell, method: Method[Any], progress: Progress, checkpoints: Checkpoints | None
) -> Snapshot:
    """Resume from a checkpoint, or initialise and pre-train."""
    now = None
    if checkpoints is not None:
        # Only shapes are asked for, and within a trace nothing may be compiled.
        like = jax.eval_shape(lambda: method.init(fresh_params(method, cell, lambda f: f)))
        now = checkpoints.resume(like)
    if now is None:
        seeds = len(cell.seeds)
        log.info("%s: %d seed(s), pre-training to the identity", cell.name, seeds)
        progress.enter("pre-training")
        params, report = initial_params(method, cell)
        log.info(
            "pre-trained %d steps in %.1f s%s",
            report["pretraining_steps"],
            report["pretraining_s"],
            _losses(report),
        )
        now = Snapshot(method.init(params), [], Timing(report), Totals.start(seeds))
        if checkpoints is not None:
            checkpoints.save(now)
    progress.restore(now.state, now.timing, now.totals)
    return now


def _losses(report: dict[str, float]) -> str:
    losses = [value for name, value in report.items() if name.startswith("pretraining_loss_")]
    return f", loss {losses[0]:.2e}" if losses else ""

"""Training of one cell: all its seeds at once, in compiled loops of many steps on the device.

Sampling, the ground-truth push and the method's updates run inside one compiled loop; the host is
touched once a chunk, for progress, the history and the check whether any seed is alive. What a
seed draws depends on (seed, stream, step) alone, so neither its neighbours nor the chunk length
move it.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from w2dual.backend import jit
from w2dual.config.cells import Cell
from w2dual.measures import Pair
from w2dual.training import methods
from w2dual.training.checkpoint import Checkpoints, Snapshot
from w2dual.training.health import Totals
from w2dual.training.loop import Loop, compile_loop
from w2dual.training.methods import Method
from w2dual.training.pretraining import fresh_params, initial_params
from w2dual.training.progress import CHUNK_S, Progress, Timing, Whole
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
    it would have had without a stop. Where the cell says how many seeds are trained side by side,
    groups of so many are trained one after another, each with checkpoints of its own.

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
    status = checkpoints.folder if checkpoints else None
    groups = seed_groups(cell)
    if len(groups) == 1:
        return _train(cell, pair, evaluation_of, checkpoints, chunk_s, status)
    found: list[TrainingResult] = []
    for number, group in enumerate(groups, start=1):
        named = ", ".join(map(str, group))
        log.info("group %d of %d: seeds %s", number, len(groups), named)
        part = dataclasses.replace(cell, settings={**cell.settings, "seeds": list(group)})
        own = checkpoints.part(f"group-{number}") if checkpoints else None
        whole = _whole(cell, number, len(groups), found)
        result = _train(part, pair, evaluation_of, own, chunk_s, status, whole)
        found.append(dataclasses.replace(result, state=jax.device_get(result.state)))
    return _together(found)


def seed_groups(cell: Cell) -> list[tuple[int, ...]]:
    """Return the seeds of a cell in the groups that are trained side by side."""
    count = cell.training.seeds_at_once or len(cell.seeds)
    return [cell.seeds[start : start + count] for start in range(0, len(cell.seeds), count)]


def _whole(cell: Cell, group: int, groups: int, before: Sequence[TrainingResult]) -> Whole:
    """Return what the status says of a cell besides the group of seeds that is being trained."""
    seeds = [entry for result in before for entry in result.seeds]
    statuses = [entry["training_conjugate_status"] for entry in seeds]
    return Whole(
        seeds=len(cell.seeds),
        group=group,
        groups=groups,
        diverged_seeds=sum(entry["status"] == "diverged" for entry in seeds),
        spikes=sum(entry["spikes"]["steps"] for entry in seeds),
        points=sum(sum(counts.values()) for counts in statuses),
        converged=sum(counts["converged"] for counts in statuses),
    )


def _together(groups: Sequence[TrainingResult]) -> TrainingResult:
    """Return the results of groups of seeds as those of one cell; times are added up."""

    def leaves(*found: Any) -> Any:
        return np.concatenate(found) if np.ndim(found[0]) else max(found)

    timing: dict[str, Any] = {}
    for key in groups[0].timing:
        values = [group.timing[key] for group in groups]
        if isinstance(values[0], list):
            timing[key] = sum(values, [])
        elif None in values:
            timing[key] = None
        elif key == "pretraining_steps" or key.startswith("pretraining_loss"):
            timing[key] = max(values)
        else:
            timing[key] = sum(values)
    timing["steps_per_second"] = 1.0 / timing["seconds_per_step"]
    history = [row for group in groups for row in group.history]
    return TrainingResult(
        state=jax.tree.map(leaves, *(group.state for group in groups)),
        headline=groups[0].headline,
        seeds=[entry for group in groups for entry in group.seeds],
        history=sorted(history, key=lambda row: row["step"]),
        timing=timing,
    )


def _train(
    cell: Cell,
    pair: Pair,
    evaluation_of: EvaluationOf,
    checkpoints: Checkpoints | None,
    chunk_s: float,
    status: Path | None,
    whole: Whole | None = None,
) -> TrainingResult:
    """Train all seeds of a cell side by side; `status` is the folder of the status file.

    `whole` is what the cell is a group of, if it is one.
    """
    seeds, batch_size = cell.seeds, cell.training.batch_size
    method = methods.make(cell.settings, cell.dimension)
    shared = cell.training.shared_batches
    with Progress(cell, status, whole) as progress:
        # Only shapes are asked for, and within a trace nothing may be compiled.
        like = jax.eval_shape(lambda: method.init(fresh_params(method, cell, lambda f: f)))

        def compiled() -> tuple[Loop, float]:
            began = time.perf_counter()
            loop = compile_loop(method, seeds, batch_size, like, pair, shared)
            return loop, time.perf_counter() - began

        with ThreadPoolExecutor(1) as beside:  # XLA compiles on another core than Python's
            compiling = beside.submit(compiled)
            now = _start(cell, method, like, progress, checkpoints)
            progress.enter("compiling")
            began = time.perf_counter()
            run, compile_s = compiling.result()
        now.timing.compile_s += time.perf_counter() - began
        log.info(
            "compiled in %.1f s, of which %.1f s after pre-training",
            compile_s,
            time.perf_counter() - began,
        )

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
    cell: Cell,
    method: Method[Any],
    like: Any,
    progress: Progress,
    checkpoints: Checkpoints | None,
) -> Snapshot:
    """Resume from a checkpoint, or initialise and pre-train."""
    now = None
    if checkpoints is not None:
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
        state = jit(method.init, once=True)(params)  # else each of its operations is a program
        now = Snapshot(state, [], Timing(report), Totals.start(seeds))
        if checkpoints is not None:
            checkpoints.save(now)
    progress.restore(now.state, now.timing, now.totals)
    return now


def _losses(report: dict[str, float]) -> str:
    losses = [value for name, value in report.items() if name.startswith("pretraining_loss_")]
    return f", loss {losses[0]:.2e}" if losses else ""

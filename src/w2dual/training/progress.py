"""Where the training of a cell stands: its times, progress lines and status, the next chunk."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from w2dual.config.cells import Cell
from w2dual.training.health import Totals
from w2dual.training.methods import State
from w2dual.training.status import CellStatus, rate

log = logging.getLogger(__name__)

CHUNK_S = 20.0
"""Most seconds that a chunk is planned for, so that a job that is told to stop soon does: a batch
system waits some 30 s before it kills."""
STATUS_EVERY_S = 1.0
"""Least seconds between two writings of the status file."""


@dataclass
class Timing:
    """What the training of a cell has cost, over all attempts whose work is in its result.

    Attributes:
        pretraining: steps, seconds and losses of pre-training.
        compile_s: seconds of waiting for the loop to be compiled, after pre-training.
        training_s: seconds inside the loop.
        rates: seconds per step of each chunk but the first of each attempt, which warms up.
        resumed_at_steps: where attempts after the first one began.
    """

    pretraining: dict[str, float]
    compile_s: float = 0.0
    training_s: float = 0.0
    rates: list[float] = field(default_factory=list)
    resumed_at_steps: list[int] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return what stands in metrics.json."""
        seconds_per_step = float(np.median(self.rates))
        return self.pretraining | {
            "compile_s": self.compile_s,
            "training_s": self.training_s,
            "seconds_per_step": seconds_per_step,
            "steps_per_second": 1.0 / seconds_per_step,
            "resumed_at_steps": self.resumed_at_steps,
        }


def chunk_steps(
    step: int,
    *,
    iterations: int,
    boundaries: tuple[int, ...],
    seconds_per_step: float | None,
    limit_s: float,
) -> int:
    """Return the number of steps of the next chunk, at least 1.

    Args:
        step: steps done.
        iterations: steps to do.
        boundaries: a chunk ends at each multiple of each of these.
        seconds_per_step: of the chunk before; None at the start of an attempt, where one step
            is taken to learn it.
        limit_s: seconds that the chunk may take at this rate.
    """
    ends = [every - step % every for every in boundaries]
    most = 1 if seconds_per_step is None else max(1, int(limit_s / seconds_per_step))
    return min(*ends, iterations - step, most)


@dataclass(frozen=True)
class Whole:
    """The cell that a group of its seeds is a part of, and what is known of the groups before.

    Attributes:
        seeds: of the cell.
        group, groups: which group it is, from 1, of how many.
        diverged_seeds, spikes, points, converged: of the groups before: seeds, steps with a spike,
            and points conjugated in training.
    """

    seeds: int
    group: int = 1
    groups: int = 1
    diverged_seeds: int = 0
    spikes: int = 0
    points: int = 0
    converged: int = 0


class Progress:
    """Keeps the times of an attempt, words the progress lines, and writes the status file.

    As a context it leaves the status `stopped` behind where an exception ends the training.
    """

    def __init__(self, cell: Cell, folder: Path | None, whole: Whole | None = None) -> None:
        """Take the cell, and the folder for its status file; None for no such file.

        Args:
            cell: the cell, or a group of its seeds.
            folder: see above.
            whole: what the cell is a group of; None for a cell with all its seeds.
        """
        self.cell = cell
        self.whole = whole or Whole(len(cell.seeds))
        self.iterations = cell.training.iterations
        self.boundaries = (cell.logging.every, cell.evaluation.history_every)
        self.seeds = len(cell.seeds)
        self.folder = folder
        self.timing = Timing({})
        self.totals = Totals.start(self.seeds)
        self.step = 0
        self.diverged_seeds = 0
        self.headline = ""
        self.error: float | None = None
        self._last_rate: float | None = None
        self._provisional = False
        self._phase = ""
        self._written = -STATUS_EVERY_S

    def __enter__(self) -> Progress:
        """Return this object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say so where the training ended early."""
        if kind is not None:
            self.enter("stopped")

    def enter(self, phase: str) -> None:
        """Begin another of `status.PHASES`, and write it down."""
        self._phase = phase
        self._write()

    def restore(self, state: State, timing: Timing, totals: Totals) -> None:
        """Begin at a state, with the times and incidents so far, which are added to in place."""
        self._take(state)
        self.timing = timing
        self.totals = totals

    def finished(self) -> bool:
        """Say whether all steps are done, or no seed is left to train."""
        return self.step >= self.iterations or self.diverged_seeds == self.seeds

    def next_chunk(self, limit_s: float) -> int:
        """Return the number of steps of the next chunk, which is to take `limit_s` at most."""
        return chunk_steps(
            self.step,
            iterations=self.iterations,
            boundaries=self.boundaries,
            seconds_per_step=self._last_rate,
            limit_s=limit_s,
        )

    def add(self, state: State, seconds: float) -> None:
        """Count a chunk that has led to `state`."""
        before = self.step
        self._take(state)
        mine, rates = seconds / (self.step - before), self.timing.rates
        if self._last_rate is None:
            # This one warmed up, and so may have the only one there is: the next replaces it.
            self._provisional = len(rates) <= 1
            if not rates:
                rates.append(mine)
        elif self._provisional:
            self._provisional = False
            rates[:] = [mine]
        else:
            rates.append(mine)
        self._last_rate = mine
        self.timing.training_s += seconds

    def _take(self, state: State) -> None:
        self.step = int(state.step)
        self.diverged_seeds = int(np.sum(np.asarray(state.diverged_at) >= 0))

    def seconds_per_step(self) -> float:
        """Return the median over the chunks."""
        return float(np.median(self.timing.rates))

    def line(self, means: list[str], evaluated: tuple[int, float] | None) -> str:
        """Word the progress line of a chunk, and write the status unless that was just done.

        Args:
            means: of the chunk's steps, as the method words them.
            evaluated: the last step evaluated and the headline there; None before the first.
        """
        self.error = evaluated[1] if evaluated else None
        if time.monotonic() - self._written >= STATUS_EVERY_S:
            self._write()
        left_s = (self.iterations - self.step) * self.seconds_per_step()
        words = [
            f"step {self.step}/{self.iterations}",
            f"{rate(1 / self.seconds_per_step())} steps/s",
            f"{left_s:.0f} s left",
            *means,
        ]
        if self.totals.spikes:
            words.append(f"spikes {self.totals.spikes}")
        if self.diverged_seeds:
            words.append(f"diverged seeds {self.diverged_seeds}")
        if evaluated:
            words.append(f"{self.headline} {evaluated[1]:.3g} at step {evaluated[0]}")
        return "  ".join(words)

    def _write(self) -> None:
        if self.folder is None:
            return
        whole = self.whole
        points, converged = self.totals.conjugated
        points, converged = points + whole.points, converged + whole.converged
        status = CellStatus(
            cell=self.cell.name,
            phase=self._phase,
            step=self.step,
            iterations=self.iterations,
            seeds=whole.seeds,
            diverged_seeds=whole.diverged_seeds + self.diverged_seeds,
            spikes=whole.spikes + self.totals.spikes,
            not_converged=1 - converged / points if points else None,
            steps_per_second=1 / self.seconds_per_step() if self.timing.rates else None,
            headline=self.headline,
            error=self.error,
            updated=time.time(),
            group=whole.group,
            groups=whole.groups,
        )
        self._written = time.monotonic()
        try:
            status.write(self.folder)
        except OSError as error:
            # Nobody's result: training goes on without it.
            log.warning("%s: the status cannot be written: %s", self.folder, error)

"""What training asks of the evaluation of a cell, and when: rows of the history, final figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Array, Key

from w2dual.config.cells import Cell
from w2dual.measures import Pair
from w2dual.records import finite
from w2dual.training.health import Totals
from w2dual.training.loop import streams
from w2dual.training.methods import Method, State


class Headline(NamedTuple):
    """The one figure that says how good a cell is: its column, and what people call it."""

    column: str
    label: str


class Evaluation(Protocol):
    """How good the maps of one cell are. Whoever trains says how; training only says when."""

    @property
    def headline(self) -> Headline:
        """The figure for progress lines, one of `columns`."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """What of an evaluation goes into the history."""
        ...

    @property
    def errors(self) -> tuple[str, ...]:
        """Which columns are errors, of which the smallest of a seed's history is kept."""
        ...

    def evaluate(self, params: Any, keys: Key[Array, " seeds"], samples: int) -> Any:
        """Return a named tuple of arrays with a leading axis of seeds, on fresh samples.

        Args:
            params: parameters of all seeds.
            keys: one for each seed.
            samples: points of each seed.
        """
        ...

    def record(self, values: Any, index: int, diverged: bool) -> dict[str, Any]:
        """Return what metrics.json says of the seed at an index of the leading axis.

        Args:
            values: what `evaluate` returned.
            index: the seed's place.
            diverged: whether the seed has diverged, and so has no figures.
        """
        ...

    def timing(self, params: Any) -> dict[str, Any]:
        """Return what is timed on trained parameters, for `timing` in metrics.json."""
        ...


EvaluationOf = Callable[[Method[Any], Pair, Cell], Evaluation]
"""Builds the evaluation of a cell from its method and its measures."""


class Watch:
    """Evaluates the state on streams of its own and adds to the history."""

    def __init__(self, cell: Cell, evaluation: Evaluation, history: list[dict[str, Any]]) -> None:
        """Take the cell, what evaluates it, and the rows so far, which are added to in place."""
        self.settings = cell.evaluation
        self.iterations = cell.training.iterations
        self.seeds = cell.seeds
        self.evaluation = evaluation
        self.keys = streams(self.seeds, "history evaluation")
        self.rows = history

    def due(self, step: int) -> bool:
        """Return whether all live seeds are evaluated at a step."""
        return step % self.settings.history_every == 0 or step == self.iterations

    def evaluate(self, state: State, seconds_per_step: float = float("nan")) -> None:
        """Add a row for each seed that has not diverged."""
        live = np.flatnonzero(np.asarray(state.diverged_at) < 0)
        self._add(state, {int(i): int(state.step) for i in live}, seconds_per_step)

    def note_diverged(self, state: State) -> None:
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

    def _add(self, state: State, steps: Mapping[int, int], seconds_per_step: float) -> None:
        """Evaluate, and add a row for each seed in `steps`: index -> steps that it has had."""
        samples = self.settings.history_samples
        values = self.evaluation.evaluate(state.params, self.keys, samples)
        for i, step in steps.items():
            row = {name: float(getattr(values, name)[i]) for name in self.evaluation.columns}
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
        column = self.evaluation.headline.column
        now = [row[column] for row in self.rows if row["step"] == last]
        return last, sum(now) / len(now)

    def final(self, state: State, totals: Totals) -> list[dict[str, Any]]:
        """Evaluate on the final, larger sample.

        A diverged seed has a status and no figures; what its last evaluation was stands apart.
        """
        keys = streams(self.seeds, "final evaluation")
        values = self.evaluation.evaluate(state.params, keys, self.settings.samples)
        return [
            self._seed_record(state, values, i, seed) | totals.of_seed(i)
            for i, seed in enumerate(self.seeds)
        ]

    def _seed_record(self, state: State, values: Any, i: int, seed: int) -> dict[str, Any]:
        diverged_at = int(state.diverged_at[i])
        diverged = diverged_at >= 0
        return {
            "seed": seed,
            "status": "diverged" if diverged else "finished",
            "diverged_at_step": diverged_at if diverged else None,
            "steps": diverged_at if diverged else int(state.step),
            "before_divergence": self._before(seed) if diverged else None,
            "best": {column: self._best(seed, column) for column in self.evaluation.errors},
            **self.evaluation.record(values, i, diverged),
        }

    def _best(self, seed: int, column: str) -> dict[str, Any]:
        """Return a seed's smallest error of its history, and the step where it was."""
        rows = [row for row in self.rows if row["seed"] == seed and math.isfinite(row[column])]
        if not rows:
            return {"step": None, "value": None}
        best = min(rows, key=lambda row: row[column])
        return {"step": best["step"], "value": best[column]}

    def _before(self, seed: int) -> dict[str, Any]:
        """Return a diverged seed's last evaluation, on the history's samples."""
        row = self._last(seed)
        return {"step": row["step"]} | {name: finite(row[name]) for name in self.evaluation.columns}

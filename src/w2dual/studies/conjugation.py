"""How a trained cell's conjugates are found, cold and warm started.

For a few points y the objective J_f(x; y) at each iterate of L-BFGS and of Adam, from y itself
(cold) and from the amortized start x_tilde(y) (warm); for many points what L-BFGS needs from each
start, and how near each start is. Of the first seed that has not diverged.

# DIFFERS: the published script (scripts/eval-conj-solver-benchmarks.py of w2ot) takes the best of
the trials, in float32 as here; it stops L-BFGS after 50 iterations, and has no warm Adam.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from w2dual import conjugate, provenance, rng
from w2dual.backend import jit
from w2dual.conjugate import ConjugateResult
from w2dual.decoding import decode
from w2dual.evaluation import trained
from w2dual.evaluation.trained import Trained
from w2dual.records import InputError, read_json
from w2dual.studies.conjugation_record import FORMAT, STARTS, STREAM, Sample, Study, write
from w2dual.studies.trace import traces

log = logging.getLogger(__name__)

SOLVERS = ("lbfgs", "adam")


@dataclass(frozen=True)
class StudySettings:
    """What the study of a cell needs.

    Attributes:
        lbfgs, adam: the solvers, as in the config's `solvers`.
        points: of which each step is traced.
        samples: of which the solution is found.
    """

    lbfgs: dict[str, Any]
    adam: dict[str, Any]
    points: int
    samples: int


def study(cell: Trained, settings: Mapping[str, Any]) -> tuple[dict[Any, Any], dict[str, Sample]]:
    """Trace the solvers on `points` points, and solve for `samples` of them.

    Args:
        cell: the trained cell.
        settings: those of `StudySettings`.

    Returns:
        `values` and `samples` of a `Study`.

    Raises:
        InputError: a setting is missing or unknown, a solver's settings do not fit, or there are
            more points than samples.
    """
    chosen = decode(StudySettings, settings, "conjugation study", "settings")
    if not 0 < chosen.points <= chosen.samples:
        raise InputError(
            f"conjugation study: {chosen.points} points of {chosen.samples} samples; "
            "expected at least one, and no more than there are samples"
        )
    solvers = {name: conjugate.make(getattr(chosen, name)) for name in SOLVERS}
    # Compiled, since the law of the target is a mixture moved by large networks.
    draw = jit(lambda key: cell.pair.sample_target(key, chosen.samples))
    y = draw(rng.stream(cell.seed, STREAM))
    starts = {"cold": y, "warm": jit(cell.problem.amortized)(cell.params, y[None])[0]}
    oracle = cell.problem.oracle(cell.params)

    def first(points: Any) -> Any:
        return np.asarray(points[: chosen.points])

    values: dict[tuple[str, str], Any] = {}
    for name, solver in solvers.items():
        assert solver is not None  # noqa: S101  (the config's check: of kind lbfgs and adam)
        both = [first(starts[start]) for start in STARTS]
        found = traces(solver, oracle, np.tile(first(y), (2, 1)), np.concatenate(both))
        for place, start in enumerate(STARTS):
            mine = found[place * len(both[0]) :][: len(both[0])]
            values[name, start] = _padded([trace.value for trace in mine])

    @jit
    def solve(start: Any) -> tuple[ConjugateResult, Any, Any]:
        result = conjugate.solve(solvers["lbfgs"], oracle, y[None], start[None])  # pyright: ignore[reportArgumentType]
        value, gradient = oracle(start[None])
        height = value[0] - jnp.sum(start * y, axis=-1)
        return (
            jax.tree.map(lambda leaf: leaf[0], result),
            height,
            jnp.max(jnp.abs(gradient[0] - y), axis=-1),
        )

    solved = {start: jax.tree.map(np.asarray, solve(starts[start])) for start in STARTS}
    lowest = np.fmin(*(solved[start][0].value for start in STARTS))
    samples = {
        start: Sample(
            iterations=result.iterations,
            gradient_norm=result.gradient_norm,
            status=result.status,
            start_gradient_norm=start_norm,
            gap=height - lowest,
        )
        for start, (result, height, start_norm) in solved.items()
    }
    return values, samples


def _padded(rows: list[Float[np.ndarray, " iterates"]]) -> Float[np.ndarray, "points iterates"]:
    padded = np.full((len(rows), max(map(len, rows))), np.nan, np.float32)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded


def load_live(params: Path, metrics: Path, pair: Path) -> Trained | None:
    """Read a trained cell; None where every seed has diverged, which is a result and no error."""
    lost = trained.is_lost(read_json(metrics))
    return None if lost else trained.load(params, metrics, pair)


def now() -> str:
    """Return the time as provenance has it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def run(params: Path, metrics: Path, pair: Path, settings: Mapping[str, Any], out: Path) -> None:
    """Study a trained cell, and write what was found.

    Args:
        params: its params.safetensors.
        metrics: its metrics.json.
        pair: the prepared file of its measures.
        settings: lbfgs, adam, points, samples.
        out: .safetensors to write.

    Raises:
        InputError: a file or a setting cannot be used.
    """
    record, started = read_json(metrics), now()
    cell = load_live(params, metrics, pair)
    values, samples = ({}, {}) if cell is None else study(cell, settings)
    metadata = {
        "format": FORMAT,
        "kind": STREAM,
        "cell": record["cell"],
        "preset": record["preset"],
        "measures_source": record["measures"].get("source"),
        "seed": None if cell is None else cell.seed,
        "settings": settings,
        "provenance": provenance.gather(started, now()),
    }
    write(out, Study(metadata, values, samples))
    for start, sample in samples.items():
        log.info(
            "%s, %s start: %.1f iterations, %.1f %% converged",
            record["cell"]["name"],
            start,
            sample.iterations.mean(),
            100 * np.mean(sample.status == conjugate.Status.CONVERGED),
        )

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
from jaxtyping import Float, Int

from w2dual import conjugate, provenance, rng
from w2dual.backend import jit
from w2dual.conjugate import ConjugateResult
from w2dual.decoding import decode
from w2dual.evaluation import trained
from w2dual.evaluation.trained import Trained
from w2dual.records import InputError, load_arrays, read_json, save_arrays
from w2dual.studies.trace import traces

log = logging.getLogger(__name__)

FORMAT = 1
STARTS = ("cold", "warm")
"""From y itself, and from x_tilde(y)."""
SOLVERS = ("lbfgs", "adam")
STREAM = "conjugation study"


@dataclass(frozen=True)
class Sample:
    """What L-BFGS did from one kind of start; a number for each point.

    Attributes:
        iterations: of the solver.
        gradient_norm: max|grad J_f| at the end.
        status: a `conjugate.Status`.
        start_gradient_norm: max|grad J_f| at the start.
        gap: J_f at the start minus the lowest J_f found for that point.
    """

    iterations: Int[np.ndarray, " points"]
    gradient_norm: Float[np.ndarray, " points"]
    status: Int[np.ndarray, " points"]
    start_gradient_norm: Float[np.ndarray, " points"]
    gap: Float[np.ndarray, " points"]


@dataclass(frozen=True)
class Study:
    """What the job found for one cell.

    Attributes:
        metadata: cell, preset, where its measures are from, seed, settings and provenance.
        values: J_f at each iterate by (solver, start), a row for each point, the start first; not
            a number beyond its last iterate.
        samples: by kind of start.
    """

    metadata: Mapping[str, Any]
    values: Mapping[tuple[str, str], Float[np.ndarray, "points iterates"]]
    samples: Mapping[str, Sample]

    @property
    def diverged(self) -> bool:
        """Whether every seed of the cell diverged, so that nothing could be studied."""
        return self.metadata["seed"] is None

    def normalised(self) -> dict[tuple[str, str], Float[np.ndarray, "points iterates"]]:
        """Return (J - min) / (max - min), over all values found for a point, as the paper does."""
        together = np.concatenate(list(self.values.values()), axis=1)
        low = np.nanmin(together, axis=1, keepdims=True)
        high = np.nanmax(together, axis=1, keepdims=True)
        extent = np.where(high > low, high - low, 1.0)
        return {key: (values - low) / extent for key, values in self.values.items()}


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


def write(path: Path, found: Study) -> None:
    """Write what the job found."""
    arrays = {f"values/{'/'.join(key)}": values for key, values in found.values.items()}
    for start, sample in found.samples.items():
        arrays |= {f"samples/{start}/{name}": array for name, array in vars(sample).items()}
    save_arrays(path, arrays, found.metadata)


def read(path: Path) -> Study:
    """Read what `write` wrote.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    arrays, metadata = load_arrays(path)
    if metadata.get("format") != FORMAT or metadata.get("kind") != STREAM:
        raise InputError(f"{path}: holds no conjugation study of format {FORMAT}")
    values: dict[tuple[str, str], Any] = {}
    samples: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        part, *rest = name.split("/")
        if part == "values":
            values[rest[0], rest[1]] = array
        else:
            samples.setdefault(rest[0], {})[rest[1]] = array
    return Study(metadata, values, {start: Sample(**fields) for start, fields in samples.items()})


def load_live(params: Path, metrics: Path, pair: Path) -> Trained | None:
    """Read a trained cell; None where every seed has diverged, which is a result and no error."""
    if all(entry["status"] == "diverged" for entry in read_json(metrics)["seeds"]):
        return None
    return trained.load(params, metrics, pair)


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

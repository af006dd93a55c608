"""What a line search costs, on trained cells.

`line-search` conjugates the same points, warm started, by ours with each of its line searches and
by L-BFGS of other libraries, and says how good each result is, since fast and wrong is not fast.
`wolfe-vs-armijo` times 10 iterations from y with JAX's strong Wolfe search and with ours.

The published scripts are scripts/eval-conj-solver-lbfgs.py and eval-conj-solver-benchmarks.py of
w2ot; their "Jax Strong Wolfe Zoom" is jax.scipy.optimize's L-BFGS, as here.

# DIFFERS: the published code gives the mean of 9 calls in a row, and of a single one; here the
contestants take turns, and the median and range of their turns are given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from w2dual import conjugate, potentials, provenance, rng, timing
from w2dual.backend import jit
from w2dual.conjugate.lbfgs import LBFGS
from w2dual.decoding import decode
from w2dual.evaluation.trained import Trained
from w2dual.records import InputError, read_json, write_json
from w2dual.studies import libraries
from w2dual.studies.conjugation import load_live, now

log = logging.getLogger(__name__)

FORMAT = 2
STREAM = "line search study"
OURS = {
    "ours_parallel": ("ours, parallel Armijo", "parallel"),
    "ours_sequential": ("ours, backtracking Armijo", "sequential"),
}
ROWS = {
    **{name: words for name, (words, _) in OURS.items()},
    **{name: words for name, (words, _) in libraries.ROWS.items()},
}
"""All rows of the comparison, with their words."""
WOLFE_ROWS = ("jax_zoom", "ours_parallel", "ours_sequential")


def compile_row(name: str, cell: Trained, settings: Mapping[str, Any]) -> Any:
    """Build the solver of one row for many points, a jitted `libraries.SolveBatch`.

    Args:
        name: of `ROWS`.
        cell: whose potential it works on.
        settings: of L-BFGS, as in the config's `solvers`.

    Raises:
        InputError: there is no such row, the settings are not those of L-BFGS, or a library is
            missing.
    """
    if name not in ROWS:
        raise InputError(f"line search {name!r}: expected one of {', '.join(ROWS)}")
    potential = cell.problem.potential
    if name in OURS:
        solver = conjugate.make(dict(settings))
        if not isinstance(solver, LBFGS):
            raise InputError(f"solver kind {settings['kind']!r}: line searches are L-BFGS's")

        def oracle(params: Any) -> conjugate.Oracle:
            single = partial(potentials.value_and_gradient, potential, params)
            return lambda x: jax.tree.map(lambda leaf: leaf[None], single(x[0]))

        return libraries.ours(replace(solver, line_search=OURS[name][1]), oracle)

    def value(params: Any, x: Array) -> Array:
        return potentials.value(potential, params, x[None])[0]

    return libraries.mapped(libraries.ROWS[name][1](value, settings))


def compare(
    cell: Trained,
    names: tuple[str, ...],
    settings: Mapping[str, Any],
    y: Float[Array, "points n"],
    start: Float[Array, "points n"],
    *,
    tolerance: float,
    repetitions: int,
    block_s: float,
    slow_s: float,
) -> list[dict[str, Any]]:
    """Time rows in turns, and judge their results.

    Args:
        cell: the trained cell.
        names: of `ROWS`.
        settings: of L-BFGS.
        y: points to conjugate at.
        start: where all begin.
        tolerance: a result counts as converged below this max|grad J|.
        repetitions: turns of each row.
        block_s: seconds that a turn should take.
        slow_s: a row whose first call takes longer, not counting compilation, gets no turns; that
            call stands for its runtime.

    Returns:
        A record for each row: `runtime_ms` (median, min, max over the turns, for all points
        together), `repetitions`, `calls` (in a turn), `compile_s`, the iterations, the gradient
        norms, `converged_percent`, and `excess_mean`, of J above the lowest that any row found
        for the point.
    """
    params = jax.tree.map(lambda leaf: leaf[0], cell.params.potential)
    arguments = (params, y, start)
    turns, results = [], {}
    for name in names:
        began = time.perf_counter()
        solve = compile_row(name, cell, settings).lower(*arguments).compile()
        compile_s = time.perf_counter() - began
        results[name] = jax.block_until_ready(solve(*arguments))
        first_s = time.perf_counter() - began - compile_s
        if first_s > slow_s:
            log.info("  %s: %.4g ms, once, since that is over %g s", name, 1e3 * first_s, slow_s)
            turns.append(timing.Turn(name, timing.calls(solve, arguments), compile_s, 1, []))
            turns[-1].milliseconds.append(1e3 * first_s)
        else:
            block = timing.calls(solve, arguments)
            turns.append(timing.prepare(name, block, block_s, compile_s))
    timing.interleave([turn for turn in turns if not turn.milliseconds], repetitions)
    oracle = jit(cell.problem.oracle(cell.params))
    heights, norms = {}, {}
    for name, (x, _) in results.items():
        value, gradient = (leaf[0] for leaf in oracle(x[None]))
        heights[name] = np.asarray(value - jnp.sum(x * y, axis=-1))
        norms[name] = np.asarray(jnp.max(jnp.abs(gradient - y), axis=-1))
    lowest = np.nanmin(np.stack(list(heights.values())), axis=0)
    return [
        {
            "name": turn.name,
            "words": ROWS[turn.name],
            "runtime_ms": timing.spread(turn.milliseconds),
            "repetitions": len(turn.milliseconds),
            "calls": turn.units,
            "compile_s": turn.first_s,
            "iterations_mean": float(np.mean(results[turn.name][1])),
            "iterations_max": int(np.max(results[turn.name][1])),
            "gradient_norm_median": float(np.median(norms[turn.name])),
            "gradient_norm_max": float(np.max(norms[turn.name])),
            "converged_percent": 100 * float(np.mean(norms[turn.name] < tolerance)),
            "excess_mean": float(np.mean(heights[turn.name] - lowest)),
        }
        for turn in turns
    ]


@dataclass(frozen=True)
class _Common:
    """What both studies need.

    Attributes:
        lbfgs: the solver, as in the config's `solvers`.
        points: conjugated together.
        repetitions: turns of each row.
        block_s: s that a turn takes.
        slow_s: s; a row whose first call takes longer is timed by that call alone.
    """

    lbfgs: dict[str, Any]
    points: int
    repetitions: int
    block_s: float
    slow_s: float


@dataclass(frozen=True)
class LineSearchSettings(_Common):
    """What the comparison of line searches needs.

    Attributes:
        rows: of `ROWS`; others are compared with the first.
        trials: steps of a line search at most, in the place of the solver's own.
    """

    rows: tuple[str, ...]
    trials: int


@dataclass(frozen=True)
class WolfeSettings(_Common):
    """What the comparison of Wolfe and Armijo needs.

    Attributes:
        iterations: of L-BFGS.
    """

    iterations: int


def line_search(cell: Trained, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare rows, warm started, at the solver's tolerance.

    Args:
        cell: the trained cell.
        settings: those of `LineSearchSettings`.

    Raises:
        InputError: a setting is missing, unknown or of a wrong type, or a row is unknown.
    """
    chosen = decode(LineSearchSettings, settings, "line search", "settings")
    y = _points(cell, chosen.points)
    start = jit(cell.problem.amortized)(cell.params, y[None])[0]
    solver = chosen.lbfgs | {"trials": chosen.trials}
    return compare(
        cell,
        chosen.rows,
        solver,
        y,
        start,
        tolerance=solver["gradient_tolerance"],
        repetitions=chosen.repetitions,
        block_s=chosen.block_s,
        slow_s=chosen.slow_s,
    )


def wolfe_vs_armijo(cell: Trained, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Time `iterations` iterations from y: no tolerance is ever met.

    Args:
        cell: the trained cell.
        settings: those of `WolfeSettings`.

    Raises:
        InputError: a setting is missing, unknown or of a wrong type.
    """
    chosen = decode(WolfeSettings, settings, "Wolfe against Armijo", "settings")
    y = _points(cell, chosen.points)
    endless = {"gradient_tolerance": -1.0, "max_iterations": chosen.iterations}
    return compare(
        cell,
        WOLFE_ROWS,
        chosen.lbfgs | endless,
        y,
        y,
        tolerance=chosen.lbfgs["gradient_tolerance"],
        repetitions=chosen.repetitions,
        block_s=chosen.block_s,
        slow_s=chosen.slow_s,
    )


def _points(cell: Trained, count: int) -> Float[Array, "points n"]:
    # Compiled as one: the law of the target is a mixture that large networks move.
    return jit(lambda key: cell.pair.sample_target(key, count))(rng.stream(cell.seed, STREAM))


STUDIES = {"line-search": line_search, "wolfe-vs-armijo": wolfe_vs_armijo}


def run(
    study: str,
    files: Sequence[tuple[Path, Path, Path]],
    settings: Mapping[str, Any],
    threads: int | None,
    out: Path,
) -> None:
    """Run a study on trained cells, and write what it found.

    Args:
        study: a key of `STUDIES`.
        files: of each cell its parameters, its metrics and its prepared pair.
        settings: solver, points and repetitions.
        threads: CPU threads that this process has been given, for the record.
        out: .json to write.

    Raises:
        InputError: a file or a setting cannot be used.
    """
    started = now()
    cells = []
    for params, metrics, pair in files:
        record = read_json(metrics)
        cell = load_live(params, metrics, pair)
        log.info("%s", record["cell"]["name"])
        cells.append(
            {
                "cell": record["cell"],
                "preset": record["preset"],
                "measures_source": record["measures"]["source"],
                "seed": None if cell is None else cell.seed,
                "rows": [] if cell is None else STUDIES[study](cell, settings),
            }
        )
    found = {
        "format": FORMAT,
        "study": study,
        "settings": settings,
        "threads": threads,
        "long_call_s": timing.SLOW_S,  # beyond it a row has fewer turns
        "cells": cells,
        "provenance": provenance.gather(started, now()),
    }
    write_json(out, found)
    log.info("%s: written", out)

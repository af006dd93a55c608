"""The kernels against the plain solver on trained networks, point by point.

In float32 a point can be a rounding away from a tolerance, and a line search can compare values
that no longer differ; then the two ways take another number of steps. So a comparison says, beside
the counts, how both ways end, and how near the tolerance the points were whose counts differ. With
`float64` no rounding decides, and every count has to be the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import conjugate, measures, rng
from w2dual.config.cells import Cell
from w2dual.conjugate import Status, base, solving
from w2dual.records import InputError, json_argument, load_arrays
from w2dual.training.files import load_params, unflatten
from w2dual.training.methods.dual import DualProblem, Networks
from w2dual.training.methods.dual import make as make_problem

SHOWN = 16
"""Points whose counts differ that a record has one by one."""
ROUNDING = 1e-3
"""Share of the points whose counts a rounding may change."""
RESOLVED = 10
"""Resolutions of J: a decrease by less can be hidden by the rounding of both values."""
CONVERGED = 0.01
"""Largest difference, then, of the share that converges."""
NORMS = {"gradient_norm_median": 0.05, "gradient_norm_p99": 0.2}
"""Largest relative differences, then; the last hundredth may be points that do not converge."""
COUNTS = ("status", "iterations", "evaluations")


def equality(
    folder: Path,
    case: str,
    points: int,
    solvers: list[str],
    params: Path | None,
    interpret: bool,
    float64: bool,
) -> dict[str, Any]:
    """Compare the kernels of some solvers with the plain solver.

    Args:
        folder: what `gpu_check prepare` has made.
        case: a pair and a potential, such as hd16-mlp.
        points: of all seeds together.
        solvers: names of the config's.
        params: networks of a trained cell; None for those of the folder.
        interpret: run the kernels by JAX's interpreter, on any device.
        float64: compute in float64, which the interpreter alone can.
    """
    trial = trial_of(folder, case, points, solvers, params)
    found: dict[str, Any] = {
        "case": case,
        "device": jax.devices()[0].device_kind,
        "kernel": "interpreted" if interpret else "compiled",
        "dtype": "float64" if float64 else "float32",
        "networks": trial.networks,
    }
    with jax.enable_x64(float64):
        wide = partial(jnp.asarray, dtype=jnp.float64 if float64 else jnp.float32)
        arguments = jax.tree.map(wide, (trial.params, trial.y, trial.start))
        for name, solver in trial.solvers.items():
            found[name] = _compare(trial.problem, solver, arguments, interpret)
    return found


@dataclass(frozen=True)
class Trial:
    """Trained networks, and points to conjugate.

    Attributes:
        problem: of the networks' cell.
        params: of the networks.
        networks: in a few words: for how many steps they were trained, and how many seeds.
        y: points of the target, (seeds, points, n).
        start: x_tilde(y).
        solvers: by name.
    """

    problem: DualProblem
    params: Networks
    networks: dict[str, Any]
    y: Any
    start: Any
    solvers: dict[str, Any]


def trial_of(
    folder: Path, case: str, points: int, solvers: list[str], params: Path | None
) -> Trial:
    """Read trained networks and draw points; arguments as of `equality`.

    Raises:
        InputError: a solver is unknown, or the networks are of another case.
    """
    networks, cell, steps = _networks(folder, case, params)
    problem = make_problem(cell.settings, cell.dimension)
    pair = measures.load(folder / "measures" / f"{cell.pair}.safetensors")
    known = json_argument(str(folder / "solvers.json"))
    if unknown := [name for name in solvers if name not in known]:
        raise InputError(f"no solver {', '.join(unknown)}; there are {', '.join(known)}")
    seeds = jax.tree.leaves(networks)[0].shape[0]
    streams = [rng.stream(seed, "kernel equality") for seed in range(seeds)]
    y = jnp.stack([pair.sample_target(key, points // seeds) for key in streams])
    start = jax.jit(problem.amortized)(networks, y)
    made = {name: conjugate.make(known[name]) for name in solvers}
    return Trial(problem, networks, {"trained_steps": steps, "seeds": seeds}, y, start, made)


def _networks(folder: Path, case: str, params: Path | None) -> tuple[Networks, Cell, int]:
    if params is not None:
        networks, cell, _ = load_params(params)
        steps = cell.training.iterations
    else:
        arrays, metadata = load_arrays(folder / "trained" / f"{case}.safetensors")
        networks, steps = Networks(**unflatten(arrays)), metadata["steps"]
        cell = Cell.from_json(metadata["cell"])
    if f"{cell.pair}-{cell.potential}" != case:
        raise InputError(f"{params or folder}: networks of {cell.name}, not of {case}")
    return jax.tree.map(jnp.asarray, networks), cell, steps


def _compare(problem: Any, solver: Any, arguments: Any, interpret: bool) -> dict[str, Any]:
    n = arguments[1].shape[-1]

    def plain(params: Networks, y: Any, start: Any) -> conjugate.ConjugateResult:
        return base.drive(solver, problem.oracle(params), y, start)

    def kernel(params: Networks, y: Any, start: Any) -> conjugate.ConjugateResult:
        whole = solving.kernel_of(solver, problem.oracle(params), n, interpret)
        if whole is None:
            raise SystemExit(f"no kernel for {solver} in R^{n}")
        return whole(y, start)

    expected, plain_times = _timed(jax.jit(plain), arguments, once=interpret)
    got, kernel_times = _timed(jax.jit(kernel), arguments, once=interpret)
    return compared(expected, got, solver.gradient_tolerance) | {
        "plain": plain_times,
        "kernel": kernel_times,
    }


def compared(expected: Any, got: Any, tolerance: float) -> dict[str, Any]:
    """Compare the kernel's result with the plain solver's.

    Returns:
        `same`: the share of points with the same status and counts; `largest_gap` in x, value and
        gradient norm; `ends`: how the points end each way; `differing`: of the points whose
        iterations differ, how many, and of some of them the iterations each way and by which part
        of the tolerance the way that stopped first was below it (a negative one stopped for
        another reason); `decrease`: of J by a step from a gradient as large as the tolerance,
        where J has curvature 1, and the least that J's type resolves.
    """
    same = {name: float(np.mean(getattr(got, name) == getattr(expected, name))) for name in COUNTS}
    gaps = {
        name: float(np.max(np.abs(getattr(got, name) - getattr(expected, name))))
        for name in ("x", "value", "gradient_norm")
    }
    return {
        "points": int(expected.status.size),
        "same": same,
        "largest_gap": gaps,
        "mean_gap": {"value": float(np.mean(got.value - expected.value, dtype=np.float64))},
        "iterations_mean": float(expected.iterations.mean()),
        "iterations_most": int(expected.iterations.max()),
        "evaluations_mean": float(expected.evaluations.mean()),
        "statuses": np.bincount(expected.status.ravel(), minlength=len(Status)).tolist(),
        "ends": {"plain": _ends(expected), "kernel": _ends(got)},
        "differing": _differing(expected, got, tolerance),
        "decrease": {
            "at_tolerance": 0.5 * tolerance**2,
            "resolved": float(np.finfo(expected.value.dtype).eps * np.median(abs(expected.value))),
        },
    }


def agrees(found: dict[str, Any], exactly: bool) -> bool:
    """Whether a kernel agrees with the plain solver, rounding aside.

    In float64 (`exactly`) statuses and iterations are the same at every point. In float32 they are
    at all but `ROUNDING` of the points. Where the steps near the tolerance change J by less than
    float32 resolves, rounding decides how a search goes; there as many points converge, and their
    gradients are as small.
    """
    least = min(found["same"][name] for name in ("status", "iterations"))
    if exactly:
        return least == 1
    decrease = found["decrease"]
    if least >= 1 - ROUNDING or decrease["at_tolerance"] > RESOLVED * decrease["resolved"]:
        return least >= 1 - ROUNDING
    plain, kernel = found["ends"]["plain"], found["ends"]["kernel"]
    return abs(plain["converged"] - kernel["converged"]) <= CONVERGED and all(
        abs(kernel[name] / plain[name] - 1) <= most for name, most in NORMS.items()
    )


def _ends(result: Any) -> dict[str, float]:
    norms = result.gradient_norm
    return {
        "converged": float(np.mean(result.status == Status.CONVERGED)),
        "gradient_norm_median": float(np.median(norms)),
        "gradient_norm_p99": float(np.quantile(norms, 0.99)),
        "gradient_norm_max": float(np.max(norms)),
        "iterations_mean": float(result.iterations.mean()),
    }


def _differing(expected: Any, got: Any, tolerance: float) -> dict[str, Any]:
    there = expected.iterations != got.iterations
    a, b = expected.iterations[there], got.iterations[there]
    first = np.where(a < b, expected.gradient_norm[there], got.gradient_norm[there])
    below = 1.0 - first.astype(np.float64) / tolerance
    order = np.argsort(-np.abs(below))[:SHOWN]
    return {
        "points": int(there.sum()),
        "below_tolerance_median": float(np.median(below)) if below.size else None,
        "some": [[int(a[i]), int(b[i]), float(f"{below[i]:.3g}")] for i in order],
    }


def _timed(
    call: Callable[..., conjugate.ConjugateResult], arguments: Any, once: bool
) -> tuple[conjugate.ConjugateResult, dict[str, float]]:
    """Call it; unless `once`, again for a second, and return the median."""
    began = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    times = {"first_call_s": round(time.perf_counter() - began, 2)}
    if not once:
        again = []
        while len(again) < 11 and sum(again) < 1.0:
            began = time.perf_counter()
            jax.block_until_ready(call(*arguments))
            again.append(time.perf_counter() - began)
        times["median_us"] = round(1e6 * float(np.median(again)), 1)
    return jax.tree.map(np.asarray, result), times

"""What `scripts/gpu_check.sh` runs on a machine with a GPU, and what is prepared elsewhere.

    python -m benchmarks.gpu_check prepare FOLDER     where the benchmark's weights are
    python -m benchmarks.gpu_check device              what it runs on
    python -m benchmarks.gpu_check equality FOLDER hd16-mlp    a kernel against the plain solver
    python -m benchmarks.gpu_check speed FOLDER CELL   milliseconds a step

The folder has records of cells (cells/NAME.json), prepared measures (measures/hdN.safetensors) and
networks trained for some steps (trained/hdN-POTENTIAL.safetensors). Each command prints one line of
JSON. `equality` ends with code 1 where statuses or counts of iterations of more than `ROUNDING` of
the points differ: in float32 a point can be a rounding away from the tolerance. With --interpret
--float64 none differs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import backend, conjugate, measures, rng
from w2dual.backend import configure
from w2dual.config.cells import Cell
from w2dual.conjugate import base, solving
from w2dual.measures.benchmark import push_kernel
from w2dual.records import json_argument, load_arrays, save_arrays, write_json
from w2dual.training import kernels
from w2dual.training.files import flatten, unflatten
from w2dual.training.loop import compile_loop
from w2dual.training.methods.dual import DualProblem, Networks
from w2dual.training.methods.dual import make as make_problem
from w2dual.training.pretraining import fresh_params, initial_params

EQUALITY_DIMENSIONS = (2, 16, 64)
TRAINED_SEEDS = 2
OWN_KERNELS: dict[str, Any] = {"networks": kernels, "truth": push_kernel}
"""Of a step but the solver's; each has a `LARGEST_WIDTH`."""
ROUNDING = 1e-3
"""Share of the points whose counts a rounding may change."""


def prepare(
    folder: Path, seeds: int, dimensions: list[int], equality: list[int], steps: int
) -> None:
    """Write records of all cells of these dimensions, their measures, and trained networks."""
    from w2dual.config.grid import hd_grid
    from w2dual.config.reader import read
    from w2dual.measures.preparation import prepare as prepare_pair

    settings = read([Path("config.yaml")])
    settings["hd"] |= {"seeds": list(range(seeds)), "dimensions": dimensions}
    grid = hd_grid(settings)
    for cell in grid:
        write_json(folder / "cells" / f"{cell.name}.json", cell.to_json())
    (folder / "measures").mkdir(parents=True, exist_ok=True)
    for n in dimensions:
        if not (path := folder / "measures" / f"hd{n}.safetensors").exists():
            prepare_pair(f"hd{n}", settings["measures"]["benchmark"], path)
    for n in equality:
        for potential in settings["hd"]["potentials"]:
            path = folder / "trained" / f"hd{n}-{potential}.safetensors"
            if not path.exists():
                _train(folder, f"hd{n}-{potential}-regression-lbfgs", steps, path)


def _train(folder: Path, name: str, steps: int, out: Path) -> None:
    cell, problem, pair = _cell(folder, name, seeds=list(range(TRAINED_SEEDS)), pretraining=1000)
    state = problem.init(initial_params(problem, cell)[0])
    seeds, batch = cell.seeds, cell.training.batch_size
    state, _ = compile_loop(problem, seeds, batch, state, pair)(state, steps)
    out.parent.mkdir(exist_ok=True)
    save_arrays(out, flatten(state.params), {"steps": steps, "cell": cell.to_json()})


def _cell(
    folder: Path, name: str, seeds: list[int] | None = None, pretraining: int | None = None
) -> tuple[Cell, DualProblem, Any]:
    record = json_argument(str(folder / "cells" / f"{name}.json"))
    record.pop("hash", None)
    if seeds is not None:
        record["settings"]["seeds"] = seeds
    if pretraining is not None:
        record["settings"]["pretraining"] |= {"iterations": pretraining, "min_iterations": 1}
    cell = Cell.from_json(record)
    pair = measures.load(folder / "measures" / f"{cell.pair}.safetensors")
    return cell, make_problem(cell.settings, cell.dimension), pair


def device() -> dict[str, Any]:
    """Return what it runs on."""
    first = jax.devices()[0]
    return {
        "platform": first.platform,
        "device": first.device_kind,
        "jax": jax.__version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "sum": float(jnp.sum(jnp.ones((64, 64)) @ jnp.ones((64, 64)))),
    }


def equality(
    folder: Path, case: str, points: int, interpret: bool, float64: bool
) -> dict[str, Any]:
    """Compare the kernels of both solvers with the plain solver on trained networks."""
    arrays, _ = load_arrays(folder / "trained" / f"{case}.safetensors")
    params: Networks = Networks(**jax.tree.map(jnp.asarray, unflatten(arrays)))
    found: dict[str, Any] = {"case": case, "device": jax.devices()[0].device_kind}
    for kind in ("lbfgs", "adam"):
        _, problem, pair = _cell(folder, f"{case}-regression-{kind}")
        streams = [rng.stream(seed, "kernel equality") for seed in range(TRAINED_SEEDS)]
        y = jnp.stack([pair.sample_target(key, points // TRAINED_SEEDS) for key in streams])
        start = jax.jit(problem.amortized)(params, y)
        with jax.enable_x64(float64):
            wide = jnp.float64 if float64 else jnp.float32
            wider = partial(jax.tree.map, partial(jnp.asarray, dtype=wide))
            found[kind] = _compare(problem, wider(params), wider(y), wider(start), interpret)
    return found


def _compare(
    problem: DualProblem, params: Networks, y: Any, start: Any, interpret: bool
) -> dict[str, Any]:
    solver, n = problem.solver, y.shape[-1]

    def plain(params: Networks, y: Any, start: Any) -> conjugate.ConjugateResult:
        return base.solve(solver, problem.oracle(params), y, start)

    def kernel(params: Networks, y: Any, start: Any) -> conjugate.ConjugateResult:
        whole = solving.kernel_of(solver, problem.oracle(params), n, interpret)
        if whole is None:
            raise SystemExit(f"no kernel for {solver} in R^{n}")
        return whole(y, start)

    expected, plain_times = _timed(jax.jit(plain), params, y, start)
    got, kernel_times = _timed(jax.jit(kernel), params, y, start)
    same = {
        name: float(np.mean(getattr(got, name) == getattr(expected, name)))
        for name in ("status", "iterations", "evaluations")
    }
    gaps = {
        name: float(np.max(np.abs(getattr(got, name) - getattr(expected, name))))
        for name in ("x", "value", "gradient_norm")
    }
    return {
        "points": int(expected.status.size),
        "same": same,
        "largest_gap": gaps,
        "iterations_mean": float(expected.iterations.mean()),
        "iterations_most": int(expected.iterations.max()),
        "statuses": np.bincount(expected.status.ravel(), minlength=6).tolist(),
        "plain": plain_times,
        "kernel": kernel_times,
    }


def _timed(
    call: Callable[..., conjugate.ConjugateResult], *arguments: Any
) -> tuple[conjugate.ConjugateResult, dict[str, float]]:
    began = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    first = time.perf_counter() - began
    times = []
    while len(times) < 11 and sum(times) < 1.0:
        began = time.perf_counter()
        jax.block_until_ready(call(*arguments))
        times.append(time.perf_counter() - began)
    result = jax.tree.map(np.asarray, result)
    return result, {"first_call_s": round(first, 2), "median_us": round(1e6 * np.median(times), 1)}


def speed(
    folder: Path, name: str, warm_up: int, steps: int, precision: str, xla: list[str]
) -> dict[str, Any]:
    """Time steps of training after `warm_up`, begun as `train` does."""
    backend.PRODUCTS_GPU = precision
    for part in xla:
        OWN_KERNELS[part].LARGEST_WIDTH = 0
    began = time.perf_counter()
    cell, problem, pair = _cell(folder, name, pretraining=1000)
    seeds, batch = cell.seeds, cell.training.batch_size
    like = jax.eval_shape(lambda: problem.init(fresh_params(problem, cell, lambda f: f)))
    with ThreadPoolExecutor(1) as beside:
        compiling = beside.submit(compile_loop, problem, seeds, batch, like, pair)
        state = problem.init(initial_params(problem, cell)[0])
        pretrained = time.perf_counter()
        run = compiling.result()
    compiled = time.perf_counter()
    state, _ = jax.block_until_ready(run(state, warm_up))
    times, iterations = [], 0.0
    for _ in range(3):
        start = time.perf_counter()
        state, chunk = jax.block_until_ready(run(state, steps))
        times.append(time.perf_counter() - start)
        iterations = float(jnp.mean(chunk.means.conjugate_iterations))
    return {
        "cell": name,
        "precision": precision,
        "xla": xla,
        "device": jax.devices()[0].device_kind,
        "seeds": len(seeds),
        "ms_per_step": [round(1e3 * seconds / steps, 4) for seconds in times],
        "iterations_mean": iterations,
        "after_steps": warm_up + 3 * steps,
        "initial_s": round(pretrained - began, 1),
        "compile_s": round(compiled - pretrained, 1),
    }


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("prepare")
    one.add_argument("folder", type=Path)
    one.add_argument("--seeds", type=int, default=10)
    one.add_argument("--dimensions", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64, 128])
    one.add_argument("--equality", type=int, nargs="*", default=list(EQUALITY_DIMENSIONS))
    one.add_argument("--steps", type=int, default=300, help="of the trained networks")
    commands.add_parser("device")
    one = commands.add_parser("equality")
    one.add_argument("folder", type=Path)
    one.add_argument("case", help="for example hd16-mlp")
    one.add_argument("--points", type=int, default=10_240)
    one.add_argument("--interpret", action="store_true", help="by JAX's interpreter, on a CPU")
    one.add_argument("--float64", action="store_true", help="with --interpret alone")
    one = commands.add_parser("speed")
    one.add_argument("folder", type=Path)
    one.add_argument("name", metavar="CELL")
    one.add_argument("--warm-up", type=int, default=700)
    one.add_argument("--steps", type=int, default=200)
    one.add_argument(
        "--precision",
        default=backend.PRODUCTS_GPU,
        help="of products outside our kernels: highest or TF32_TF32_F32_X3",
    )
    one.add_argument(
        "--xla",
        nargs="*",
        default=[],
        choices=list(OWN_KERNELS),
        help="leave the networks and their gradients, or T*, to XLA in place of a kernel",
    )
    args = vars(parser.parse_args())
    command = args.pop("command")
    configure()
    if command == "prepare":
        prepare(**args)
        return 0
    found = {"device": device, "equality": equality, "speed": speed}[command](**args)
    os.write(sys.stdout.fileno(), (json.dumps(found) + "\n").encode())
    if command != "equality":
        return 0
    both = [found[kind]["same"] for kind in ("lbfgs", "adam")]
    allowed = 0 if args["float64"] else ROUNDING
    least = min(same[name] for same in both for name in ("status", "iterations"))
    return 0 if least >= 1 - allowed else 1


if __name__ == "__main__":
    sys.exit(main())

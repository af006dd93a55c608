"""What `scripts/gpu_check.sh` runs on a machine with a GPU, and what is prepared elsewhere.

    python -m benchmarks.gpu_check prepare FOLDER     where the benchmark's weights are
    python -m benchmarks.gpu_check device              what it runs on
    python -m benchmarks.gpu_check equality FOLDER hd16-mlp    kernels against the plain solver
    python -m benchmarks.gpu_check step FOLDER CELL   a step's form there against the plain form
    python -m benchmarks.gpu_check speed FOLDER CELL   milliseconds a step
    python -m benchmarks.gpu_check stages FOLDER hd128-mlp     what ways to share lanes cost

The folder has records of cells (cells/NAME.json), the config's solvers (solvers.json), prepared
measures (measures/PAIR.safetensors) and networks trained for some steps
(trained/PAIR-POTENTIAL.safetensors). Each command prints one line of JSON. `equality` ends with
code 1 where more points differ than rounding explains: see `agrees`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.gpu_equality import agrees, equality
from benchmarks.gpu_stages import stages
from w2dual import backend, measures
from w2dual.backend import configure
from w2dual.config.cells import Cell
from w2dual.records import InputError, json_argument, load_arrays, save_arrays, write_json
from w2dual.training import kernels
from w2dual.training.files import flatten, unflatten
from w2dual.training.loop import compile_loop
from w2dual.training.methods.dual import DualProblem, Networks
from w2dual.training.methods.dual import make as make_problem
from w2dual.training.pretraining import fresh_params, initial_params

EQUALITY_DIMENSIONS = (2, 16, 64)
EQUALITY_METHOD = ("regression", "lbfgs")
TRAINED_SEEDS, TRAINED_BATCH = 2, 1024
PRETRAINING = 1000
"""Steps of pre-training before anything that is timed or compared."""


def prepare(
    folder: Path,
    seeds: int,
    dimensions: list[int],
    equality: list[int],
    plane: list[str],
    steps: int,
) -> None:
    """Write records of all cells of these dimensions, their measures, and trained networks.

    Args:
        folder: to write to.
        seeds: of each cell.
        dimensions: of the benchmark's cells.
        equality: dimensions whose networks are trained, for `equality`.
        plane: pairs on the plane whose networks are trained too.
        steps: of that training.
    """
    from w2dual.config.grid import cells_in
    from w2dual.config.reader import pairs, read
    from w2dual.measures.preparation import prepare as prepare_pair

    settings = read([Path("config.yaml")])
    settings["hd"] |= {"seeds": list(range(seeds)), "dimensions": dimensions}
    on_plane = [cell for cell in cells_in("synthetic", settings) if cell.pair in plane]
    if missing := set(plane) - {cell.pair for cell in on_plane}:
        raise InputError(f"no cells on the plane of the pair(s) {', '.join(sorted(missing))}")
    hd = cells_in("hd", settings)
    for cell in hd + on_plane:
        write_json(folder / "cells" / f"{cell.name}.json", cell.to_json())
    write_json(folder / "solvers.json", settings["solvers"])
    (folder / "measures").mkdir(parents=True, exist_ok=True)
    for pair in {cell.pair: None for cell in hd + on_plane}:
        if not (path := folder / "measures" / f"{pair}.safetensors").exists():
            prepare_pair(pair, pairs(settings)[pair], path)
    wanted = [
        cell
        for cell in hd
        if cell.dimension in equality and (cell.amortization, cell.solver) == EQUALITY_METHOD
    ]
    for cell in wanted + on_plane:
        path = folder / "trained" / f"{cell.pair}-{cell.potential}.safetensors"
        if not path.exists():
            _train(folder, cell.name, steps, path)


def _train(folder: Path, name: str, steps: int, out: Path) -> None:
    """Train networks for some steps; on the plane with the benchmark's batch, as long as theirs."""
    cell, problem, pair = _cell(
        folder, name, seeds=list(range(TRAINED_SEEDS)), pretraining=PRETRAINING
    )
    state = problem.init(initial_params(problem, cell)[0])
    batch = min(cell.training.batch_size, TRAINED_BATCH)
    state, _ = compile_loop(problem, cell.seeds, batch, state, pair)(state, steps)
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


def speed(
    folder: Path, name: str, warm_up: int, steps: int, precision: str, xla: bool
) -> dict[str, Any]:
    """Time steps of training after `warm_up`, begun as `train` does."""
    backend.PRODUCTS_GPU = precision
    if xla:
        kernels.LARGEST_WIDTH = 0
    began = time.perf_counter()
    cell, problem, pair = _cell(folder, name, pretraining=PRETRAINING)
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
        "warm_up_steps": warm_up,
        "measured_on": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "initial_s": round(pretrained - began, 1),
        "compile_s": round(compiled - pretrained, 1),
    }


def step(folder: Path, name: str) -> dict[str, Any]:
    """Compare a step in the form of a GPU with the plain form, from trained networks."""
    cell, problem, pair = _cell(folder, name, seeds=list(range(TRAINED_SEEDS)))
    path = folder / "trained" / f"{cell.pair}-{cell.potential}.safetensors"
    params = Networks(**unflatten(load_arrays(path)[0]))

    def taken(few: bool) -> tuple[Any, Any]:
        """Return half of the gradient, which Adam's first moments are, and the metrics."""
        with mock.patch.object(backend, "few_launches", return_value=few):
            state = problem.init(jax.tree.map(jnp.array, params))
            run = compile_loop(problem, cell.seeds, cell.training.batch_size, state, pair)
            state, chunk = run(state, 1)
        moments = [optax.tree_utils.tree_get(part, "mu") for part in state.optimizer]
        return np.concatenate(moments, axis=1), chunk.means._asdict()

    (got, means), (expected, plain_means) = taken(True), taken(False)
    gap = np.linalg.norm(got - expected, axis=1) / np.linalg.norm(expected, axis=1)
    return {
        "cell": name,
        "device": jax.devices()[0].device_kind,
        "relative_gap_of_gradient": [float(f"{one:.3g}") for one in gap],
        "means": {key: np.asarray(mean).tolist() for key, mean in means.items()},
        "plain_means": {key: np.asarray(mean).tolist() for key, mean in plain_means.items()},
    }


STEP_GAP = 1e-3
"""Relative, of a gradient: rounding, where points within a rounding of the tolerance differ."""


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("prepare")
    one.add_argument("folder", type=Path)
    one.add_argument("--seeds", type=int, default=10)
    one.add_argument("--dimensions", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64, 128])
    one.add_argument("--equality", type=int, nargs="*", default=list(EQUALITY_DIMENSIONS))
    one.add_argument("--plane", nargs="*", default=[], metavar="PAIR")
    one.add_argument("--steps", type=int, default=300, help="of the trained networks")
    commands.add_parser("device")
    one = commands.add_parser("equality")
    one.add_argument("folder", type=Path)
    one.add_argument("case", help="for example hd16-mlp")
    one.add_argument("--points", type=int, default=10_240)
    one.add_argument("--solvers", nargs="+", default=["lbfgs", "adam"], help="of the config's")
    one.add_argument("--params", type=Path, help="networks of a trained cell, params.safetensors")
    one.add_argument("--interpret", action="store_true", help="by JAX's interpreter, on a CPU")
    one.add_argument("--float64", action="store_true", help="with --interpret alone")
    one = commands.add_parser("step")
    one.add_argument("folder", type=Path)
    one.add_argument("name", metavar="CELL")
    one = commands.add_parser("stages")
    one.add_argument("folder", type=Path)
    one.add_argument("case", help="for example hd128-mlp")
    one.add_argument("--solvers", nargs="+", default=["lbfgs", "adam"], help="of the config's")
    one.add_argument("--params", type=Path, help="networks of a trained cell, params.safetensors")
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
        action="store_true",
        help="leave networks and their gradients to XLA, in place of a kernel each",
    )
    args = vars(parser.parse_args())
    command = args.pop("command")
    configure()
    if command == "prepare":
        prepare(**args)
        return 0
    chosen = {
        "device": device,
        "equality": equality,
        "stages": stages,
        "step": step,
        "speed": speed,
    }
    found = chosen[command](**args)
    os.write(sys.stdout.fileno(), (json.dumps(found) + "\n").encode())
    if command == "step":
        return 0 if max(found["relative_gap_of_gradient"]) <= STEP_GAP else 1
    if command != "equality":
        return 0
    return 0 if all(agrees(found[name], args["float64"]) for name in args["solvers"]) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What a start is worth: zeros, Gaussian and predicted potentials, by several solvers.

On pairs of measures that were not trained on, the same for all: after how many iterations and
kernel products each tolerance of the marginals' error is met; the error iteration by iteration; and
seconds of this device, a solver's and a start's apart. All in float64, but for the networks.

# DIFFERS: the published prediction time is that of a program from which XLA had dropped the network
(`run_meta_pred` returns a constant). Here it ends when the potential is there.
"""

from __future__ import annotations

import csv
import datetime
import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from w2dual import measures, provenance, rng
from w2dual.backend import jit
from w2dual.decoding import decode
from w2dual.entropic import geometry, lbfgs, newton, sinkhorn, starts
from w2dual.entropic.counts import Goal, Solution
from w2dual.entropic.geometry import Geometry
from w2dual.entropic.newton import Newton
from w2dual.entropic.sinkhorn import Relaxation
from w2dual.measures.discrete.support import Support
from w2dual.records import (
    InputError,
    file_sha256,
    load_arrays,
    read_json,
    save_arrays,
    write_text,
)
from w2dual.seeds import place_of
from w2dual.studies import meta_pictures
from w2dual.training import methods
from w2dual.training.files import load_params
from w2dual.training.methods.meta_dual import MetaDual

log = logging.getLogger(__name__)

FORMAT = 2
"""Of the file of traces."""
ZEROS, GAUSSIAN = "zeros", "gaussian"
COLUMNS = ("start", "finetuner", "every", "tolerance", "seed", "instance", "iterations", "products")
"""Of the file of counts; -1 stands for a tolerance that was not met."""


@dataclass(frozen=True)
class Settings:
    """Of the job.

    Attributes:
        task: name of the pair.
        pairs: of measures, drawn from those held out.
        shown: the first of them, whose errors are followed and which are timed.
        seed: of the stream that they are drawn from.
        tolerances: of the marginals' error.
        check_every: iterations between two looks at it.
        max_iterations: of a solver, by its name; what is left out is not run.
        traced: iterations whose error is kept.
        finetuners: settings of the solvers, by name.
    """

    task: str
    pairs: int
    shown: int
    seed: int
    tolerances: tuple[float, ...]
    check_every: tuple[int, ...]
    max_iterations: Mapping[str, int]
    traced: int
    finetuners: Mapping[str, Any]


class Instances(NamedTuple):
    """Pairs of measures: weights, float64."""

    a: Float[Array, "pairs n_a"]
    b: Float[Array, "pairs n_b"]


class Start(NamedTuple):
    """Where solvers start.

    Attributes:
        name: `zeros`, `gaussian`, or the method that trained the network.
        seed: of the network; -1 without one.
        u: potentials over epsilon.
        one: computes that of one instance, for its time; None for what costs nothing.
    """

    name: str
    seed: int
    u: Float[Array, "pairs n_a"]
    one: Callable[[Any, Any], Any] | None


Solve = Callable[..., Solution]
"""From a geometry, weights, a start and a `Goal`."""


class Solver(NamedTuple):
    """A solver, compiled once for all starts.

    Attributes:
        one: of one instance.
        all_: of all instances.
    """

    one: Solve
    all_: Solve


def run(
    pair_path: Path,
    params: Sequence[Path],
    metrics: Sequence[Path],
    settings: Mapping[str, Any],
    counts_path: Path,
    traces_path: Path,
) -> None:
    """Run the study of one task, and write its files.

    Args:
        pair_path: the prepared pair.
        params: params.safetensors of the task's cells.
        metrics: their metrics.json, in the same order.
        settings: as `Settings`.
        counts_path: .csv to write, a line for each count.
        traces_path: .safetensors to write: errors, times and what figures draw.

    Raises:
        InputError: a file or a setting cannot be used, or files are not of one cell.
    """
    began = _now()
    own = decode(Settings, settings, "settings")
    if not 0 < own.shown <= own.pairs:
        raise InputError(f"settings: `shown` is {own.shown}; expected 1 to `pairs`, {own.pairs}")
    pair: Any = measures.load(pair_path)
    instances = _drawn(pair, own)
    atoms = instances.a.shape[1] + instances.b.shape[1]
    for tolerance in own.tolerances:
        geometry.check_tolerance(tolerance, np.float64, atoms)
    of_networks = networks(metrics)
    found = list(_starts(pair, params, metrics, pair_path, instances))
    with jax.enable_x64(True):
        kernel = geometry.make(pair.support)
        doubles = Instances(*(jnp.asarray(np.asarray(item, np.float64)) for item in instances))
        doubles = Instances(*(item / jnp.sum(item, axis=1, keepdims=True) for item in doubles))
        begin = [*_plain(pair.support, doubles), *(_double(start) for start in found)]
        rows, times = [], []
        solvers = _solvers(own, doubles)
        for start in begin:
            for name, solve in solvers.items():
                log.info("%s: %s from %s", own.task, name, start.name)
                solution = solve.all_(kernel, *doubles, start.u, _goal(own, name))
                rows += list(_rows(own, start, name, solution))
                times.append(_timed(own, kernel, doubles, start, name, solve.one))
        arrays = _errors(own, kernel, doubles, begin)
        # The last prediction is drawn; where there is none, a solution from the Gaussian start.
        arrays |= meta_pictures.arrays(
            own.shown, pair, kernel, *doubles, begin[-1].u, predicted=bool(found)
        )
    _, prepared = load_arrays(pair_path)
    metadata = {
        "format": FORMAT,
        "settings": dict(settings),
        "preset": read_json(metrics[0])["preset"] if metrics else None,
        "data": {key: prepared.get(key) for key in ("source", "label", "files")},
        "networks": of_networks,
        "drawn": {"start": found[-1].name, "seed": found[-1].seed} if found else None,
        "times": times,
        "provenance": provenance.gather(began, _now()),
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *rows])
    write_text(counts_path, text.getvalue())
    save_arrays(traces_path, arrays, metadata)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def networks(metrics: Sequence[Path]) -> dict[str, dict[str, list[int]]]:
    """Return the seeds of each cell, and those of them that diverged, by the cell's method.

    Raises:
        InputError: two cells are of the same method, whose counts nothing would tell apart.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for path in metrics:
        record = read_json(path)
        method = record["cell"]["amortization"]
        if method in found:
            raise InputError(f"{path}: is the second cell of the method `{method}`; expected one")
        found[method] = {
            "seeds": [entry["seed"] for entry in record["seeds"]],
            "diverged": [e["seed"] for e in record["seeds"] if e["status"] == "diverged"],
        }
    return found


def _drawn(pair: Any, settings: Settings) -> Instances:
    key = rng.stream(settings.seed, "meta sinkhorn study")
    fresh = pair.held_out()
    return Instances(
        fresh.sample_source(rng.at(key, 0), settings.pairs),
        fresh.sample_target(rng.at(key, 1), settings.pairs),
    )


def _starts(
    pair: Any,
    params: Sequence[Path],
    metrics: Sequence[Path],
    pair_path: Path,
    instances: Instances,
) -> Iterator[Start]:
    """Predict by each seed of each cell that has not diverged; networks are float32."""
    sha256 = file_sha256(pair_path)
    for weights, measured in zip(params, metrics, strict=True):
        tree, cell, seeds = load_params(weights)
        record = read_json(measured)
        if record["cell"]["hash"] != cell.hash:
            raise InputError(f"{measured} is of another cell than {weights}: {cell.name}")
        if record["measures"]["sha256"] != sha256:
            raise InputError(f"{weights} was trained on other measures than {pair_path}")
        method = methods.make(cell.settings, cell.dimension)
        if not isinstance(method, MetaDual):
            raise InputError(f"{weights}: is of no method that predicts dual potentials")
        predict = jit(method.predict)
        for entry in record["seeds"]:
            if entry["status"] == "diverged":
                log.warning("%s: seed %d diverged, and predicts nothing", cell.name, entry["seed"])
                continue
            place = place_of(entry["seed"], seeds, weights, measured)
            one: Any = jax.tree.map(lambda leaf, place=place: jnp.asarray(leaf[place]), tree)

            def of_one(a: Array, b: Array, one: Any = one, predict: Any = predict) -> Array:
                return predict(one, pair.support, a[None], b[None])[0]

            u = predict(one, pair.support, *instances)
            yield Start(cell.amortization, entry["seed"], u, of_one)


def _plain(support: Support, instances: Instances) -> Iterator[Start]:
    """Return the starts that need no network."""
    yield Start(ZEROS, -1, starts.zeros(instances.a), None)
    of_one = jit(lambda a, b: starts.gaussian(support, a, b))
    u = jit(jax.vmap(lambda a, b: starts.gaussian(support, a, b)))(*instances)
    yield Start(GAUSSIAN, -1, u, of_one)


def _double(start: Start) -> Start:
    return start._replace(u=jnp.asarray(np.asarray(start.u, np.float64)))


def _solvers(settings: Settings, instances: Instances) -> dict[str, Solver]:
    """Return the solvers that are run, by the name of their settings."""
    most = max(int(jnp.max(jnp.sum(weights > 0, axis=1))) for weights in instances)

    def of(name: str, given: Mapping[str, Any]) -> Solve:
        kind, own = given["kind"], {key: value for key, value in given.items() if key != "kind"}
        where = f"finetuners.{name}"
        if kind == "sinkhorn":
            relaxation = decode(Relaxation, own, "settings", where)
            return partial(sinkhorn.solve, relaxation=relaxation)
        if kind == "newton":
            second = decode(Newton, own, "settings", where)
            return partial(newton.solve_on_support, settings=second, most=most)
        if kind == "lbfgs":
            first = lbfgs.make(own["solver"])
            return partial(lbfgs.solve, solver=first)
        raise InputError(
            f"settings: `{where}.kind` is {kind!r}; expected sinkhorn, newton or lbfgs"
        )

    wanted = settings.max_iterations
    found = {name: of(name, given) for name, given in settings.finetuners.items() if name in wanted}
    return {
        name: Solver(jit(solve, static_argnums=4), _mapped(solve)) for name, solve in found.items()
    }


def _goal(settings: Settings, name: str) -> Goal:
    return Goal.of(settings.tolerances, settings.check_every, settings.max_iterations[name])


def _mapped(solve: Solve) -> Solve:
    """Return what solves all instances: on a CPU one after another, so that none waits."""

    def of_all(kernel: Geometry, a: Array, b: Array, u: Array, goal: Goal) -> Solution:
        def one(instance: tuple[Array, Array, Array]) -> Solution:
            return solve(kernel, *instance, goal)

        if jax.default_backend() == "cpu":
            return jax.lax.map(one, (a, b, u))
        return jax.vmap(one)((a, b, u))

    return jit(of_all, static_argnums=4)


def _rows(
    settings: Settings, start: Start, name: str, solution: Solution
) -> Iterator[tuple[Any, ...]]:
    goal = _goal(settings, name)
    iterations, products = (np.asarray(item) for item in solution.counts)
    for instance in range(len(iterations)):
        for look, every in enumerate(goal.every):
            for place, tolerance in enumerate(goal.tolerances):
                where = (instance, look, place)
                yield (
                    *(start.name, name, every, tolerance, start.seed, instance),
                    *(int(iterations[where]), int(products[where])),
                )


def _timed(
    settings: Settings,
    kernel: Geometry,
    instances: Instances,
    start: Start,
    name: str,
    solve: Solve,
) -> dict[str, Any]:
    """Return milliseconds an iteration, and of the start, on instances one by one, warmed up."""
    tolerance = min(settings.tolerances)
    goal = Goal.of([tolerance], [1], settings.max_iterations[name])
    args = [tuple(item[i] for item in (*instances, start.u)) for i in range(settings.shown)]
    jax.block_until_ready(solve(kernel, *args[0], goal))
    iterations, began = 0, time.perf_counter()
    for instance in args:
        iterations += int(jax.block_until_ready(solve(kernel, *instance, goal)).iterations)
    solving_s = time.perf_counter() - began
    return {
        "start": start.name,
        "seed": start.seed,
        "finetuner": name,
        "iteration_ms": 1000 * solving_s / max(1, iterations),
        "start_ms": _start_ms(start, args),
    }


def _start_ms(start: Start, args: Sequence[tuple[Array, ...]]) -> float:
    if start.one is None:
        return 0.0
    single = start.seed >= 0  # a network is float32
    with jax.enable_x64(not single):
        dtype = np.float32 if single else np.float64
        pairs = [tuple(np.asarray(item, dtype) for item in instance[:2]) for instance in args]
        jax.block_until_ready(start.one(*pairs[0]))
        began = time.perf_counter()
        for pair in pairs:
            jax.block_until_ready(start.one(*pair))
        return 1000 * (time.perf_counter() - began) / len(pairs)


def _errors(
    settings: Settings, kernel: Geometry, instances: Instances, begin: Sequence[Start]
) -> dict[str, np.ndarray]:
    """Return the error of plain Sinkhorn by iteration, of a start's first seed that finished.

    The name of an array is `errors/` and the start's; its shape is [shown, traced].
    """

    def of_all(a: Array, b: Array, u: Array) -> Array:
        def one(instance: tuple[Array, Array, Array]) -> Array:
            return sinkhorn.errors(kernel, *instance, settings.traced, Relaxation())

        return jax.lax.map(one, (a, b, u))

    traced = jit(of_all)
    found: dict[str, np.ndarray] = {}
    for start in begin:
        first = (item[: settings.shown] for item in (*instances, start.u))
        found.setdefault(f"errors/{start.name}", np.asarray(traced(*first)))
    return found

"""Seconds per step of training, measured on the device at hand, for estimates.

A cell is trained as `train` would, with short pre-training: first some steps to warm up, then
blocks of steps that are timed one by one, each until its result is there.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import functools
import importlib.util
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import measures, provenance
from w2dual.backend import configure
from w2dual.cluster.costs import Cost, method_of, read_costs, update, write_costs
from w2dual.cluster.estimate import method
from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in
from w2dual.config.reader import Config, load, read
from w2dual.measures.base import FORMAT
from w2dual.measures.benchmark import icnn_dense
from w2dual.measures.benchmark.files import VERSIONS
from w2dual.measures.pairs import benchmark
from w2dual.measures.preparation import benchmark as prepare
from w2dual.records import InputError, short_hash
from w2dual.training import methods, pretraining
from w2dual.training.loop import compile_loop
from w2dual.training.methods import Method

log = logging.getLogger(__name__)

RANDOM_PAIR_SAMPLES = 16_384
MIN_BLOCKS = 5


class Effort(NamedTuple):
    """How many steps are spent on one cell."""

    pretraining_steps: int
    warm_up_steps: int
    block_steps: int
    blocks: int


class Start(NamedTuple):
    """Pre-trained networks, on the host, and what they took.

    Attributes:
        params: of all seeds.
        once_s: seconds that are paid once: compiling, and initialising.
        pretraining_s: seconds of `Effort.pretraining_steps` steps.
    """

    params: Any
    once_s: float
    pretraining_s: float


class Axes(NamedTuple):
    """Which cells are measured; None for what the config says.

    Attributes:
        dimensions: of the measures.
        potentials: names.
        methods: LOSS,SOLVER each.
        seeds: numbers of seeds.
        batch_size: of training.
    """

    dimensions: Sequence[int] | None = None
    potentials: Sequence[str] | None = None
    methods: Sequence[str] | None = None
    seeds: Sequence[int] | None = None
    batch_size: int | None = None


def time_cells(
    config_files: Sequence[str],
    axes: Axes,
    effort: Effort,
    out: Path,
    *,
    threads: int | None = None,
    folder: Path | None = None,
    only_missing: bool = False,
    commit: str | None = None,
    note: str = "",
) -> None:
    """Measure cell after cell; each is in the file as soon as it is done.

    Args:
        config_files: each merged over the ones before.
        axes: which cells.
        effort: steps spent on each.
        out: costs .csv to add to.
        threads: CPU threads; None for all cores.
        folder: of prepared pairs; None for pairs with random weights.
        only_missing: whether what `out` has already is kept.
        commit: of this code, where it is not a git checkout.
        note: words added to the source of each line.

    Raises:
        InputError: there are too few blocks, or the config, an axis or a file cannot be used.
    """
    if effort.blocks < MIN_BLOCKS:
        raise InputError(f"argument --blocks: {effort.blocks}; expected at least {MIN_BLOCKS}")
    config = _config(config_files)
    cells = cells_of(axes, config)
    costs = read_costs(out) if out.exists() else []
    configure(threads=threads)
    # What compiling takes is measured too.
    jax.config.update("jax_enable_compilation_cache", False)
    on_cpu = jax.default_backend() == "cpu"
    used = (threads or len(os.sched_getaffinity(0))) if on_cpu else 0
    device = provenance.device_name()
    log.info("%d cells on %s", len(cells), device)
    commit = commit or provenance.git_commit() or ""
    # Cells follow one another by pair and potential, so that the last of each is all to keep.
    pairs: dict[str, tuple[measures.Pair, str]] = {}
    starts: dict[str, Start] = {}
    for cell in cells:
        what = {
            "device": device,
            "kind": "cpu" if on_cpu else "gpu",
            "threads": used,
            **method_of(cell),
            "dimension": cell.dimension,
            "batch_size": cell.training.batch_size,
            "seeds": len(cell.seeds),
        }
        words = f"{cell.name}, {what['seeds']} seed(s), batch {what['batch_size']}"
        if only_missing and any(what.items() <= vars(cost).items() for cost in costs):
            log.info("%s: measured before", words)
            continue
        if cell.pair not in pairs:
            pairs = {cell.pair: _pair(cell, folder)}
        pair, source = pairs[cell.pair]
        same_start = _start_key(cell)
        if same_start not in starts:
            starts = {same_start: pretrain(cell, effort.pretraining_steps)}
        times = measure(cell, pair, starts[same_start], effort)
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        full = source + (f"; {note}" if note else "")
        new = Cost(**what, **times, measured_on=today, commit=commit, source=full)
        # Read again: another process may have added its own.
        costs = update(read_costs(out) if out.exists() else [], [new])
        write_costs(out, costs)
        log.info(
            "%s: %.4g ms/step (%.4g to %.4g), %.1f iterations, compiled in %.1f s",
            words,
            new.ms_per_step,
            new.ms_per_step_low,
            new.ms_per_step_high,
            new.iterations_mean,
            new.compile_s,
        )


def _config(paths: Sequence[str]) -> Config:
    if importlib.util.find_spec("jsonschema"):
        return load(paths)
    log.warning("the config is not checked: the package jsonschema is not installed")
    return read(paths)


def cells_of(axes: Axes, config: Config) -> list[Cell]:
    """Return the cells to measure, pair by pair."""
    config = copy.deepcopy(config)
    grid_axes = config["hd"]
    for name in axes.potentials or ():
        if name not in config["potentials"]:
            known = ", ".join(config["potentials"])
            raise InputError(f"argument --potentials: no `{name}`; there are {known}")
    if axes.methods:
        names = [method(text, config) for text in axes.methods]
        grid_axes["methods"] = [{"amortization": a, "solver": s} for a, s in names]
        grid_axes["more_methods"] = []
    grid_axes["potentials"] = axes.potentials or grid_axes["potentials"]
    grid_axes["dimensions"] = axes.dimensions or grid_axes["dimensions"]
    if axes.batch_size:
        grid_axes["training"]["batch_size"] = axes.batch_size
    cells = []
    for count in axes.seeds or [len(grid_axes["seeds"])]:
        grid_axes["seeds"] = list(range(count))
        cells += cells_in("hd", config)
    return sorted(cells, key=lambda cell: cell.dimension)


def _pair(cell: Cell, folder: Path | None) -> tuple[measures.Pair, str]:
    """Return the cell's pair of measures, and where it is from in words."""
    if folder is None:
        return random_pair(cell.dimension), (
            "training's first steps on a pair with random weights: the pair's cost is the "
            "benchmark's, the conjugate solver's iterations may differ"
        )
    path = folder / f"{cell.pair}.safetensors"
    pair = measures.load(path)
    if pair.dimension != cell.dimension:
        raise InputError(f"{path}: holds measures on R^{pair.dimension}, not R^{cell.dimension}")
    return pair, "training's first steps on the prepared pair"


def random_pair(dimension: int) -> benchmark.BenchmarkPair:
    """Make a pair of the benchmark's form, with random potentials in the trained ones' place."""
    potentials = [
        icnn_dense.convexify(icnn_dense.init(jax.random.key(seed), dimension)) for seed in (1, 2)
    ]
    arrays = benchmark.source_arrays(dimension)
    arrays |= prepare.fix_constants(potentials, arrays, RANDOM_PAIR_SAMPLES, seed=0)
    for version, potential in zip(VERSIONS, potentials, strict=True):
        arrays |= icnn_dense.to_arrays(potential, version)
    return benchmark.from_arrays(
        arrays, {"format": FORMAT, "kind": benchmark.KIND, "dimension": dimension}
    )


def _start_key(cell: Cell) -> str:
    """Name what a cell's pre-trained networks depend on; methods share it."""
    settings = cell.settings
    has_model = settings.get("amortization", {}).get("kind") != "none"
    names = ("method", "potential", "amortization_model", "seeds", "pretraining")
    parts = [settings.get(name) for name in names] + [cell.training.batch_size]
    return short_hash([cell.dimension, has_model, *parts])


def measure(cell: Cell, pair: measures.Pair, start: Start, effort: Effort) -> dict[str, Any]:
    """Time the training of one cell, from its pre-trained networks.

    Returns:
        The columns of the costs file that are measured, by name.

    Raises:
        InputError: a seed diverged, so that what was timed is not training.
    """
    problem = methods.make(cell.settings, cell.dimension)
    # Copies, since the loop takes its state over, and other methods start from the same.
    state = problem.init(jax.tree.map(jnp.array, start.params))
    seeds, batch_size = cell.seeds, cell.training.batch_size
    began = time.perf_counter()
    run = compile_loop(problem, seeds, batch_size, state, pair, cell.training.shared_batches)
    compile_s = time.perf_counter() - began
    state, _ = run(state, effort.warm_up_steps)
    jax.block_until_ready(state)
    blocks, iterations = [], []
    for _ in range(effort.blocks):
        began = time.perf_counter()
        state, chunk = run(state, effort.block_steps)
        jax.block_until_ready(state)
        blocks.append(1000 * (time.perf_counter() - began) / effort.block_steps)
        iterations.append(float(np.mean(getattr(chunk.means, "conjugate_iterations", 0.0))))
    if (np.asarray(state.diverged_at) >= 0).any():
        raise InputError(f"{cell.name}: a seed diverged while it was measured; warm up for longer")
    return {
        "ms_per_step": float(np.median(blocks)),
        "ms_per_step_low": min(blocks),
        "ms_per_step_high": max(blocks),
        "compile_s": start.once_s + compile_s,
        "pretraining_s": start.pretraining_s,
        "pretraining_steps": effort.pretraining_steps,
        "iterations_mean": float(np.mean(iterations)),
        "steps_measured": effort.blocks * effort.block_steps,
        "warm_up_steps": effort.warm_up_steps,
    }


def pretrain(cell: Cell, steps: int) -> Start:
    """Pre-train for `steps`, and then again for three times as many, which gives the networks.

    The line through both times, less compiling, tells what a step takes from what is paid once.
    """
    problem = methods.make(cell.settings, cell.dimension)
    short, compile_s, _ = _timed_pretraining(problem, cell, steps)
    long, _, params = _timed_pretraining(problem, cell, 3 * steps)
    # Noise can hide the difference; then all that is not compiling counts as steps.
    each = (long - short) / 2 if long > short else long / 3
    return Start(jax.device_get(params), compile_s + max(short - each, 0.0), each)


def _timed_pretraining(problem: Method[Any], cell: Cell, steps: int) -> tuple[float, float, Any]:
    """Return seconds without and of compiling, and the parameters."""
    settings = copy.deepcopy(cell.settings)
    settings["pretraining"] |= {"iterations": steps, "min_iterations": steps}
    shortened = dataclasses.replace(cell, settings=settings)
    compiling = _compile_times()
    compiling.clear()
    began = time.perf_counter()
    # One network after the other: seconds of compiling are no more than those that pass.
    params, _ = pretraining.initial_params(problem, shortened, at_once=1)
    jax.block_until_ready(params)
    return time.perf_counter() - began - sum(compiling), sum(compiling), params


@functools.cache
def _compile_times() -> list[float]:
    """Return the list to which JAX adds the seconds of each compilation from now on.

    Compiling takes as long as thousands of pre-training steps, and its noise would drown them.
    """
    seconds: list[float] = []

    def note(event: str, duration_secs: float, **_: Any) -> None:
        if event.endswith(("/backend_compile_duration", "/jaxpr_to_mlir_module_duration")):
            seconds.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(note)
    return seconds

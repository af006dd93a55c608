"""The arithmetic and the traffic of a step of training, counted from the programs themselves.

    python -m benchmarks.gpu_count floor     to reference/gpu/floor.csv

XLA counts the operations of what is lowered for a CPU, before anything is optimised away and with
none hidden in a kernel. A step without the solver is sampling, T*, both networks' losses, gradients
and the optimiser; to it comes, for each evaluation that the solver asks for, value and gradient of
f at every point. Traffic is what has to pass however well a program is fused: the state of training
and the points, in and out once.
"""

from __future__ import annotations

import csv
import dataclasses
import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.gpu_programs import cells, program
from w2dual import conjugate
from w2dual.config.cells import Cell
from w2dual.records import atomic_path
from w2dual.training.methods import Given

GPU = Path(__file__).parents[1] / "reference" / "gpu"
TABLE = GPU / "floor.csv"
TARGET = GPU / "h100_sxm.txtpb"
TF32_FLOP_S = 494.7e12
"""Dense TF32 products a second on an H100 SXM (NVIDIA, H100 data sheet: 989 with sparsity)."""
SAMPLED = 128
"""Points that are sampled to be counted: few enough that no loop, whose turns are not known, is."""
TF32_TERMS = 3
"""Products of TF32 for one of full float32."""

log = logging.getLogger("gpu-count")


@dataclass(frozen=True)
class Floor:
    """Of a step of one cell, all seeds together.

    Attributes:
        cell: its name.
        n: dimension.
        step_gflop: without the solver.
        evaluation_gflop: of value and gradient of f at every point of the batch.
        step_mb: state of training, parameters of the measures and points, in and out once.
        turn_mb: state of the plain solver with a lane for each point, in and out once.
    """

    cell: str
    n: int
    step_gflop: float
    evaluation_gflop: float
    step_mb: float
    turn_mb: float


@dataclass(frozen=True)
class Card:
    """What a card can do at best.

    Attributes:
        float32: operations a second outside of tensor cores.
        bytes: of its memory, a second.
    """

    float32: float
    bytes: float

    @property
    def tensor(self) -> float:
        """Operations a second of products at float32's accuracy on tensor cores."""
        return TF32_FLOP_S / TF32_TERMS


def card() -> Card:
    """Read the H100's rates from the facts that XLA compiles for."""
    text = TARGET.read_text()

    def fact(name: str) -> float:
        return float(re.search(rf"\b{name}: ([0-9.]+)", text)[1])  # pyright: ignore[reportOptionalSubscript]

    units = fact("core_count") * fact("fpus_per_core")
    return Card(2 * units * 1e9 * fact("clock_rate_ghz"), fact("memory_bandwidth"))


def floor(cell: Cell) -> Floor:
    """Count one cell."""
    seeds, batch, n = len(cell.seeds), cell.training.batch_size, cell.dimension
    made = program(cell, without_solver=True)
    points = jax.ShapeDtypeStruct((seeds, batch, n), jnp.float32)
    solver = conjugate.make(cell.settings["solver"])

    def update(state: Any, x: Any, y: Any) -> Any:
        return made.method.update(state, Given(x, y))

    def sample(pair: Any) -> Any:
        key = jax.random.key(0)
        return pair.sample_source(key, SAMPLED), pair.sample_target(key, SAMPLED)

    def evaluate(params: Any, x: Any) -> Any:
        return made.method.oracle(params)(x)

    drawn = seeds * batch / SAMPLED * _flop(sample, made.pair)
    flop = _flop(update, made.state, points, points) + drawn
    evaluation = _flop(evaluate, made.state.params, points) if solver is not None else 0.0
    once = _bytes(made.state) + _bytes(made.pair) + 3 * _bytes(points)
    return Floor(cell.name, n, flop / 1e9, evaluation / 1e9, 2 * once / 1e6, turn_mb(cell))


def turn_mb(cell: Cell) -> float:
    """Return the traffic of a turn of the plain solver, MB."""
    solver = conjugate.make(cell.settings["solver"])
    if solver is None:
        return 0.0
    shape = (cell.dimension, len(cell.seeds), cell.training.batch_size)
    state = jax.eval_shape(solver.init, jax.ShapeDtypeStruct(shape, jnp.float32))
    return 2 * _bytes(state) / 1e6


def _flop(function: Any, *shapes: Any) -> float:
    cost = jax.jit(function).lower(*shapes).cost_analysis()
    return float(dict(cost or {})["flops"])


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def write() -> None:
    """Count all cells of the benchmark, and write the table.

    Cells that differ in the solver alone have the same step and evaluation.
    """
    counted: dict[Any, Floor] = {}
    rows = []
    for cell in cells().values():
        if not cell.name.startswith("hd"):
            continue
        alike = (cell.dimension, cell.potential, cell.amortization, cell.solver == "none")
        if alike not in counted:
            counted[alike] = floor(cell)
            log.info("%s", counted[alike])
        rows.append(dataclasses.replace(counted[alike], cell=cell.name, turn_mb=turn_mb(cell)))
    with atomic_path(TABLE) as path, path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([item.name for item in dataclasses.fields(Floor)])
        for row in rows:
            values = dataclasses.astuple(row)
            writer.writerow([f"{v:.5g}" if isinstance(v, float) else v for v in values])


def read() -> list[Floor]:
    """Read the table."""
    with TABLE.open(newline="") as file:
        return [
            Floor(row.pop("cell"), int(row.pop("n")), *map(float, row.values()))
            for row in csv.DictReader(file)
        ]

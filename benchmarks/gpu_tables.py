"""Writes what is known of GPUs into docs/performance.md, from the records of reference/gpu.

    python -m benchmarks.gpu_tables [render]
    python -m benchmarks.gpu_tables operations    what an operation takes, to h200_operations.csv

`operations` sets the measured cells of reference/paper beside their rows of launches.csv, as long
as these are counts of the code that was measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import gpu_count, gpu_floor
from benchmarks.gpu_costs import PAPER, of_paper
from benchmarks.gpu_count import Count
from benchmarks.gpu_floor import GPU, Floor, card
from benchmarks.gpu_stages import way_of
from benchmarks.render import DOCUMENT, insert, number, table
from w2dual.cluster.costs import COSTS, read_costs
from w2dual.config.cells import Cell
from w2dual.config.grid import grid
from w2dual.config.names import method_words, words
from w2dual.config.reader import read
from w2dual.records import write_text

ROOT = Path(__file__).parents[1]
BEGIN = "<!-- gpu: begin; `make gpu-tables` writes what stands here -->"
END = "<!-- gpu: end -->"
OPERATIONS = GPU / "h200_operations.csv"
SHARE = 0.5
"""Of the card's rate of float32 products: what is assumed of XLA's products, in the projection."""
HD_CASE = re.compile(r"hd(\d+)-\w+")
BATCH = 10_240
"""Points of the paper's batch, of ten seeds, which the floor counts."""
STAGES = (1024, 256, 64)
"""What `conjugate.base.default_stages` has for the paper's batch; a test compares them."""
SOLVERS = ("lbfgs", "adam", "lbfgs_high_precision")


def records(pattern: str) -> list[dict[str, Any]]:
    """Read the lines of all records of a kind."""
    paths = sorted(GPU.glob(pattern))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def config_cells() -> dict[str, Cell]:
    """Return all cells of the paper's config."""
    return {cell.name: cell for cell in grid(read([ROOT / "config.yaml"]))}


# ---------------------------------------------------------------- launches


OTHERS = ["pair", "potential", "method", "operations", "spilled bytes", "memory, GB"]
"""Columns of the cells that are not of the benchmark."""


def launches(counts: dict[str, Count], cells: dict[str, Cell]) -> str:
    """Tabulate operations a step: outside loops, then loops and the operations of a turn."""

    def entry(name: str) -> str:
        if name not in counts:
            return ""
        row = counts[name]
        loops = f" + {row.loops} x {row.solver}" if row.loops else ""
        return f"{row.step}{loops}"

    hd = [cell for cell in cells.values() if cell.name.startswith("hd")]
    dimensions = sorted({cell.dimension for cell in hd})
    kinds: dict[tuple[str, str], dict[int, str]] = {}
    for cell in hd:
        kinds.setdefault((words(cell.potential), _method(cell)), {})[cell.dimension] = cell.name
    rows = [
        [*kind, *(entry(names[n]) if n in names else "" for n in dimensions)]
        for kind, names in kinds.items()
    ]
    plane = [
        [
            *(cell.pair, words(cell.potential), _method(cell)),
            *(entry(name), str(counts[name].spilled_bytes or 0)),
            f"{counts[name].memory_bytes / 1e9:.2f}",
        ]
        for name, cell in cells.items()
        if cell not in hd and name in counts
    ]
    lines = "\n".join(f"- {line}" for line in gpu_count.summary(counts.values()))
    return "\n\n".join(
        [
            f"Counted: {len(counts)} of {len(cells)} cells. `a + b x c`: a operations a step, and "
            "b loops (stages), the largest of which has c a turn.",
            table(["potential", "method", *(f"n = {n}" for n in dimensions)], rows),
            table(OTHERS, plane),
            lines,
        ]
    )


def _method(cell: Cell) -> str:
    """Return a cell's method in words."""
    own = "method" in cell.settings
    return words(cell.amortization) if own else method_words(cell.amortization, cell.solver)


# ---------------------------------------------------------------- equality


def equality(found: Iterable[dict[str, Any]]) -> str:
    """Tabulate on how many points kernel and plain solver agree, and how both end."""
    rows = []
    for record in found:
        for solver in (name for name in SOLVERS if name in record):
            result = record[solver]
            points = result["points"]
            same = [
                f"{round(points * result['same'][name]):,}" for name in ("status", "iterations")
            ]
            ends = result.get("ends", {})

            def both(name: str, digits: str, ends: dict[str, Any] = ends) -> str:
                return ", ".join(format(ends[way][name], digits) for way in ends)

            rows.append(
                [
                    record["case"],
                    solver,
                    record.get("dtype", "float32"),
                    "interpreted, CPU" if record["device"] == "cpu" else record["device"],
                    _steps(record),
                    *same,
                    f"{result['iterations_mean']:.2f}, {result['iterations_most']}",
                    both("converged", ".2%"),
                    both("gradient_norm_median", ".3g"),
                    both("gradient_norm_p99", ".3g"),
                ]
            )
    header = ["case", "solver", "type", "kernel", "trained, steps", "same status", "same count"]
    header += ["iterations: mean, most", "converged: plain, kernel"]
    header += ["gradient norm, median", "99th percentile"]
    return table(header, rows)


def _steps(record: dict[str, Any]) -> str:
    return f"{record['networks']['trained_steps']:,}" if "networks" in record else "300"


def times(found: Iterable[dict[str, Any]]) -> str:
    """Tabulate microseconds of a batch on a card, of compiled kernels alone."""
    rows = [
        [record["case"], solver, record["device"]]
        + [f"{record[solver][way]['median_us']:,.0f}" for way in ("plain", "kernel")]
        for record in found
        for solver in SOLVERS
        if "median_us" in record.get(solver, {}).get("kernel", {}) and record["device"] != "cpu"
    ]
    return table(["case", "solver", "device", "plain, us", "kernel, us"], rows)


# ---------------------------------------------------------------- sharing lanes


def stages(found: Iterable[dict[str, Any]]) -> str:
    """Tabulate what each way to share lanes costs, against what the points need."""
    rows, ways = [], {}
    for record in found:
        for solver in (name for name in SOLVERS if name in record):
            result = record[solver]
            ways |= dict.fromkeys(result["ways"])
            rows.append(
                [
                    f"{record['case']}, {record['networks']['trained_steps']:,} steps",
                    solver,
                    f"{result['needed_mean']:.1f}, {result['needed_most']}",
                ]
                + [
                    f"{work['evaluations'] / result['needed']:.2f}, {work['turns']}"
                    for work in result["ways"].values()
                ]
            )
    return "\n\n".join(
        [
            "Evaluations spent for one that is needed, and turns of the loop, of ten seeds with "
            "1,024 points each:",
            table(["networks", "solver", "needed: mean, most", *ways], rows),
        ]
    )


# ---------------------------------------------------------------- floor and projection


@dataclass(frozen=True)
class Solved:
    """What a solver needs on trained networks, by the record nearest in n.

    Attributes:
        evaluations: of a point, the mean.
        turns: of the plain solver's loop, for the batch of all seeds.
        spent: evaluations that the plain solver spends in its stages, for one needed.
        source: the record's case and steps.
    """

    evaluations: float
    turns: float
    spent: float
    source: str


def solved(cell: Cell, kept: Iterable[dict[str, Any]]) -> Solved | None:
    """Return what a cell's solver needs, by records of stages; None without a solver.

    Raises:
        LookupError: there is no record of its potential and solver.
    """
    if cell.solver == "none":
        return None
    alike = [
        record
        for record in kept
        if cell.solver in record
        and HD_CASE.fullmatch(record["case"])
        and record["case"].endswith(f"-{cell.potential}")
    ]
    if not alike:
        raise LookupError(f"no record of {cell.potential} with {cell.solver}")

    def distance(record: dict[str, Any]) -> int:
        return abs(int(HD_CASE.sub(r"\1", record["case"])) - cell.dimension)

    nearest = min(alike, key=distance)
    found = nearest[cell.solver]
    work = found["ways"][way_of(STAGES)]
    return Solved(
        found["needed_mean"],
        work["turns"],
        work["evaluations"] / found["needed"],
        f"{nearest['case']} after {nearest['networks']['trained_steps']:,} steps",
    )


def floor_ms(row: Floor, need: Solved | None, tensor: bool) -> float:
    """Milliseconds that a step takes at least: by arithmetic or by memory, whichever is more."""
    rates = card()
    gflop = row.step_gflop + (need.evaluations * row.evaluation_gflop if need else 0.0)
    arithmetic = gflop * 1e9 / (rates.tensor if tensor else rates.float32)
    return 1e3 * max(arithmetic, row.step_mb * 1e6 / rates.bytes)


def operation_ms() -> float:
    """Milliseconds of an operation of a graph, by cells without a solver: time over count."""
    with OPERATIONS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["cell"].endswith("-none")]
    return median(float(row["ms_per_step"]) / float(row["operations"]) for row in rows)


def kernel_rate(floors: dict[str, Floor]) -> float:
    """Operations a second of the kernels on a card, over all trained networks that were tried.

    A point has at least one evaluation more than iterations, so this is a lower bound.
    """
    gflop = us = 0.0
    for record in records("h200_equality.jsonl"):
        for solver in ("lbfgs", "adam"):
            row, result = floors[f"{record['case']}-regression-{solver}"], record[solver]
            batches = result["points"] / BATCH
            gflop += batches * (1 + result["iterations_mean"]) * row.evaluation_gflop
            us += result["kernel"]["median_us"]
    return gflop * 1e15 / us


def projected_ms(
    row: Floor, count: Count, need: Solved | None, an_operation: float, kernel: float
) -> float:
    """Milliseconds that a step is projected to take; see the text of `floors`."""
    assumed = SHARE * card().float32 / 1e12  # GFLOP a millisecond
    ms = count.step * an_operation + row.step_gflop / assumed
    if need is None:
        return ms
    if not count.loops:
        return ms + need.evaluations * row.evaluation_gflop * 1e12 / kernel
    turns = need.turns * count.solver * an_operation
    return ms + turns + need.evaluations * need.spent * row.evaluation_gflop / assumed


def floors(counts: dict[str, Count], cells: dict[str, Cell]) -> str:
    """Tabulate, by dimension, the floor of a step, what was measured, and projected hours."""
    rows = {row.cell: row for row in gpu_floor.read()}
    kept = records("*stages.jsonl")
    measured = {
        (cost.dimension, cost.potential, cost.amortization, cost.solver): cost.ms_per_step
        for cost in read_costs(ROOT / COSTS)
        if cost.kind == "gpu" and cost.seeds == 10 and cost.hidden == "paper"  # noqa: PLR2004
    }
    an_operation, kernel = operation_ms(), kernel_rate(rows)
    lines, hours, missing = [], 0.0, 0
    floor_hours = {True: 0.0, False: 0.0}
    for n in sorted({row.n for row in rows.values()}):
        of_n = [cells[row.cell] for row in rows.values() if row.n == n]
        projected, least = [], []
        for cell in of_n:
            need, steps = solved(cell, kept), cell.training.iterations
            row = rows[cell.name]
            for tensor in floor_hours:
                floor_hours[tensor] += floor_ms(row, need, tensor) * steps / 3.6e6
            least.append(floor_ms(row, need, tensor=True) * steps / 3.6e6)
            if cell.name not in counts:
                missing += 1
                continue
            ms = projected_ms(row, counts[cell.name], need, an_operation, kernel)
            projected.append(ms * steps / 3.6e6)
        for potential in ("icnn", "mlp"):
            name = f"hd{n}-{potential}-regression-lbfgs"
            row, need = rows[name], solved(cells[name], kept)
            assert need is not None  # noqa: S101  (L-BFGS is a solver)
            ms = measured.get((n, potential, "regression", "lbfgs"))
            tensor = floor_ms(row, need, tensor=True)
            lines.append(
                [
                    f"{n}, {words(potential)}",
                    need.source,
                    f"{need.evaluations:.1f}",
                    number(row.step_gflop),
                    number(row.evaluation_gflop),
                    number(row.step_mb),
                    number(floor_ms(row, need, tensor=False)),
                    number(tensor),
                    "" if ms is None else number(ms),
                    "" if ms is None else number(ms / tensor),
                    number(sum(least)) if potential == "icnn" else "",
                    _hours(projected, len(of_n)) if potential == "icnn" else "",
                ]
            )
        hours += sum(projected)
    header = ["n, potential", "evaluations from", "evaluations a point", "GFLOP a step"]
    header += ["GFLOP an evaluation", "MB a step", "floor, ms", "on tensor cores, ms"]
    header += ["H200, ms", "times that floor", "floor of all cells, h", "projected, h"]
    known = len(rows) - missing
    return "\n\n".join(
        [
            table(header, lines),
            f"All {len(rows)} cells of ten seeds: the floor is {number(floor_hours[True])} hours "
            f"of an H100 with all products on tensor cores ({gpu_floor.TF32_TERMS} of TF32 for one "
            f"of float32), {number(floor_hours[False])} hours with none there. "
            f"**A projection, not a measurement:** {number(hours)} hours"
            f"{f' for the {known} cells that are counted' if missing else ''}. It takes "
            f"{1e3 * an_operation:.2f} us for each operation (the median of the cells without a "
            f"solver that were measured on an H200), {kernel / 1e12:.1f} TFLOP/s for our kernels "
            f"(all of theirs there, a call's overhead with them), {SHARE:.0%} of the float32 rate "
            f"({card().float32 / 1e12:.0f} TFLOP/s) for products of XLA's, and the turns of the "
            "solver's loop of the record nearest in n. Evaluations during training, "
            "initialisation and compiling are not in it. An operation's time is of steps of 123 "
            "to 224; steps with a third of that took about as long (h200_step_kernels.jsonl), "
            "so do not rely on it where few are left.",
        ]
    )


def _hours(projected: list[float], cells: int) -> str:
    if not projected:
        return ""
    known = "" if len(projected) == cells else f" ({len(projected)} of {cells} cells)"
    return f"{number(sum(projected))}{known}"


def write_operations() -> None:
    """Set measured times a step beside counts of the same code."""
    counts = gpu_count.read()
    names = {cost.source.partition(":")[0]: cost for cost in of_paper(PAPER)}
    with OPERATIONS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["cell", "device", "operations", "ms_per_step", "measured"])
        for source, cost in names.items():
            cell = Path(source).stem
            if cell in counts:
                ms = f"{cost.ms_per_step:.5g}"
                writer.writerow([cell, cost.device, counts[cell].step, ms, source])


def rendered() -> str:
    """Return all tables in Markdown."""
    counts, cells = gpu_count.read(), config_cells()
    found = records("*equality.jsonl")
    parts = {
        "Operations a step": launches(counts, cells),
        "Kernels against the plain solver": equality(found),
        "Times of a batch": times(found),
        "Ways to share lanes": stages(records("*stages.jsonl")),
        "The floor, and a projection": floors(counts, cells),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", nargs="?", choices=["render", "operations"], default="render")
    if parser.parse_args().command == "operations":
        write_operations()
    else:
        text = DOCUMENT.read_text(encoding="utf-8")
        write_text(DOCUMENT, insert(text, rendered(), str(DOCUMENT), BEGIN, END))
    return 0


if __name__ == "__main__":
    sys.exit(main())

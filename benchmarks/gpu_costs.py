"""Puts what was measured on GPUs into reference/costs.csv, for `w2dual estimate`.

    python -m benchmarks.gpu_costs

Two kinds of records are kept: whole cells at the paper's budget (reference/paper), whose time a
step is the mean over all their steps; and some steps of a cell (reference/gpu/*_speed.jsonl, by
`benchmarks.gpu_check speed`). No number is typed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.gpu_check import PRETRAINING
from w2dual.cluster.costs import (
    COSTS,
    Cost,
    from_record,
    method_of,
    read_costs,
    update,
    write_costs,
)
from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in
from w2dual.config.reader import read
from w2dual.records import read_json

ROOT = Path(__file__).parents[1]
PAPER = ROOT / "reference" / "paper"
SPEEDS = ROOT / "reference" / "gpu"


def of_paper(folder: Path = PAPER) -> list[Cost]:
    """Take the cells that were trained on a GPU."""
    return [
        from_record(path, f"reference/paper/{path.name}: all steps of the paper's budget")
        for path in sorted(folder.glob("*.json"))
        if not read_json(path)["provenance"]["device"].lower().startswith("cpu")
    ]


def of_speeds(folder: Path, whole: list[Cost], cells: dict[str, Cell]) -> list[Cost]:
    """Take the cells some steps of which were timed.

    Their record has compiling and `PRETRAINING` steps of pre-training in one number. A step of the
    latter is taken to cost what it does in the whole cell of the same device and potential that is
    nearest in n.
    """
    found = []
    for path in sorted(folder.glob("*_speed.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            found.append(_of_speed(record, cells[record["cell"]], path.name, whole))
    return found


def _of_speed(record: dict[str, Any], cell: Cell, name: str, whole: list[Cost]) -> Cost:
    alike = [
        cost
        for cost in whole
        if (cost.device, cost.potential) == (record["device"], cell.potential)
    ]
    nearest = min(alike, key=lambda cost: abs(cost.dimension - cell.dimension))
    pretraining_s = PRETRAINING * nearest.pretraining_s / nearest.pretraining_steps
    return Cost(
        device=record["device"],
        kind="gpu",
        threads=0,
        **method_of(cell),
        dimension=cell.dimension,
        batch_size=cell.training.batch_size,
        seeds=record["seeds"],
        ms_per_step=median(record["ms_per_step"]),
        ms_per_step_low=min(record["ms_per_step"]),
        ms_per_step_high=max(record["ms_per_step"]),
        compile_s=record["initial_s"] + record["compile_s"] - pretraining_s,
        pretraining_s=pretraining_s,
        pretraining_steps=PRETRAINING,
        iterations_mean=record["iterations_mean"],
        steps_measured=record["after_steps"] - record["warm_up_steps"],
        warm_up_steps=record["warm_up_steps"],
        measured_on=record["measured_on"],
        commit=record.get("commit", ""),
        source=f"reference/gpu/{name}; pre-training's steps as at n = {nearest.dimension}",
    )


def main() -> int:
    """Write them."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    cells = {cell.name: cell for cell in cells_in("hd", read([ROOT / "config.yaml"]))}
    whole = of_paper()
    path = ROOT / COSTS
    write_costs(path, update(read_costs(path), [*of_speeds(SPEEDS, whole, cells), *whole]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a config's cells cost, as one record and as text. Light: JAX is not imported."""

from __future__ import annotations

import difflib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2dual import provenance
from w2dual.cluster.costs import COSTS, Cost, from_runs, read_costs, update
from w2dual.cluster.estimate import Basis, Estimate, estimate, makespan, method, runtime_min
from w2dual.config.grid import grid
from w2dual.config.reader import Config, load
from w2dual.records import InputError, finite

FIGURES = ("ms_per_step", "compile_s", "pretraining_s", "training_s", "hours")
NOT_INCLUDED = (
    "not included: evaluations (during training and at its end), and starting the job; "
    "pre-training is counted at its most steps"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of an estimate.

    Attributes:
        device: of the measurements; None for this machine's.
        threads: CPU threads of a job; None for the config's.
        costs: file of measurements.
        runs: working folders with finished cells, whose times go before those of `costs`.
        assume_method: LOSS,SOLVER that a cell whose own method gives no estimate is taken to cost.
        gpus: devices that the time is told for too; None for none.
        headroom: factor of the suggested time limits, from 1.
        per_cell: whether there is a line for each cell.
        as_json: whether the text is one JSON record.
    """

    device: str | None = None
    threads: int | None = None
    costs: Path = COSTS
    runs: Sequence[str] = ()
    assume_method: str | None = None
    gpus: int | None = None
    headroom: float = 1.5
    per_cell: bool = False
    as_json: bool = False


def text(config_files: Sequence[str], asked: Asked) -> tuple[str, str]:
    """Return what the cells of a config cost, as text, and what is unknown of it.

    Args:
        config_files: each merged over the ones before.
        asked: what is asked.

    Returns:
        The text, and a sentence about the cells whose cost is unknown; empty where there are none.

    Raises:
        InputError: the headroom, the config or the measurements cannot be used.
    """
    if not 1 <= asked.headroom < math.inf:
        raise InputError(
            f"argument --headroom: {asked.headroom:g}; expected a finite factor from 1"
        )
    config = load(config_files)
    threads = asked.threads or config["resources"]["cpus"]
    costs, device = _measurements(asked, config, threads)
    assume = method(asked.assume_method, config) if asked.assume_method else None
    items = [estimate(cell, costs, assume) for cell in grid(config)]
    record = summary(items, config, device, costs[0].kind, threads, asked)
    lines = _lines(record, asked.per_cell)
    words = json.dumps(finite(record), indent=1) if asked.as_json else "\n".join(lines)
    count = record["total"]["unknown"]
    unknown = (
        f"--strict: the cost of {count} of {len(items)} cells is unknown; "
        "measure them with `w2dual time`, or name a method with --assume-method"
    )
    return words + "\n", unknown if count else ""


def _measurements(asked: Asked, config: Config, threads: int) -> tuple[list[Cost], str]:
    """Return the measurements of the device asked for, and its name."""
    costs = read_costs(asked.costs)
    for folder in asked.runs:
        costs = update(costs, from_runs(folder, threads))
    if not costs:
        raise InputError(
            f"costs file {asked.costs}: holds no measurements yet; make some with `w2dual time`, "
            "or give a folder of finished cells with --from"
        )
    known = sorted({cost.device for cost in costs})
    listed = "".join(f"\n  {name}" for name in known)
    device = asked.device
    if device is None:
        # The device that a job of this config would run on here.
        gpu = provenance.gpu_name() if config["resources"]["gpus"] else None
        device = gpu or provenance.cpu_name()
        if device not in known:
            raise InputError(
                f"this machine's {device} was not measured; name a device with --device:{listed}"
            )
    elif device not in known:
        close = difflib.get_close_matches(device, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(
            f"argument --device: {device!r} was not measured{hint}; these were:{listed}"
        )
    own = [cost for cost in costs if cost.device == device]
    chosen = [cost for cost in own if cost.kind == "gpu" or cost.threads == threads]
    if not chosen:
        counts = ", ".join(map(str, sorted({cost.threads for cost in own})))
        raise InputError(
            f"argument --threads: {device} was not measured with {threads} thread(s), "
            f"which is what a job gets; it was with {counts}"
        )
    return chosen, device


def summary(
    items: Sequence[Estimate],
    config: Config,
    device: str,
    kind: str,
    threads: int,
    asked: Asked,
) -> dict[str, Any]:
    """Return everything that is printed as one record; what is unknown is None."""
    sources = list(dict.fromkeys(_source(c) for i in items if i.found for c in i.found.rows))
    by_dimension = {
        n: _sum([item for item in items if item.cell.dimension == n])
        for n in sorted({item.cell.dimension for item in items})
    }
    seconds = [item.seconds() for item in items if item.found]
    return {
        "preset": config["preset"],
        "device": device,
        "kind": kind,
        "threads": threads if kind == "cpu" else None,
        "total": _sum(items),
        "by_dimension": by_dimension,
        "devices": asked.gpus,
        "wall_clock_hours": makespan(seconds, asked.gpus) / 3600 if asked.gpus else None,
        "headroom": asked.headroom,
        "runtime_min": runtime_min(items, asked.headroom),
        "not_included": NOT_INCLUDED,
        "sources": sources,
        "cells": [_cell(item, sources) for item in items],
    }


def _source(cost: Cost) -> str:
    commit = f", commit {cost.commit[:10]}" if cost.commit else ""
    return f"{cost.source} ({cost.measured_on}{commit})"


def _sum(items: Sequence[Estimate]) -> dict[str, Any]:
    known = [item for item in items if item.found]
    counts = Counter(item.basis for item in items)
    return {
        "cells": len(items),
        "unknown": len(items) - len(known),
        "hours": sum(item.seconds() for item in known) / 3600,
        "hours_low": sum(item.seconds("ms_per_step_low") for item in known) / 3600,
        "hours_high": sum(item.seconds("ms_per_step_high") for item in known) / 3600,
        "longest_cell_min": max((item.seconds() / 60 for item in known), default=None),
        "basis": {basis.word: counts[basis] for basis in Basis if counts[basis]},
    }


def _cell(item: Estimate, sources: list[str]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": item.cell.name,
        "dimension": item.cell.dimension,
        "seeds": len(item.cell.seeds),
        "batch_size": item.cell.training.batch_size,
        "iterations": item.cell.training.iterations,
    }
    figures: dict[str, float | None] = dict.fromkeys(FIGURES)
    if item.found:
        figures = {
            "ms_per_step": item.found.figures.ms_per_step,
            "compile_s": item.found.figures.compile_s,
            "pretraining_s": item.pretraining_s(),
            "training_s": item.training_s(),
            "hours": item.seconds() / 3600,
        }
    used = item.found.rows if item.found else ()
    basis = {
        "basis": item.basis.word,
        "based_on": item.based_on,
        "sources": list(dict.fromkeys(1 + sources.index(_source(cost)) for cost in used)),
    }
    return record | figures | basis


# ---------------------------------------------------------------- for people


def _lines(record: dict[str, Any], per_cell: bool) -> list[str]:
    preset, cells = record["preset"], record["total"]["cells"]
    cpu = record["kind"] == "cpu"
    device = record["device"] + (f", {record['threads']} thread(s)" if cpu else "")
    lines = [f"{preset['name']} ({preset['label']}): {cells} cells on {device}", ""]
    if per_cell:
        lines += [*_cell_table(record), ""]
    lines += [*_dimension_table(record), ""]
    lines += _totals(record)
    lines.append(record["not_included"])
    lines += [f"[{i}] {source}" for i, source in enumerate(record["sources"], start=1)]
    return lines


def _totals(record: dict[str, Any]) -> list[str]:
    total = record["total"]
    basis = f"basis: {_words(total['basis'])}"
    if total["unknown"] == total["cells"]:
        lines = [f"total: unknown; {basis}"]
    else:
        least = "at least " if total["unknown"] else ""
        threads = f"CPU hours of {record['threads']} thread(s)"
        lines = [
            f"total: {least}{_number(total['hours'])} "
            f"{threads if record['kind'] == 'cpu' else 'GPU hours'} "
            f"({_number(total['hours_low'])} to {_number(total['hours_high'])} by the fastest and "
            f"the slowest block of steps); {basis}"
        ]
        if record["devices"]:
            lines.append(
                f"wall clock: {least}{_number(record['wall_clock_hours'])} hours on "
                f"{record['devices']} device(s), one job each, longest first; {basis}"
            )
        limits = ", ".join(f"{n}: {minutes}" for n, minutes in record["runtime_min"].items())
        known = "known " if total["unknown"] else ""
        lines.append(
            f"resources.runtime_min: {{{limits}}} would be the longest {known}cell of each "
            f"dimension times {record['headroom']:g}, up to the next 5 minutes; {basis}"
        )
    if total["unknown"]:
        lines.append(f"UNKNOWN, and not in the total: {total['unknown']} of {total['cells']} cells")
        reasons = Counter(c["based_on"] for c in record["cells"] if c["hours"] is None)
        lines += [f"  {count} cell(s): {reason}" for reason, count in reasons.items()]
        lines.append(
            "`w2dual time` measures cells of `hd`; of all others finished cells tell: --from FOLDER"
        )
    return lines


def _dimension_table(record: dict[str, Any]) -> list[str]:
    rows = [["n", "cells", "unknown", "hours", "longest cell, min", "basis"]]
    for n, part in record["by_dimension"].items():
        known = part["unknown"] < part["cells"]
        least = ">= " if part["unknown"] and known else ""
        hours = least + _number(part["hours"]) if known else "?"
        longest = _number(part["longest_cell_min"]) if known else "?"
        counts = [str(part["cells"]), str(part["unknown"])]
        rows.append([str(n), *counts, hours, longest, _words(part["basis"])])
    return aligned(rows, left=(5,))


def _cell_table(record: dict[str, Any]) -> list[str]:
    head = ["ms/step", "compile s", "pre-training s", "training s", "hours"]
    rows = [["cell", *head, "basis", "based on"]]
    for cell in record["cells"]:
        numbers = ["?" if cell[name] is None else _number(cell[name]) for name in FIGURES]
        marks = "".join(f" [{i}]" for i in cell["sources"])
        rows.append([cell["name"], *numbers, cell["basis"], cell["based_on"] + marks])
    return aligned(rows, left=(0, 6, 7))


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _number(value: float) -> str:
    """Three digits, but never fewer than the whole number has."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def aligned(rows: list[list[str]], left: Sequence[int]) -> list[str]:
    """Lay rows out as a table; the columns in `left` stand at the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if i in left else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

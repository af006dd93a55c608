"""The job `estimate`: what a config's cells cost, before any of them is started."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2dual import provenance
from w2dual.cells import grid
from w2dual.config import Config, load
from w2dual.costs import Cost, from_runs, read_costs, update
from w2dual.estimate import Basis, Estimate, estimate, makespan, runtime_min
from w2dual.records import InputError, finite

COSTS = Path("reference") / "costs.csv"
FIGURES = ("ms_per_step", "compile_s", "pretraining_s", "training_s", "hours")
NOT_INCLUDED = (
    "not included: evaluations (during training and at its end), and starting the job; "
    "pre-training is counted at its most steps"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    add_config_arguments(parser)
    parser.add_argument("--device", help="a device of the measurements (default: this machine's)")
    parser.add_argument(
        "--threads", type=positive, help="CPU threads of a job (default: the config's)"
    )
    parser.add_argument("--costs", type=Path, default=COSTS, help=f"measurements (default {COSTS})")
    parser.add_argument(
        "--from",
        dest="runs",
        action="append",
        default=[],
        metavar="FOLDER",
        help="working folder with finished cells, whose times go before those of the costs file "
        "(their pre-training with its compiling, and taken to have had --threads); "
        "may be given again",
    )
    parser.add_argument(
        "--assume-method",
        metavar="LOSS,SOLVER",
        help="what a cell is taken to cost whose own method gives no estimate",
    )
    parser.add_argument(
        "--gpus", type=positive, help="also the time on that many devices, longest cell first"
    )
    parser.add_argument(
        "--headroom", type=float, default=1.5, help="factor of the suggested time limits (1.5)"
    )
    parser.add_argument("--per-cell", action="store_true", help="a line for each cell")
    parser.add_argument("--json", action="store_true", help="everything as one JSON record")
    parser.add_argument("--strict", action="store_true", help="an unknown cell is an error")


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the config and the files that are merged over it."""
    parser.add_argument("--config", default="config.yaml", help="config file (config.yaml)")
    parser.add_argument(
        "--configfile",
        nargs="+",
        default=[],
        help="config files, each merged over the ones before (presets/smoke.yaml)",
    )


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def main(args: argparse.Namespace) -> None:
    """Print to standard output."""
    if not args.headroom >= 1:
        raise InputError(f"argument --headroom: {args.headroom:g}; expected a factor from 1")
    config = load([args.config, *args.configfile])
    threads = args.threads or config["resources"]["cpus"]
    costs, device = _measurements(args, config, threads)
    assume = method(args.assume_method, config) if args.assume_method else None
    items = [estimate(cell, costs, assume) for cell in grid(config)]
    record = summary(items, config, device, costs[0].kind, threads, args)
    text = json.dumps(finite(record), indent=1) if args.json else "\n".join(_lines(record, args))
    sys.stdout.write(text + "\n")
    if args.strict and record["total"]["unknown"]:
        raise InputError(
            f"--strict: the cost of {record['total']['unknown']} of {len(items)} cells is unknown; "
            "measure them with `w2dual measure`, or name a method with --assume-method"
        )


def method(text: str, config: Config) -> tuple[str, str]:
    """Read LOSS,SOLVER, both names of the config.

    Raises:
        InputError: it is not two names, or the config has no such.
    """
    names = text.split(",")
    if len(names) != 2:
        raise InputError(f"method {text!r}: expected a loss and a solver, as in regression,lbfgs")
    for name, section in zip(names, ("amortizations", "solvers"), strict=True):
        if name not in config[section]:
            known = ", ".join(config[section])
            raise InputError(f"method {text!r}: no `{name}` under `{section}`; there are {known}")
    return names[0], names[1]


def _measurements(args: argparse.Namespace, config: Config, threads: int) -> tuple[list[Cost], str]:
    """Give the measurements of the device asked for, and its name."""
    costs = read_costs(args.costs)
    for folder in args.runs:
        costs = update(costs, from_runs(folder, threads))
    if not costs:
        raise InputError(
            f"costs file {args.costs}: holds no measurements yet; make some with `w2dual measure`, "
            "or give a folder of finished cells with --from"
        )
    known = sorted({cost.device for cost in costs})
    listed = "".join(f"\n  {name}" for name in known)
    device = args.device
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
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Give everything that is printed as one record; what is unknown is None."""
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
        "devices": args.gpus,
        "wall_clock_hours": makespan(seconds, args.gpus) / 3600 if args.gpus else None,
        "headroom": args.headroom,
        "runtime_min": runtime_min(items, args.headroom),
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
    settings = item.cell.settings
    record: dict[str, Any] = {
        "name": item.cell.name,
        "dimension": item.cell.dimension,
        "seeds": len(settings["seeds"]),
        "batch_size": settings["training"]["batch_size"],
        "iterations": settings["training"]["iterations"],
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


def _lines(record: dict[str, Any], args: argparse.Namespace) -> list[str]:
    preset, cells = record["preset"], record["total"]["cells"]
    cpu = record["kind"] == "cpu"
    device = record["device"] + (f", {record['threads']} thread(s)" if cpu else "")
    lines = [f"{preset['name']} ({preset['label']}): {cells} cells on {device}", ""]
    if args.per_cell:
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

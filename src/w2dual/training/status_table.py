"""A table of the cells that are being trained, and of those that have finished.

A running cell is known by the status file next to its checkpoints, a finished one by its metrics.
Light: JAX is not imported, and nothing is written.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from w2dual.records import InputError, finite, read_json
from w2dual.training.status import NAME, CellStatus, field, number, rate

STALLED_S = 300.0
"""A training job that has said nothing for longer has stalled, or was killed."""
CLEAR = "\x1b[H\x1b[2J\x1b[3J"
COLUMNS = (
    *("cell", "step", "steps/s", "left", "error"),
    *("diverged", "spikes", "not converged", "state"),
)


@dataclass(frozen=True)
class Row:
    """One cell.

    Attributes:
        folder: working folder that it was found in.
        cell: its name.
        state: running, stalled, stopped, finished, or broken where a file cannot be read.
        phase: what a cell that has not finished last did (`status.PHASES`), or None.
        step: steps done, by the group of seeds that is being trained.
        iterations: steps to do, by each group.
        steps_per_second: median over the run, or the group's.
        left_s: seconds until the last step of the last group, at that rate; None unless it is
            running.
        headline: what `error` is, in words.
        error: mean over the live seeds, at the last evaluation.
        diverged_seeds: how many seeds have diverged ...
        seeds: ... of how many.
        spikes: steps with a spike of the loss in training, those of all seeds.
        not_converged: share of the points conjugated in training that did not converge.
        updated: when the cell was last heard of; seconds since 1970-01-01 UTC.
        group, groups: of a cell in training, the group of seeds that is trained, from 1, of how
            many.
        problem: what is wrong with a broken file, and which.
    """

    folder: str
    cell: str
    state: str
    phase: str | None = None
    step: int | None = None
    iterations: int | None = None
    steps_per_second: float | None = None
    left_s: float | None = None
    headline: str = ""
    error: float | None = None
    diverged_seeds: int | None = None
    seeds: int | None = None
    spikes: int | None = None
    not_converged: float | None = None
    updated: float | None = None
    group: int | None = None
    groups: int | None = None
    problem: str | None = None


def _nothing(folders: list[Path]) -> str:
    names = ", ".join(map(str, folders))
    return f"No cell has begun to train yet (looked in: {names}).\n"


def read_folder(folder: Path, now: float) -> Iterator[Row]:
    """Return the cells of a working folder: those in training, then the finished ones.

    Args:
        folder: the working folder of a preset.
        now: seconds since 1970-01-01 UTC.
    """
    finished = {
        path.parent.name: path for path in sorted(folder.glob("results/train/*/metrics.json"))
    }
    for path in sorted(folder.glob(f"checkpoints/*/{NAME}")):
        name = path.parent.name
        metrics = finished.get(name)
        try:
            if metrics is not None and metrics.stat().st_mtime >= path.stat().st_mtime:
                continue  # killed between its last output and the removal of its checkpoints
            row = _in_training(str(folder), CellStatus.read(path), now)
        except FileNotFoundError:
            continue  # it has just finished
        except InputError as error:
            if not path.exists():
                continue
            row = Row(str(folder), name, "broken", problem=str(error))
        finished.pop(name, None)
        yield row
    for name, path in finished.items():
        try:
            yield _finished(str(folder), path)
        except InputError as error:
            yield Row(str(folder), name, "broken", problem=str(error))


def _in_training(folder: str, status: CellStatus, now: float) -> Row:
    state = "stalled" if now - status.updated > STALLED_S else "running"
    if status.phase == "stopped":
        state = "stopped"
    left = None
    if state == "running" and status.steps_per_second:
        later = (status.groups - status.group) * status.iterations
        left = (later + status.iterations - status.step) / status.steps_per_second
    return Row(
        folder=folder,
        cell=status.cell,
        state=state,
        phase=status.phase,
        step=status.step,
        iterations=status.iterations,
        steps_per_second=status.steps_per_second,
        left_s=left,
        headline=status.headline,
        error=status.error,
        diverged_seeds=status.diverged_seeds,
        seeds=status.seeds,
        spikes=status.spikes,
        not_converged=status.not_converged,
        updated=status.updated,
        group=status.group,
        groups=status.groups,
    )


def _finished(folder: str, path: Path) -> Row:
    record = read_json(path)
    if not isinstance(record, dict):
        raise InputError(f"{path}: is not a metrics record")
    cell = field(record, "cell", dict, path)
    training = field(field(cell, "settings", dict, path), "training", dict, path)
    seeds: list[Any] = field(record, "seeds", list, path)
    if not all(isinstance(seed, dict) for seed in seeds):
        raise InputError(f"{path}: field `seeds` holds something else than records")
    live = [seed for seed in seeds if seed.get("status") != "diverged"]
    headline = field(record, "headline", dict, path)
    column = field(headline, "column", str, path)
    errors = [number(seed, column, path) for seed in live]
    known = [error for error in errors if error is not None]
    return Row(
        folder=folder,
        cell=field(cell, "name", str, path),
        state="finished",
        step=max((field(seed, "steps", int, path) for seed in seeds), default=0),
        iterations=field(training, "iterations", int, path),
        steps_per_second=number(field(record, "timing", dict, path), "steps_per_second", path),
        # A seed that is live and has no number makes the mean no number either.
        headline=field(headline, "label", str, path),
        error=sum(known) / len(live) if live and known == errors else None,
        diverged_seeds=len(seeds) - len(live),
        seeds=len(seeds),
        spikes=sum(field(field(s, "spikes", dict, path), "steps", int, path) for s in seeds),
        not_converged=_not_converged(seeds, path),
        updated=path.stat().st_mtime,
    )


def _not_converged(seeds: list[dict[str, Any]], path: Path) -> float | None:
    counts = [field(seed, "training_conjugate_status", dict, path) for seed in seeds]
    points = sum(sum(count.values()) for count in counts)
    return 1 - sum(count["converged"] for count in counts) / points if points else None


def table(rows: list[Row]) -> str:
    """Set the rows as text; those of more than one folder under the name of each."""
    lines = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]

    def text(line: tuple[str, ...]) -> str:
        name, *middle, state = line
        numbers = (item.rjust(width) for item, width in zip(middle, widths[1:-1], strict=True))
        return "  ".join([name.ljust(widths[0]), *numbers, state]).rstrip()

    several = len({row.folder for row in rows}) > 1
    written, last = [text(COLUMNS)], None
    for row, line in zip(rows, lines[1:], strict=True):
        if several and row.folder != last:
            written.append(f"{row.folder}:")
            last = row.folder
        written.append(text(line))
    written += [f"broken: {row.problem}" for row in rows if row.problem]
    return "\n".join(written) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    def shown(value: Any, form: str = "") -> str:
        return "-" if value is None else format(value, form)

    step = "-" if row.step is None else f"{row.step}/{row.iterations}"
    if row.groups is not None and row.groups > 1:
        step += f", {row.group} of {row.groups}"
    diverged = "-" if row.seeds is None else f"{row.diverged_seeds} of {row.seeds}"
    # While it trains, the step says what it does.
    told = row.phase not in (None, "training", row.state)
    return (
        row.cell,
        step,
        "-" if row.steps_per_second is None else rate(row.steps_per_second),
        "-" if row.left_s is None else duration(row.left_s),
        "-" if row.error is None else f"{row.headline} {row.error:.3g}",
        diverged,
        shown(row.spikes),
        shown(row.not_converged, ".2%"),
        f"{row.state} ({row.phase})" if told else row.state,
    )


def duration(seconds: float) -> str:
    """Word a time for people: 12 s, 4 min, 3 h 05 min, 2 d 04 h."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def show(given: Sequence[Path], watch: float | None, as_json: bool) -> None:
    """Print the cells of working folders to standard output, once or until Ctrl-C.

    Args:
        given: working folders of presets; empty for this one and each runs/NAME in it.
        watch: seconds between two tables; None for one table.
        as_json: whether JSON is printed, one list for each time.

    Raises:
        InputError: the seconds between two tables are out of range.
        SystemExit: a folder does not exist; the exit code is 1.
    """
    if watch is not None and not (watch > 0 and math.isfinite(watch)):
        raise InputError(f"--watch {watch}: expected seconds above 0")
    try:
        while True:
            folders = list(given) or [Path(), *sorted(p for p in Path("runs").glob("*/"))]
            for folder in folders:
                if not folder.is_dir():
                    # A string makes the exit code 1: nothing is wrong with the command itself.
                    sys.exit(
                        f"w2dual status: {folder}: no such folder; expected one that a preset "
                        "works in: `.` for the paper, runs/NAME for any other"
                    )
            rows = [row for folder in folders for row in read_folder(folder, time.time())]
            if as_json:
                text = json.dumps(finite([asdict(row) for row in rows]), allow_nan=False) + "\n"
            else:
                text = table(rows) if rows else _nothing(folders)
            clear = watch is not None and not as_json and sys.stdout.isatty()
            sys.stdout.write((CLEAR if clear else "") + text)
            sys.stdout.flush()
            if watch is None:
                return
            time.sleep(watch)
    except KeyboardInterrupt:
        sys.stdout.write("\n")

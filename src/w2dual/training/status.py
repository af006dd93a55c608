"""How a cell's training stands: the small file next to its checkpoints that `w2dual status` reads.

Light: JAX is not imported.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from w2dual.decoding import decode
from w2dual.records import InputError, read_json, write_json

FORMAT = 3
NAME = "status.json"
PHASES = ("pre-training", "compiling", "training", "evaluating", "stopped")


@dataclass(frozen=True)
class CellStatus:
    """What a training job last said of itself.

    Attributes:
        cell: name of the cell.
        phase: one of `PHASES`; `stopped` where the job ended before its outputs were there.
        step: steps done, by the group of seeds that is being trained.
        iterations: steps to do, by each group.
        seeds: how many the cell has.
        diverged_seeds: how many of them have diverged.
        spikes: steps with a spike of the loss so far, those of all seeds.
        not_converged: share of the conjugated points so far that did not converge; None where
            none was conjugated, as without a solver.
        steps_per_second: median over the chunks; None before the first.
        headline: what `error` is, in words; empty before the first evaluation.
        error: mean over the live seeds, at the last evaluation; None before it.
        updated: seconds since 1970-01-01 UTC.
        group, groups: which of the groups of seeds, trained one after another, it is, from 1. What
            is counted is of this one and those before; `error` is of this one.
    """

    cell: str
    phase: str
    step: int
    iterations: int
    seeds: int
    diverged_seeds: int
    spikes: int
    not_converged: float | None
    steps_per_second: float | None
    headline: str
    error: float | None
    updated: float
    group: int = 1
    groups: int = 1

    def write(self, folder: Path) -> None:
        """Write the status file of a cell's folder, atomically."""
        write_json(folder / NAME, {"format": FORMAT} | asdict(self))

    @staticmethod
    def read(path: Path) -> CellStatus:
        """Read a status file.

        Raises:
            InputError: it is missing, no JSON record, of another format, or a field is missing,
                unknown or of a wrong type; the message names the file and the field.
        """
        record = read_json(path)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise InputError(f"{path}: is not a status file of format {FORMAT}")
        status = decode(CellStatus, {k: record[k] for k in record if k != "format"}, str(path))
        if status.phase not in PHASES:
            raise InputError(f"{path}: phase is {status.phase!r}; expected one of {PHASES}")
        return status


def rate(steps_per_second: float) -> str:
    """Word a rate: three digits, and all of those before the point."""
    return format(steps_per_second, ".0f" if steps_per_second >= 100 else ".3g")


def field(record: dict[str, Any], name: str, kind: type, path: Path) -> Any:
    """Return a field of a record read from `path`.

    Raises:
        InputError: it is missing or of another type than `kind`; true and false are no integers.
    """
    value = record.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{path}: field `{name}` is {value!r:.40}; expected {kind.__name__}")
    return value


def number(record: dict[str, Any], name: str, path: Path) -> float | None:
    """Return a number of a record read from `path`; null stands for one that there is not.

    Raises:
        InputError: it is missing, or neither a number nor null.
    """
    value = record.get(name)
    if name not in record or isinstance(value, bool) or not isinstance(value, int | float | None):
        raise InputError(f"{path}: field `{name}` is {value!r:.40}; expected a number or null")
    return value

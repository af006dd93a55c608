"""The attempts at a cell: a small file next to its checkpoints, and what the log says of them.

Snakemake removes a job's log before each attempt, so each log has to tell of the attempts before:
which job they were and what they gained. One that gained nothing stands out by that. Light.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from w2dual import provenance
from w2dual.decoding import decode
from w2dual.records import InputError, read_json, write_json

log = logging.getLogger(__name__)

NAME = "attempts.json"


@dataclass(frozen=True)
class Attempt:
    """Where an attempt ran, and the step that it began at."""

    place: str
    step: int


def begin(folder: Path, step: int) -> None:
    """Note that an attempt begins at a step, here; the log gets a line for it and each before.

    Args:
        folder: that of the cell's checkpoints.
        step: what it resumes from; 0 where it starts from the beginning.
    """
    before = _read(folder / NAME)
    now = Attempt(provenance.place(), step)
    ends = [attempt.step for attempt in [*before, now][1:]]
    for number, (attempt, end) in enumerate(zip(before, ends, strict=True), start=1):
        gained = end - attempt.step
        log.info(
            "attempt %d on %s: began at step %d, gained %s",
            number,
            attempt.place,
            attempt.step,
            f"{gained} steps" if gained > 0 else "NOTHING",
        )
    log.info("attempt %d on %s: begins at step %d", len(before) + 1, now.place, step)
    try:
        write_json(folder / NAME, [asdict(attempt) for attempt in (*before, now)])
    except OSError as error:
        log.warning("%s: cannot be written: %s", folder / NAME, error)


def _read(path: Path) -> list[Attempt]:
    """Read the file; one that is missing, or cannot be used, tells of no attempt."""
    if not path.exists():
        return []
    try:
        record = read_json(path)
        if not isinstance(record, list):
            raise InputError("is no list of attempts")
        return [decode(Attempt, item, f"attempt {i}") for i, item in enumerate(record, start=1)]
    except InputError as error:
        log.warning("%s: tells of no attempt: %s", path, error)
        return []

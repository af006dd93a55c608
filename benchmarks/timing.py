"""What is said of the interleaved times of contestants (`w2dual.timing`)."""

from __future__ import annotations

from typing import Any

from benchmarks.contestants import REFERENCES
from w2dual.timing import SLOW_REPETITIONS, Turn, calls, interleave, prepare, spread

__all__ = ["SLOW_REPETITIONS", "Turn", "calls", "interleave", "prepare", "reference", "summary"]


def reference(turns: list[Turn]) -> Turn | None:
    """Return the turn that the others' times are divided by: w2dual's best, if it takes part."""
    found = {turn.name: turn for turn in turns}
    return next((found[name] for name in REFERENCES if name in found), None)


def summary(turn: Turn, reference: Turn | None) -> dict[str, Any]:
    """Return medians and ranges of the times, and of the ratios to the reference's times."""
    record: dict[str, Any] = {
        "first_call_s": turn.first_s,
        "units_per_block": turn.units,
        "ms_of_each_repetition": turn.milliseconds,
        "ms": spread(turn.milliseconds),
    }
    if reference is not None:
        together = zip(turn.milliseconds, reference.milliseconds, strict=False)
        record["ratio"] = spread([own / other for own, other in together])
    return record

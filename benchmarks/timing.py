"""Interleaved timing: in each repetition every contestant has its turn, one after the other.

What slows the machine for a while then slows all, and the ratio of two contestants within a
repetition is steadier than their times.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.contestants import REFERENCES

log = logging.getLogger(__name__)

MOST = 2_000
"""Units, steps or calls, in one block."""
SLOW_S = 4.0
"""A contestant whose single unit takes longer has its turn in the first repetitions only ..."""
SLOW_REPETITIONS = 2
"""... this many."""


@dataclass
class Turn:
    """A contestant's blocks.

    Attributes:
        name: of the contestant.
        block: takes a number of units, gives seconds.
        first_s: seconds of the first unit, with compilation.
        units: units in a block.
        milliseconds: per unit, one number for each repetition it took part in.
    """

    name: str
    block: Callable[[int], float]
    first_s: float
    units: int
    milliseconds: list[float]


def prepare(name: str, block: Callable[[int], float], seconds: float, first_s: float) -> Turn:
    """Find how many units make a block of about `seconds`; the block is warm afterwards."""
    once = block(1)
    units = max(1, min(MOST, round(seconds / once)))
    if units > 1:
        once = block(units) / units
        units = max(1, min(MOST, round(seconds / once)))
    log.info("  %s: %.4g ms, %d a block, first call %.1f s", name, 1e3 * once, units, first_s)
    return Turn(name, block, first_s, units, [])


def interleave(turns: list[Turn], repetitions: int) -> None:
    """Run all blocks, repetition by repetition."""
    for repetition in range(repetitions):
        for turn in turns:
            slow = turn.milliseconds and min(turn.milliseconds) > 1e3 * SLOW_S
            if slow and repetition >= SLOW_REPETITIONS:
                continue
            turn.milliseconds.append(1e3 * turn.block(turn.units) / turn.units)


def reference(turns: list[Turn]) -> Turn | None:
    """Give the turn that the others' times are divided by: w2dual's best, if it takes part."""
    found = {turn.name: turn for turn in turns}
    return next((found[name] for name in REFERENCES if name in found), None)


def summary(turn: Turn, reference: Turn | None) -> dict[str, Any]:
    """Give medians and ranges of the times, and of the ratios to the reference's times."""
    record: dict[str, Any] = {
        "first_call_s": turn.first_s,
        "units_per_block": turn.units,
        "ms_of_each_repetition": turn.milliseconds,
        "ms": _spread(turn.milliseconds),
    }
    if reference is not None:
        together = zip(turn.milliseconds, reference.milliseconds, strict=False)
        record["ratio"] = _spread([own / other for own, other in together])
    return record


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }

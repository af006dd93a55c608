"""Interleaved timing: in each repetition every contestant has its turn, one after the other.

What slows the machine for a while then slows all, and the ratio of two contestants within a
repetition is steadier than their times.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

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


def interleave(turns: Sequence[Turn], repetitions: int) -> None:
    """Run all blocks, repetition by repetition."""
    for repetition in range(repetitions):
        for turn in turns:
            slow = turn.milliseconds and min(turn.milliseconds) > 1e3 * SLOW_S
            if slow and repetition >= SLOW_REPETITIONS:
                continue
            turn.milliseconds.append(1e3 * turn.block(turn.units) / turn.units)


def calls(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[[int], float]:
    """Return a block whose units are calls of a compiled function, waited for one by one."""

    def block(units: int) -> float:
        started = time.perf_counter()
        for _ in range(units):
            jax.block_until_ready(function(*arguments))
        return time.perf_counter() - started

    return block


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median and range."""
    return {
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }

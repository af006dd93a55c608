"""What a job asks a batch system for: memory and run time, by cell and attempt.

One place for all rules. Times come from measurements of the site's device where there are any, as
`w2dual estimate` has them, else from `resources.runtime_min`; what the site allows bounds both.
Light: JAX is not imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2dual.cluster.costs import Cost, read_costs
from w2dual.cluster.estimate import estimate
from w2dual.config.cells import Cell

START_MIN = 10
"""Minutes on top of a measured time: starting the job, and the evaluations, which it leaves out."""
MEMORY_GROWTH = 3
"""Attempts over which the memory asked for grows. Later ones ask for as much as this one: a cell
that is continued over many jobs has not run out of memory in each."""


class Requests:
    """The requests of one config's jobs."""

    def __init__(self, config: Mapping[str, Any], costs: Sequence[Cost]) -> None:
        """Take a valid config, and the measurements of its `site_device`."""
        self.resources = config["resources"]
        self.most_min: int | None = config["site_runtime_min"]
        self.most_mb: int | None = config["site_memory_mb"]
        self.costs = costs

    @staticmethod
    def of(config: Mapping[str, Any], costs: Path) -> Requests:
        """Read the measurements as well; without a `site_device` there are none to read.

        Raises:
            InputError: the file of measurements cannot be used.
        """
        device = config["site_device"]
        if device is None:
            return Requests(config, ())
        threads = config["resources"]["cpus"]
        measured = [
            cost
            for cost in read_costs(costs)
            if cost.device == device and (cost.kind == "gpu" or cost.threads == threads)
        ]
        return Requests(config, measured)

    def cell_min(self, cell: Cell) -> int:
        """Minutes that a cell is taken to need, with headroom, whatever the site allows."""
        if self.costs:
            found = estimate(cell, self.costs)
            if found.found is not None:
                minutes = self.resources["headroom"] * found.seconds() / 60
                return START_MIN + math.ceil(minutes)
        return self.dimension_min(cell.dimension)

    def dimension_min(self, dimension: int) -> int:
        """Minutes by `resources.runtime_min`: the entry of the largest dimension reached."""
        entries = {int(start): value for start, value in self.resources["runtime_min"].items()}
        reached = [start for start in entries if start <= dimension]
        return entries[max(reached, default=min(entries))]

    def runtime_min(self, minutes: int, attempt: int) -> int:
        """Minutes that an attempt asks for: as many times the first's, but no more than allowed."""
        return _at_most(attempt * minutes, self.most_min)

    def memory_mb(self, memory_mb: int, attempt: int) -> int:
        """MB that an attempt asks for: as many times the first's, but no more than allowed."""
        return _at_most(min(attempt, MEMORY_GROWTH) * memory_mb, self.most_mb)

    def training_mb(self, attempt: int) -> int:
        """MB that a training job asks for."""
        return self.memory_mb(self.resources["memory_mb"], attempt)

    def training_min(self, cell: Cell, attempt: int) -> int:
        """Minutes that a cell's training job asks for."""
        return self.runtime_min(self.cell_min(cell), attempt)

    def preparing_min(self, dimension: int, attempt: int) -> int:
        """Minutes that a pair's job asks for, which may be to train it."""
        return self.runtime_min(self.dimension_min(dimension), attempt)

    def light_mb(self, attempt: int) -> int:
        """MB that a job asks for that trains nothing."""
        return self.memory_mb(self.resources["light"]["memory_mb"], attempt)

    def light_min(self, attempt: int, times: int = 1) -> int:
        """Minutes that a job asks for that trains nothing, or of `times` as much work."""
        return self.runtime_min(times * self.resources["light"]["runtime_min"], attempt)

    def jobs_of(self, cell: Cell) -> int:
        """How many jobs a cell is spread over by the site's limit, if none of them fails."""
        if self.most_min is None:
            return 1
        # Each pays for its start once more, and is stopped before its limit.
        usable = max(1, self.most_min - START_MIN)
        return max(1, math.ceil((self.cell_min(cell) - START_MIN) / usable))


def _at_most(value: int, limit: int | None) -> int:
    return value if limit is None else min(value, limit)

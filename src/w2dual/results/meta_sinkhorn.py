"""What starts are worth: counts of iterations by start, solver and tolerance, with intervals.

Means are over pairs of measures and, of a network, over its seeds; intervals are those of a
bootstrap over pairs, which all starts share. A count that was not reached has no mean; where a seed
of a network diverged, the mean is infinite, and that of the seeds that finished stands beside it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from w2dual.decoding import decode
from w2dual.records import InputError, load_arrays
from w2dual.results.frames import read_csv
from w2dual.results.published import read_published

ZEROS, GAUSSIAN, META = "zeros", "gaussian", "meta"
FORMAT = 2
"""Of a study."""
STAND_INS = {"packaged": "what an installed package has", "other": "other files of a folder"}
"""Sources of measures that are a stand-in (`measures.discrete.places`), and what it is."""
PLAIN = "sinkhorn"
"""The solver of the published values."""
COUNTS = ("start", "finetuner", "every", "tolerance", "seed", "instance", "iterations", "products")
RESAMPLES = 2000


@dataclass(frozen=True)
class TableSettings:
    """What the config says of the table.

    Attributes:
        tasks: in order.
        methods: names of the networks' methods, in order.
        tolerances: of the error, from the largest.
        check_every: iterations between two looks.
        preset: name, label, reduced.
        iterations: training steps of a network.
        finetuners: names of the solvers, in order.
    """

    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    tolerances: tuple[float, ...]
    check_every: tuple[int, ...]
    preset: Mapping[str, Any]
    iterations: int
    finetuners: tuple[str, ...]

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> TableSettings:
        """Check and take the settings.

        Raises:
            InputError: a key is missing or unknown, or a value of a wrong type.
        """
        return decode(TableSettings, record, "table settings")

    @property
    def starts(self) -> tuple[str, ...]:
        """Names of all starts, in order."""
        return (ZEROS, GAUSSIAN, *self.methods)


@dataclass(frozen=True)
class Study:
    """The files of the study of one task.

    Attributes:
        task: name of the pair of measures.
        counts: as `COUNTS`.
        arrays: errors by iteration, and what figures draw.
        metadata: settings, data, networks with their seeds, times and provenance.
    """

    task: str
    counts: pd.DataFrame
    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any]

    @property
    def data_source(self) -> str:
        """Where the measures are from; those of `STAND_INS` are a stand-in."""
        return str(self.metadata["data"]["source"])

    def seeds_of(self, start: str) -> tuple[int, int]:
        """Return how many seeds a start has and how many of them diverged; one without a network.

        Raises:
            InputError: the study has no such start.
        """
        if start in (ZEROS, GAUSSIAN):
            return 1, 0
        networks = self.metadata["networks"]
        if start not in networks:
            raise InputError(
                f"the study of {self.task} has no start `{start}`; it has the networks "
                f"{', '.join(networks) or 'of no method'}; make it again"
            )
        return len(networks[start]["seeds"]), len(networks[start]["diverged"])

    def ran(self, finetuner: str) -> bool:
        """Return whether a solver was run, which it then was from every start."""
        return bool((self.counts["finetuner"] == finetuner).any())


def read(counts: Sequence[Path], traces: Sequence[Path]) -> list[Study]:
    """Read the files of studies.

    Raises:
        InputError: a file is missing, damaged, or there are not as many of each.
    """
    if len(counts) != len(traces):
        raise InputError("expected as many --counts as --traces, of the tasks in the same order")
    found = []
    for table, trace in zip(counts, traces, strict=True):
        arrays, metadata = read_traces(trace)
        task = metadata["settings"]["task"]
        found.append(Study(task, read_csv(table, COUNTS), arrays, metadata))
    return found


def read_traces(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays and the metadata of a study.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    arrays, metadata = load_arrays(path)
    known = {"settings", "times", "networks", "drawn"} <= metadata.keys()
    if metadata.get("format") != FORMAT or not known:
        raise InputError(
            f"{path}: holds no study of starts of format {FORMAT}; `meta-sinkhorn` makes one"
        )
    return arrays, metadata


def check(studies: Sequence[Study], settings: TableSettings) -> None:
    """Check that all tasks and starts of the config are there.

    Raises:
        InputError: one is missing; the message names it.
    """
    for task in settings.tasks:
        if task not in [study.task for study in studies]:
            raise InputError(f"there is no study of the task `{task}`")
    for study in studies:
        for start in settings.starts:
            study.seeds_of(start)


def diverged(studies: Sequence[Study], settings: TableSettings) -> list[tuple[str, str, int, int]]:
    """Return task, method, diverged seeds and seeds of the networks of which a seed diverged."""
    found = []
    for study in studies:
        for method in settings.methods:
            seeds, lost = study.seeds_of(method)
            if lost:
                found.append((study.task, method, lost, seeds))
    return found


def tidy(
    studies: Sequence[Study], settings: TableSettings, published: pd.DataFrame
) -> pd.DataFrame:
    """Return a row for each task, solver, start, look and tolerance, with published seconds.

    Raises:
        InputError: a study lacks a task, a start or counts of it.
    """
    check(studies, settings)
    rows = [
        _row(study, *key, published)
        for study in studies
        for key in itertools.product(
            settings.finetuners,
            settings.starts,
            settings.check_every,
            sorted(settings.tolerances, reverse=True),
        )
        if study.ran(key[0])
    ]
    return pd.DataFrame(rows)


def read_seconds(folder: Path) -> pd.DataFrame:
    """Read the published seconds of tables/published."""
    columns = ["task", "start", "tolerance", "mean_s", "std_s"]
    return read_published(folder / "meta_ot_sinkhorn.csv", columns)


def chosen(
    study: Study, finetuner: str, start: str, every: int, tolerance: float, of: str = "iterations"
) -> Float[np.ndarray, "pairs seeds"]:
    """Return counts by pair of measures and finished seed; NaN where the tolerance was not met.

    Raises:
        InputError: there is no count, though a seed finished.
    """
    frame = study.counts
    frame = frame[
        (frame["finetuner"] == finetuner)
        & (frame["start"] == start)
        & (frame["every"] == every)
        & np.isclose(frame["tolerance"], tolerance, rtol=1e-9)
    ]
    seeds, lost = study.seeds_of(start)
    if frame.empty and lost < seeds:
        raise InputError(
            f"the study of {study.task} has no counts of {start} by {finetuner}, looked at every "
            f"{every} iterations, to {tolerance:g}; make it again"
        )
    table = frame.pivot(index="instance", columns="seed", values=of)
    return table.where(table >= 0).to_numpy(float)


def _row(
    study: Study,
    finetuner: str,
    start: str,
    every: int,
    tolerance: float,
    published: pd.DataFrame,
) -> dict[str, Any]:
    key = (finetuner, start, every, tolerance)
    iterations = chosen(study, *key)
    products = chosen(study, *key, of="products")
    zeros = chosen(study, finetuner, ZEROS, every, tolerance).mean(axis=1)
    seeds, lost = study.seeds_of(start)
    finished = float(iterations.mean()) if iterations.size else math.nan
    # A seed that diverged counts as infinite, as in the other tables.
    by_pair = np.full(len(zeros), math.inf) if lost else iterations.mean(axis=1)
    low, high = (math.inf, math.inf) if lost else interval(by_pair)
    time = _time(study, finetuner, start)
    theirs = published[
        (published["task"] == study.task)
        & (published["start"] == start)
        & np.isclose(published["tolerance"].astype(float), tolerance, rtol=1e-9)
        & (finetuner == PLAIN)
    ]
    mean_s, std_s = (
        (float(theirs[name].iloc[0]) if len(theirs) else np.nan) for name in ("mean_s", "std_s")
    )
    from_zeros = published[
        (published["task"] == study.task)
        & (published["start"] == ZEROS)
        & np.isclose(published["tolerance"].astype(float), tolerance, rtol=1e-9)
    ]
    ratio = float(from_zeros["mean_s"].iloc[0]) / mean_s if len(from_zeros) else np.nan
    mean = float(by_pair.mean())
    return {
        "task": study.task,
        "finetuner": finetuner,
        "start": start,
        "every": every,
        "tolerance": tolerance,
        "pairs": len(by_pair),
        "seeds": seeds,
        "diverged_seeds": lost,
        "not_met": int(np.isnan(iterations).sum()),
        "iterations_mean": mean,
        "iterations_std": math.nan if lost else float(iterations.std()),
        "iterations_finished_mean": finished,
        "iterations_low": low,
        "iterations_high": high,
        "iterations_max": math.inf if lost else float(iterations.max()),
        "products_mean": math.inf if lost else float(products.mean()),
        "saved_mean": float((zeros - by_pair).mean()),
        "start_ms": time["start_ms"],
        "iteration_ms": time["iteration_ms"],
        "total_ms": time["start_ms"] + mean * time["iteration_ms"],
        "published_s": mean_s,
        "published_std_s": std_s,
        "published_ratio": ratio,
        "device": study.metadata["provenance"].get("device"),
        "data": study.metadata["data"].get("label"),
        "data_source": study.data_source,
    }


def _time(study: Study, finetuner: str, start: str) -> dict[str, float]:
    found = [
        item
        for item in study.metadata["times"]
        if (item["finetuner"], item["start"]) == (finetuner, start)
    ]
    keys = ("start_ms", "iteration_ms")
    if not found:  # no seed finished
        return dict.fromkeys(keys, math.nan)
    return {key: float(np.mean([item[key] for item in found])) for key in keys}


def interval(values: Float[np.ndarray, " pairs"], level: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval of a mean; NaN where a value is missing."""
    if np.isnan(values).any():
        return float("nan"), float("nan")
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    means = values[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

"""What starts are worth: counts of iterations by start, solver and tolerance, with intervals.

Means are over pairs of measures and, of a network, over its seeds; intervals are those of a
bootstrap over pairs, which all starts share. A count that was not reached has no mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from w2dual.decoding import decode
from w2dual.records import InputError, load_arrays
from w2dual.results.claims import FAILS, HOLDS, INCONCLUSIVE, MISSING, MIXED
from w2dual.results.frames import read_csv
from w2dual.results.published import read_published

ZEROS, GAUSSIAN, META = "zeros", "gaussian", "meta"
PACKAGED = "packaged"
"""Source of measures that are a stand-in of an installed package."""
PLAIN = "sinkhorn"
"""The solver of the published values."""
COUNTS = ("start", "finetuner", "every", "tolerance", "seed", "instance", "iterations", "products")
RESAMPLES = 2000
CONSTANT = 0.25
"""Savings at two tolerances are the same where they differ by no more than this fraction."""


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
        metadata: settings, data, times and provenance.
    """

    task: str
    counts: pd.DataFrame
    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any]

    @property
    def data_source(self) -> str:
        """Where the measures are from; `PACKAGED` is a stand-in."""
        return str(self.metadata["data"]["source"])


def read(counts: Sequence[Path], traces: Sequence[Path]) -> list[Study]:
    """Read the files of studies.

    Raises:
        InputError: a file is missing, damaged, or there are not as many of each.
    """
    if len(counts) != len(traces):
        raise InputError("expected as many --counts as --traces, of the tasks in the same order")
    found = []
    for table, trace in zip(counts, traces, strict=True):
        arrays, metadata = load_arrays(trace)
        if "settings" not in metadata or "times" not in metadata:
            raise InputError(f"{trace}: holds no study of starts; `meta-sinkhorn` makes one")
        task = metadata["settings"]["task"]
        found.append(Study(task, read_csv(table, COUNTS), arrays, metadata))
    return found


def tidy(
    studies: Sequence[Study], settings: TableSettings, published: pd.DataFrame
) -> pd.DataFrame:
    """Return a row for each task, solver, start, look and tolerance, with published seconds."""
    rows = [
        _row(study, *key, published)
        for study in studies
        for key in itertools.product(
            settings.finetuners,
            settings.starts,
            settings.check_every,
            sorted(settings.tolerances, reverse=True),
        )
        if _chosen(study, *key[:3], key[3]).size
    ]
    return pd.DataFrame(rows)


def read_seconds(folder: Path) -> pd.DataFrame:
    """Read the published seconds of tables/published."""
    columns = ["task", "start", "tolerance", "mean_s", "std_s"]
    return read_published(folder / "meta_ot_sinkhorn.csv", columns)


def _chosen(
    study: Study, finetuner: str, start: str, every: int, tolerance: float, of: str = "iterations"
) -> Float[np.ndarray, "pairs seeds"]:
    """Return counts by pair of measures and seed; NaN where the tolerance was not met."""
    frame = study.counts
    frame = frame[
        (frame["finetuner"] == finetuner)
        & (frame["start"] == start)
        & (frame["every"] == every)
        & np.isclose(frame["tolerance"], tolerance, rtol=1e-9)
    ]
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
    iterations = _chosen(study, *key)
    products = _chosen(study, *key, of="products")
    zeros = _chosen(study, finetuner, ZEROS, every, tolerance).mean(axis=1)
    by_pair = iterations.mean(axis=1)
    low, high = interval(by_pair)
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
        "seeds": iterations.shape[1],
        "not_met": int(np.isnan(iterations).sum()),
        "iterations_mean": mean,
        "iterations_std": float(iterations.std()),
        "iterations_low": low,
        "iterations_high": high,
        "iterations_max": float(iterations.max()),
        "products_mean": float(products.mean()),
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
    return {key: float(np.mean([item[key] for item in found])) for key in keys}


def interval(values: Float[np.ndarray, " pairs"], level: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval of a mean; NaN where a value is missing."""
    if np.isnan(values).any():
        return float("nan"), float("nan")
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    means = values[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def claims(
    studies: Sequence[Study], settings: TableSettings, published: pd.DataFrame
) -> pd.DataFrame:
    """Return the two claims, each with counts of comparisons and a word.

    A comparison is of the same pairs of measures: it is decided where the bootstrap interval of the
    mean difference does not hold 0, or, for savings, where it lies within the margin or outside.
    """
    # The paper's claim is of its own network; ours of the best row that there is besides it.
    order: list[int] = []
    constant: list[int] = []
    for study in studies:
        for tolerance in settings.tolerances:
            order += _order(study, settings, tolerance)
        constant += _constant(study, settings)
    theirs = _published_order(published)
    rows = [
        {
            "claim": "a prediction is the best start",
            "sentence": "Meta OT needs less than the Gaussian start, and that less than zeros",
            "source": "Meta OT, table 1 and appendix; talk",
            "check": "plain Sinkhorn, each task and tolerance: prediction against Gaussian, "
            "Gaussian against zeros, iterations of the same pairs",
            **_word(order, settings),
            **_counts(theirs, "published_"),
            "published_verdict": _word(theirs, None)["verdict"],
        },
        {
            "claim": "a warm start saves a constant number of iterations",
            "sentence": "what a start saves does not grow as the tolerance falls",
            "source": "ours: no start changes the rate of the tail",
            "check": f"plain Sinkhorn, each task and prediction: saved at the smallest tolerance "
            f"against the second largest, within {CONSTANT:.0%}",
            **_word(constant, settings),
            **_counts([], "published_"),
            "published_verdict": MISSING,
        },
    ]
    marks = {"preset": settings.preset["name"], "reduced": settings.preset["reduced"]}
    marks["data_source"] = ", ".join(dict.fromkeys(study.data_source for study in studies))
    return pd.DataFrame([row | marks for row in rows])


def _order(study: Study, settings: TableSettings, tolerance: float) -> list[int]:
    """Return 1, -1 or 0 for each comparison: as claimed, the other way, or not decided."""
    means = {
        start: _chosen(study, PLAIN, start, 1, tolerance).mean(axis=1)
        for start in settings.starts
        if _chosen(study, PLAIN, start, 1, tolerance).size
    }
    pairs = [(start, GAUSSIAN) for start in settings.methods] + [(GAUSSIAN, ZEROS)]
    found = []
    for better, worse in pairs:
        if better in means and worse in means:
            low, high = interval(means[worse] - means[better])
            found.append(1 if low > 0 else -1 if high < 0 else 0)
    return found


def _constant(study: Study, settings: TableSettings) -> list[int]:
    """Return the same for the savings of each prediction, at two tolerances."""
    ordered = sorted(settings.tolerances, reverse=True)
    if len(ordered) < 3:
        return []
    found = []
    for start in settings.methods:
        saved = []
        for tolerance in (ordered[1], ordered[-1]):
            own = _chosen(study, PLAIN, start, 1, tolerance)
            if not own.size:
                break
            zeros = _chosen(study, PLAIN, ZEROS, 1, tolerance).mean(axis=1)
            saved.append(zeros - own.mean(axis=1))
        if len(saved) == 2:
            margin = CONSTANT * abs(float(np.mean(saved[0])))
            low, high = interval(saved[1] - saved[0])
            inside = -margin <= low and high <= margin
            outside = low > margin or high < -margin
            found.append(1 if inside else -1 if outside else 0)
    return found


def _published_order(published: pd.DataFrame) -> list[int]:
    """Return the order of the printed means; one that is not strict is not decided."""
    found = []
    for _, group in published.groupby(["task", "tolerance"], sort=False):
        mean = group.set_index("start")["mean_s"].astype(float)
        for better, worse in ((META, GAUSSIAN), (GAUSSIAN, ZEROS)):
            found.append(int(np.sign(mean[worse] - mean[better])))
    return found


def _counts(found: Sequence[int], prefix: str = "") -> dict[str, int]:
    names = {"supported": 1, "contradicted": -1, "undecided": 0}
    return {f"{prefix}{name}": list(found).count(value) for name, value in names.items()}


def _word(found: Sequence[int], settings: TableSettings | None) -> dict[str, Any]:
    counts = _counts(found)
    if not found:
        word = MISSING
    elif settings is not None and settings.preset["reduced"]:
        word = INCONCLUSIVE
    elif not counts["contradicted"] and 2 * counts["supported"] >= len(found):
        word = HOLDS
    else:
        word = FAILS if counts["contradicted"] > counts["supported"] else MIXED
    return {**counts, "verdict": word}

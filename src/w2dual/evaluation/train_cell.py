"""One cell, from its record and a prepared pair to its metrics, history and parameters."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from w2dual import closure, measures, provenance
from w2dual.config.cells import Cell, modules, pair_modules
from w2dual.evaluation import cell as cell_evaluation
from w2dual.measures import Pair, SolvedPair
from w2dual.records import (
    InputError,
    file_sha256,
    load_arrays,
    remove_partials,
    write_json,
)
from w2dual.training import run
from w2dual.training.checkpoint import EVERY_S, KEEP, Checkpoints, origin
from w2dual.training.files import METRICS_FORMAT, save_params, write_history
from w2dual.training.loop import shards
from w2dual.training.stopping import EarlyWarning, Stopped

log = logging.getLogger(__name__)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _variances(pair: Pair) -> dict[str, float]:
    if not isinstance(pair, SolvedPair):
        return {}
    return {"var_source": float(pair.var_source), "var_target": float(pair.var_target)}


def _modules(cell: Cell, pair_metadata: Mapping[str, Any]) -> list[str]:
    """Return the modules whose code a checkpoint of a cell depends on."""
    kind = pair_metadata.get("module") or pair_metadata["kind"]
    return ["evaluation.train_cell", *modules(cell), *pair_modules(kind)]


class Outputs(NamedTuple):
    """The files of a trained cell, to write."""

    metrics: Path
    history: Path
    params: Path


def train_cell(
    cell: Cell,
    preset: Mapping[str, Any],
    measures_path: Path,
    outputs: Outputs,
    checkpoints_folder: Path,
    *,
    every_s: float = EVERY_S,
    keep: int = KEEP,
) -> None:
    """Train all seeds of a cell, then write its files; none where training fails.

    Args:
        cell: the cell.
        preset: name, label, reduced.
        measures_path: prepared pair of measures.
        outputs: files to write.
        checkpoints_folder: what a killed job resumes from, removed at the end.
        every_s: seconds between checkpoints; moves no number.
        keep: checkpoints to keep, the newest.

    Raises:
        InputError: the cell or the measures cannot be used.
        SystemExit: SIGTERM or SIGUSR1 stopped the training; the code is 128 + the signal's number.
    """
    pair = measures.load(measures_path)
    _, pair_metadata = load_arrays(measures_path)
    if pair.dimension != cell.dimension:
        raise InputError(
            f"{measures_path}: holds measures on R^{pair.dimension}, "
            f"the cell {cell.name} needs R^{cell.dimension}"
        )
    measures_sha256 = file_sha256(measures_path)
    checkpoints = Checkpoints(
        checkpoints_folder,
        origin(cell, measures_sha256, closure.digest(_modules(cell, pair_metadata))),
        every_s=every_s,
        keep=keep,
    )
    for path in outputs:
        remove_partials(path)
    started = _now()
    try:
        with EarlyWarning():
            result = run.train(cell, pair, cell_evaluation.make, checkpoints)
    except Stopped as stopped:
        log.warning("%s", stopped)
        raise SystemExit(128 + stopped.signum) from None
    save_params(outputs.params, result.state.params, cell)
    write_history(outputs.history, result.history)
    record = {
        "format": METRICS_FORMAT,
        "cell": cell.to_json(),
        "preset": preset,
        "measures": {
            "source": pair_metadata.get("source"),
            **_variances(pair),
            "sha256": measures_sha256,
        },
        "headline": result.headline._asdict(),
        "seeds": result.seeds,
        "timing": result.timing,
        "provenance": provenance.gather(started, _now())
        | {"devices": 1 if pair.whole_batches else shards(cell.training.batch_size)},
    }
    write_json(outputs.metrics, record)
    checkpoints.remove()

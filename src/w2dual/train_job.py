"""The job `train`: one cell from its record and a prepared pair to metrics, history, parameters."""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from w2dual import cell_evaluation, measures, methods, provenance, training
from w2dual.backend import configure
from w2dual.cells import Cell
from w2dual.checkpoint import EVERY_S, KEEP, Checkpoints, origin
from w2dual.loop import shards
from w2dual.measures import Measures, Pair
from w2dual.records import (
    InputError,
    file_sha256,
    json_argument,
    load_arrays,
    remove_partials,
    save_arrays,
    write_json,
    write_text,
)
from w2dual.stopping import EarlyWarning, Stopped

log = logging.getLogger(__name__)

FORMAT = 1
"""Of params.safetensors."""
METRICS_FORMAT = 2
"""Of metrics.json."""


def flatten(params: Any) -> dict[str, np.ndarray]:
    """Name every parameter array, for example `potential/x_0/kernel`; leading axis: seeds."""
    named: dict[str, np.ndarray] = {}

    def walk(prefix: str, tree: Any) -> None:
        if isinstance(tree, Mapping):
            for key, value in tree.items():
                walk(f"{prefix}/{key}", value)
        elif tree is not None:
            named[prefix] = np.asarray(tree)

    for network, tree in params._asdict().items():
        walk(network, tree)
    return named


def unflatten(named: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Invert `flatten`, to the parameters of each network by its name."""
    trees: dict[str, Any] = {}
    for name, array in named.items():
        *path, last = name.split("/")
        node = trees
        for part in path:
            node = node.setdefault(part, {})
        node[last] = array
    return trees


def load_params(path: str | Path) -> tuple[Any, Cell, list[int]]:
    """Read trained parameters, with the cell and the seeds they belong to.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    arrays, metadata = load_arrays(path)
    if metadata.get("format") != FORMAT or not {"cell", "seeds"} <= metadata.keys():
        raise InputError(f"{path}: holds no parameters of a trained cell of format {FORMAT}")
    cell = Cell.from_json(metadata["cell"])
    trees, wanted = unflatten(arrays), methods.make(cell.settings, cell.dimension)
    if trees.keys() != wanted.networks.keys():
        raise InputError(
            f"{path}: holds the networks {', '.join(sorted(trees)) or 'none'}; "
            f"the cell {cell.name} has {', '.join(sorted(wanted.networks))}"
        )
    return wanted.assemble(trees), cell, metadata["seeds"]


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        # An empty field stands for a number that is not finite.
        kept = {k: "" if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
        writer.writerow(kept)
    return text.getvalue()


def _variances(pair: Measures) -> dict[str, float]:
    if not isinstance(pair, Pair):
        return {}
    return {"var_source": float(pair.var_source), "var_target": float(pair.var_target)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--cell", required=True, help="record of the cell: JSON or a file")
    parser.add_argument("--preset", required=True, help="name, label, reduced: JSON or a file")
    parser.add_argument("--measures", required=True, type=Path, help="prepared pair of measures")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--metrics", required=True, type=Path, help="metrics.json to write")
    parser.add_argument("--history", required=True, type=Path, help="history .csv to write")
    parser.add_argument("--params", required=True, type=Path, help="parameters to write")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        help="folder for what a killed job goes on from, removed at the end "
        "(default: checkpoints/CELL)",
    )
    parser.add_argument(
        "--checkpoint-every-s",
        type=float,
        default=EVERY_S,
        help="seconds between checkpoints (default: %(default)s); moves no number",
    )
    parser.add_argument(
        "--checkpoint-keep",
        type=int,
        default=KEEP,
        help="checkpoints to keep, the newest (default: %(default)s)",
    )


def main(args: argparse.Namespace) -> None:
    """Train, then write all files; nothing is written where training fails.

    Raises:
        InputError: the cell, the measures or an option cannot be used.
        SystemExit: SIGTERM or SIGUSR1 stopped the training; the code is 128 + the signal's number.
    """
    configure(threads=args.threads)
    cell = Cell.from_json(json_argument(args.cell))
    preset = json_argument(args.preset)
    pair = measures.load(args.measures)
    _, pair_metadata = load_arrays(args.measures)
    if pair.dimension != cell.dimension:
        raise InputError(
            f"{args.measures}: holds measures on R^{pair.dimension}, "
            f"the cell {cell.name} needs R^{cell.dimension}"
        )
    measures_sha256 = file_sha256(args.measures)
    checkpoints = Checkpoints(
        args.checkpoints or Path("checkpoints") / cell.name,
        origin(cell, measures_sha256, pair_metadata.get("module")),
        every_s=args.checkpoint_every_s,
        keep=args.checkpoint_keep,
    )
    for path in (args.metrics, args.history, args.params):
        remove_partials(path)
    started = _now()
    try:
        with EarlyWarning():
            result = training.train(cell, pair, cell_evaluation.make, checkpoints)
    except Stopped as stopped:
        log.warning("%s", stopped)
        raise SystemExit(128 + stopped.signum) from None
    save_arrays(
        args.params,
        flatten(result.state.params),
        {"format": FORMAT, "cell": cell.to_json(), "seeds": cell.settings["seeds"]},
    )
    write_text(args.history, _csv(result.history))
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
        | {"devices": shards(cell.settings["training"]["batch_size"])},
    }
    write_json(args.metrics, record)
    checkpoints.remove()

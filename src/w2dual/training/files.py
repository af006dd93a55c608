"""The files of a trained cell: its parameters, its history, and the format of its metrics."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2dual.config.cells import Cell
from w2dual.records import InputError, load_arrays, save_arrays, write_text
from w2dual.training import methods

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


def save_params(path: Path, params: Any, cell: Cell) -> None:
    """Write the parameters of all seeds of a cell."""
    metadata = {"format": FORMAT, "cell": cell.to_json(), "seeds": cell.seeds}
    save_arrays(path, flatten(params), metadata)


def load_params(path: str | Path) -> tuple[Any, Cell, list[int]]:
    """Read trained parameters, with the cell and the seeds they belong to.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    arrays, metadata = load_arrays(path)
    if metadata.get("format") != FORMAT or not {"cell", "seeds"} <= metadata.keys():
        raise InputError(f"{path}: holds no parameters of a trained cell of format {FORMAT}")
    try:
        cell = Cell.from_json(metadata["cell"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    trees, wanted = unflatten(arrays), methods.make(cell.settings, cell.dimension)
    if trees.keys() != wanted.networks.keys():
        raise InputError(
            f"{path}: holds the networks {', '.join(sorted(trees)) or 'none'}; "
            f"the cell {cell.name} has {', '.join(sorted(wanted.networks))}"
        )
    return wanted.assemble(trees), cell, metadata["seeds"]


def write_history(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write history.csv: a line a row; an empty field is a number that is not finite."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        kept = {k: "" if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
        writer.writerow(kept)
    write_text(path, text.getvalue())

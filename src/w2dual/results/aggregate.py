"""Gather the metrics files of all expected cells in one tidy frame: one row per (cell, seed).

The list of cells comes from the config, never from what lies in a folder: a cell that is missing,
unreadable, given twice or trained with other settings stops the job.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from w2dual.records import InputError, atomic_path, read_json
from w2dual.results.frames import read_csv
from w2dual.results.measured.base import Measured
from w2dual.results.measured.hd import MEASURED as HD

log = logging.getLogger(__name__)

FORMAT = 2
STATUSES = ("finished", "diverged")
CELL_FIELDS = ("name", "pair", "dimension", "potential", "amortization", "solver", "hash")
CONJUGATE_STATUSES = (
    "converged",
    "iteration_limit",
    "stalled",
    "line_search_failed",
    "non_finite",
)
SPIKES = ("steps", "largest_loss", "first_step", "last_step")
"""What is recorded of the steps of training whose loss was a spike."""
BEFORE = ("before_divergence_step", "before_divergence")
"""Of a diverged seed: the step of its last evaluation, and the headline there."""
TIMINGS = (
    "seconds_per_step",
    "steps_per_second",
    "training_s",
    "compile_s",
    "pretraining_s",
    "conjugation_ms",
    "conjugation_ms_low",
    "conjugation_ms_high",
)
"""Of the whole job, all its seeds together, and so the same for each of them."""


def columns(by: Measured) -> tuple[str, ...]:
    """Return the columns of the tidy frame of cells that are measured in one way."""
    return (
        "cell",
        *CELL_FIELDS[1:],
        "seed",
        "status",
        "diverged_at_step",
        "steps",
        *BEFORE,
        *by.metrics,
        *(f"best_{name}{part}" for name in by.best for part in ("", "_step")),
        *(f"conjugate_{status}" for status in CONJUGATE_STATUSES),
        *(f"training_{status}" for status in CONJUGATE_STATUSES),
        "worst_conjugate_residual",
        *(f"spikes_{name}" for name in SPIKES),
        *TIMINGS,
        "preset",
        "preset_label",
        "reduced",
        "measures_source",
        "measures_sha256",
        "device",
        "git_commit",
        "ended",
    )


def _integers(by: Measured) -> tuple[str, ...]:
    """Return those of `columns` that hold whole numbers."""
    return (
        "diverged_at_step",
        "steps",
        "before_divergence_step",
        *(f"{at}_{status}" for at in ("conjugate", "training") for status in CONJUGATE_STATUSES),
        *(f"spikes_{name}" for name in SPIKES if name != "largest_loss"),
        *(f"best_{name}_step" for name in by.best),
    )


def aggregate(
    metrics_files: Sequence[Path],
    expected_cells: Sequence[Mapping[str, Any]],
    out_csv: Path,
    by: Measured = HD,
) -> pd.DataFrame:
    """Write the tidy frame of all expected cells to `out_csv` and return it.

    Args:
        metrics_files: one metrics.json for each expected cell, in any order.
        expected_cells: records with `name` and `hash`, as the config defines the cells.
        out_csv: rows are sorted by pair, potential, amortization, solver and seed, so the same
            inputs give the same bytes. An empty field is a number that was not finite, or that
            the cell does not have.
        by: what the cells are measured by.

    Raises:
        InputError: a file is missing, unreadable, of another format, of a cell that is not
            expected or given twice; or a cell has no file, has other settings than expected, or
            lacks or repeats a seed. Nothing is written then.
    """
    expected = _by_name(expected_cells)
    rows: list[dict[str, Any]] = []
    origin: dict[str, Path] = {}
    for path in metrics_files:
        record = read_json(path)
        found = rows_of_cell(record, path, by)
        name = found[0]["cell"]
        if name in origin:
            raise InputError(f"{path}: cell {name} was already given by {origin[name]}")
        if name not in expected:
            raise InputError(
                f"{path}: cell {name} is not one of the {len(expected)} expected cells"
            )
        if found[0]["hash"] != expected[name]:
            raise InputError(
                f"{path}: cell {name} was trained with other settings (hash {found[0]['hash']}) "
                f"than the config now gives (hash {expected[name]}); train it again"
            )
        origin[name] = path
        rows.extend(found)
    missing = [name for name in expected if name not in origin]
    if missing:
        raise InputError(
            f"no metrics file for {len(missing)} of {len(expected)} cells: {', '.join(missing)}"
        )
    frame = tidy(rows, by)
    _check_one_origin(frame, "preset", by=None, what="presets")
    _check_one_origin(frame, "measures_sha256", by="pair", what="prepared files of the measures")
    with atomic_path(out_csv) as partial:
        frame.to_csv(partial, index=False, lineterminator="\n")
    diverged = int((frame["status"] == "diverged").sum())
    log.info(
        "%s: %d cells, %d seeds, %d of them diverged",
        out_csv,
        frame["cell"].nunique(),
        len(frame),
        diverged,
    )
    return frame


def tidy(rows: Iterable[Mapping[str, Any]], by: Measured = HD) -> pd.DataFrame:
    """Return rows as a frame in one order of rows and columns, with whole numbers kept whole."""
    frame = pd.DataFrame(list(rows), columns=list(columns(by)))
    for column in _integers(by):
        frame[column] = frame[column].astype("Int64")
    order = ["dimension", "pair", "potential", "amortization", "solver", "seed"]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def rows_of_cell(record: Any, path: Path, by: Measured = HD) -> list[dict[str, Any]]:
    """Return the rows of one metrics record, one for each seed, after checking it.

    Raises:
        InputError: a field is missing or ill-typed, or the seeds are not those of the cell's
            settings, each exactly once; the message names `path` and the field.
    """
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise InputError(f"{path}: metrics format is {found!r}, expected {FORMAT}")
    cell = _field(record, "cell", dict, path)
    preset = _field(record, "preset", dict, path)
    measures = _field(record, "measures", dict, path)
    timing = _field(record, "timing", dict, path)
    provenance = _field(record, "provenance", dict, path)
    common: dict[str, Any] = {
        "cell" if name == "name" else name: _field(
            cell, name, int if name == "dimension" else str, path, "cell."
        )
        for name in CELL_FIELDS
    }
    common |= {name: _number(timing, name, path, "timing.") for name in TIMINGS}
    common |= {
        "preset": _field(preset, "name", str, path, "preset."),
        "preset_label": _field(preset, "label", str, path, "preset."),
        "reduced": _field(preset, "reduced", bool, path, "preset."),
        "measures_source": _field(measures, "source", str, path, "measures."),
        "measures_sha256": measures.get("sha256"),
        "device": provenance.get("device"),
        "git_commit": provenance.get("git_commit"),
        "ended": provenance.get("ended"),
    }
    seeds = _field(record, "seeds", list, path)
    _check_seeds(cell, seeds, path)
    headline = _field(_field(record, "headline", dict, path), "column", str, path, "headline.")
    return [common | _seed_fields(entry, path, by, headline) for entry in seeds]


def _seed_fields(
    entry: Mapping[str, Any], path: Path, by: Measured, headline: str
) -> dict[str, Any]:
    where = f"seed {entry['seed']}: "
    status = entry.get("status")
    if status not in STATUSES:
        raise InputError(f"{path}: {where}status {status!r} is not one of {', '.join(STATUSES)}")
    counts = entry.get("conjugate_status") or {}
    training = _field(entry, "training_conjugate_status", dict, path, where)
    spikes = _field(entry, "spikes", dict, path, where)
    before = dict.fromkeys(BEFORE)
    if status == "diverged":
        last = _field(entry, "before_divergence", dict, path, where)
        inside = f"{where}before_divergence."
        values = (
            _field(last, "step", int, path, inside),
            _number(last, headline, path, inside),
        )
        before = dict(zip(BEFORE, values, strict=True))
    return {
        "seed": entry["seed"],
        "status": status,
        "diverged_at_step": entry.get("diverged_at_step"),
        "steps": _field(entry, "steps", int, path, where),
        **{name: _number(entry, name, path, where) for name in by.metrics},
        **before,
        **_best(entry, path, by, where),
        **{f"conjugate_{name}": counts.get(name) for name in CONJUGATE_STATUSES},
        **{
            f"training_{name}": _field(training, name, int, path, where)
            for name in CONJUGATE_STATUSES
        },
        "worst_conjugate_residual": _number(entry, "worst_conjugate_residual", path, where),
        **{f"spikes_{name}": _number(spikes, name, path, f"{where}spikes.") for name in SPIKES},
    }


def _best(entry: Mapping[str, Any], path: Path, by: Measured, where: str) -> dict[str, Any]:
    """Return the best evaluation of each of `by.best`; infinite where no evaluation was finite.

    Nothing of metrics that an older version wrote, which lack it.
    """
    if "best" not in entry:
        return {}
    best = _field(entry, "best", dict, path, where)
    found: dict[str, Any] = {}
    for name in by.best:
        inside = f"{where}best.{name}."
        one = _field(best, name, dict, path, f"{where}best.")
        value = _number(one, "value", path, inside)
        found[f"best_{name}"] = math.inf if value is None else value
        found[f"best_{name}_step"] = one.get("step")
    return found


def _check_seeds(cell: Mapping[str, Any], seeds: list[Any], path: Path) -> None:
    if not all(isinstance(s, dict) and type(s.get("seed")) is int for s in seeds):
        raise InputError(f"{path}: seeds: each entry needs a whole number `seed`")
    settings = _field(cell, "settings", dict, path, "cell.")
    wanted = _field(settings, "seeds", list, path, "cell.settings.")
    found = [entry["seed"] for entry in seeds]
    repeated = sorted({seed for seed in found if found.count(seed) > 1})
    if repeated:
        raise InputError(f"{path}: cell {cell['name']}: seeds given more than once: {repeated}")
    if set(found) != set(wanted) or not found:
        raise InputError(
            f"{path}: cell {cell['name']}: has seeds {sorted(found)}, "
            f"its settings name {sorted(wanted)}"
        )


def _field(record: Mapping[str, Any], name: str, kind: type, path: Path, where: str = "") -> Any:
    if name not in record:
        raise InputError(f"{path}: {where}{name} is missing")
    value = record[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{path}: {where}{name} is {value!r}, expected {kind.__name__}")
    return value


def _number(record: Mapping[str, Any], name: str, path: Path, where: str) -> float | None:
    if name not in record:
        raise InputError(f"{path}: {where}{name} is missing (null stands for not finite)")
    value = record[name]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: {where}{name} is {value!r}, expected a number or null")
    return float(value)


def _by_name(cells: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    hashes: dict[str, str] = {}
    for cell in cells:
        try:
            name, digest = cell["name"], cell["hash"]
        except (KeyError, TypeError) as error:
            raise InputError(f"expected cells: {cell!r} lacks a name or a hash") from error
        if name in hashes:
            raise InputError(f"expected cells: {name} is listed twice")
        hashes[name] = digest
    if not hashes:
        raise InputError("expected cells: the list is empty")
    return hashes


def _check_one_origin(frame: pd.DataFrame, column: str, by: str | None, what: str) -> None:
    groups = [("the cells", frame)] if by is None else frame.groupby(by, sort=True)
    for name, group in groups:
        if group[column].nunique(dropna=False) > 1:
            example = group.drop_duplicates(column)
            raise InputError(
                f"{name}: trained from different {what}: "
                + ", ".join(f"{row.cell} ({getattr(row, column)})" for row in example.itertuples())
                + "; train them again from the same one"
            )


def read(path: Path, by: Measured = HD) -> pd.DataFrame:
    """Read what `aggregate` wrote.

    Raises:
        InputError: the file is missing, unreadable, or lacks columns; the message names it.
    """
    return read_csv(path, columns(by), keep_default_na=False, na_values=[""])

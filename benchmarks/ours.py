"""Keeps the cells of our own row and of what was tried for it, and tabulates them.

Usage:
    python -m benchmarks.ours keep RUN --into reference/ours/choice [--tree COMMIT]
    python -m benchmarks.ours keep RUN --into reference/ours/fresh [--tree COMMIT]
    python -m benchmarks.ours keep RUN --into reference/ours/seconds [--tree COMMIT]
    python -m benchmarks.ours render [--records reference/ours] [--document ...]

`keep` copies the finished cells of a run (`benchmarks.kept`). `choice` is for
cells of `presets/ours.yaml`, whose seeds choose; `fresh` for those of `presets/ours_fresh.yaml`,
whose seeds do not; `seconds` for those of `presets/ours_seconds.yaml`, where ours has half of the
steps. `render` writes the tables of docs/ours.md between their markers. A record is
never typed in.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kept import INVERSE, Collection, origin, paths
from benchmarks.paper_budget import changed, value
from benchmarks.render import table
from w2dual.config.names import method_words, words
from w2dual.config.reader import load
from w2dual.records import InputError, read_json
from w2dual.results.published import published_cells
from w2dual.results.summary import METRIC

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "reference" / "ours"
DOCUMENT = ROOT / "docs" / "ours.md"
PUBLISHED = ROOT / "tables" / "published"
BEGIN = "<!-- ours: begin; `python -m benchmarks.ours render` writes what stands here -->"
END = "<!-- ours: end -->"
USUAL = ("regression", "lbfgs")
"""The paper's method that the others are compared with."""

Record = dict[str, Any]


def read(folder: Path) -> list[Record]:
    """Return the records of a folder by dimension, and the better dual objective first.

    Raises:
        InputError: there is none.
    """
    found = [read_json(path) for path in paths(folder)]
    return sorted(found, key=lambda record: (_n(record), *_order(record, found)))


def _order(record: Record, records: Sequence[Record]) -> tuple[float, str]:
    beside = _usual(records, _n(record))
    gain = gains(record, beside) if beside else []
    return (-float(np.mean(gain)) if gain else np.inf, record["cell"]["name"])


def _n(record: Record) -> int:
    return record["cell"]["dimension"]


def _key(record: Record) -> tuple[str, str]:
    return record["cell"]["amortization"], record["cell"]["solver"]


def _usual(records: Sequence[Record], n: int) -> Record | None:
    return next((item for item in records if _n(item) == n and _key(item) == USUAL), None)


def usual(records: Sequence[Record], n: int) -> Record:
    """Return the record of the paper's method in n dimensions.

    Raises:
        InputError: there is none.
    """
    found = _usual(records, n)
    if found is None:
        raise InputError(
            f"no record of {method_words(*USUAL)} for n = {n}, which others are compared with; "
            "train and keep it too"
        )
    return found


def gains(record: Record, other: Record) -> list[float]:
    """Return how much larger the dual objective V is than in another record, seed by seed.

    Both are estimated from the same points where the seed is the same. Seeds that only one has, or
    that diverged, and methods without a conjugate give nothing.
    """
    theirs = {seed["seed"]: seed for seed in other["seeds"] if seed["status"] == "finished"}
    pairs = [
        (seed["dual_objective"], theirs[seed["seed"]]["dual_objective"])
        for seed in record["seeds"]
        if seed["status"] == "finished" and seed["seed"] in theirs
    ]
    return [one - two for one, two in pairs if one is not None and two is not None]


def errors(record: Record, column: str) -> str:
    """Return the mean over seeds and their standard deviation, in percent."""
    values = [value(seed, column) for seed in record["seeds"]]
    if not np.all(np.isfinite(values)):
        return "diverged"
    spread = f" ± {np.std(values):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def _name(record: Record) -> str:
    loss, solver = _key(record)
    return method_words(loss, solver) if (loss, solver) == USUAL else words(loss)


def _seeds(record: Record) -> str:
    return ", ".join(str(seed["seed"]) for seed in record["seeds"])


def _steps(record: Record) -> int:
    return record["cell"]["settings"]["training"]["iterations"]


def _minutes(record: Record) -> str:
    return f"{record['timing']['training_s'] / 60:.1f}"


def choice_table(records: Sequence[Record]) -> str:
    """Return a table of what was tried, with what it changes and what it gains in V.

    Raises:
        InputError: for a dimension there is no record of the paper's method.
    """
    rows = []
    for record in records:
        beside = usual(records, _n(record))
        gain = gains(record, beside)
        settings = record["cell"]["settings"]
        own = {key: item for key, item in settings.get("method", {}).items() if key != "kind"}
        what = changed({"cell": {"settings": {**settings, "method": None}}}, beside["cell"])
        what = ", ".join([what, *(f"`{key}: {item}`" for key, item in own.items())]).strip(", ")
        gained = f"{1e3 * np.mean(gain):.2f}" if gain and record is not beside else "--"
        rows.append([f"{_n(record)}, {_steps(record):,}", f"{_name(record)}: {what or 'as is'}"])
        rows[-1] += [_seeds(record), gained, errors(record, METRIC), errors(record, INVERSE)]
        rows[-1] += [_minutes(record)]
    header = ["n, steps", "what", "seeds", "gain in V, 1e-3", "forward", "inverse", "minutes"]
    return table(header, rows)


def fresh_table(records: Sequence[Record]) -> str:
    """Return a table of all methods on seeds that chose nothing, beside the paper's best entry."""
    rows = []
    for record in sorted(records, key=lambda record: (_n(record), _mean(record))):
        best, steps = paper_best(_n(record))
        rows.append([f"{_n(record)}", _name(record), f"{_steps(record):,}", _seeds(record)])
        rows[-1] += [errors(record, METRIC), errors(record, INVERSE), best, steps, _minutes(record)]
    header = ["n", "method", "steps", "seeds", "forward", "inverse", "paper's best", "of steps"]
    return table([*header, "minutes"], rows)


def seconds_table(records: Sequence[Record]) -> str:
    """Return a table of ours and the paper's method, each with the seconds of its steps.

    Raises:
        InputError: for a dimension there is no record of the paper's method.
    """
    rows = []
    for record in records:
        beside = usual(records, _n(record))
        seconds = record["timing"]["training_s"] / len(record["seeds"])
        part = seconds / (beside["timing"]["training_s"] / len(beside["seeds"]))
        rows.append([f"{_n(record)}", _name(record), f"{_steps(record):,}", _seeds(record)])
        rows[-1] += [errors(record, METRIC), errors(record, INVERSE)]
        rows[-1] += [f"{seconds:.0f}", f"{part:.2f}"]
    header = ["n", "method", "steps", "seeds", "forward", "inverse"]
    return table([*header, "seconds a seed", "of the paper's"], rows)


def _mean(record: Record) -> float:
    return float(np.mean([value(seed, METRIC) for seed in record["seeds"]]))


def paper_best(n: int) -> tuple[str, str]:
    """Return the lowest mean of the paper's two tables in n dimensions, and its training steps."""
    means = [
        float(frame[(frame["dimension"] == n) & ~frame["diverged"]]["mean"].min())
        for frame in (published_cells(PUBLISHED, potential) for potential in ("icnn", "mlp"))
    ]
    steps = load([ROOT / "config.yaml"])["hd"]["training"]["iterations"]
    return f"{min(means):.2f}", f"{steps:,}"


def text(folder: Path) -> str:
    """Return the generated part of the document."""
    fresh = read(folder / "fresh")
    choice = read(folder / "choice") if (folder / "choice").is_dir() else []
    parts = [
        f"{origin([*choice, *fresh])} L2-UVP in percent.",
        "### What was tried, with the seeds that chose",
        choice_table(choice) if choice else "No cells are recorded yet.",
        "### Fresh seeds",
        fresh_table(fresh),
    ]
    if (folder / "seconds").is_dir():
        parts += [
            "### In the seconds of the paper's method",
            seconds_table(read(folder / "seconds")),
        ]
    return "\n\n".join(parts)


COLLECTION = Collection(
    name="ours",
    about=__doc__.splitlines()[0] if __doc__ else "",
    records=RECORDS,
    document=DOCUMENT,
    begin=BEGIN,
    end=END,
    text=text,
)


if __name__ == "__main__":
    sys.exit(COLLECTION.main())

"""Compares the benchmark's own methods, as they train here, with what is published of them.

Usage:
    python -m benchmarks.baselines keep RUN [--into reference/baselines] [--tree COMMIT]
    python -m benchmarks.baselines render [--records reference/baselines] [--document ...]

`keep` copies the finished cells of a run, as `benchmarks.kept` has it. `render` writes
the tables of docs/baselines.md between their markers. A record is never typed in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import kept
from benchmarks.kept import INVERSE, ROOT, Collection
from benchmarks.notebook_curves import EVERY
from benchmarks.render import table
from w2dual.config.grid import cells_in
from w2dual.config.reader import load
from w2dual.records import InputError, read_json
from w2dual.results.baselines import published_values
from w2dual.results.summary import METRIC

RECORDS = ROOT / "reference" / "baselines"
DOCUMENT = ROOT / "docs" / "baselines.md"
PUBLISHED = ROOT / "tables" / "published"
NOTEBOOKS = "notebooks.csv"
NOTEBOOK_DIMENSION = 16
BEGIN = "<!-- baselines: begin; `python -m benchmarks.baselines render` writes what stands here -->"
END = "<!-- baselines: end -->"
FURTHEST = 15
"""Times its steps, to which a run's errors are continued by a line."""
SPAN = 200
"""Of the smoothing of the notebooks' plots (the benchmark's `tools.ewma`)."""

Record = dict[str, Any]


def read(folder: Path) -> list[tuple[Record, pd.DataFrame]]:
    """Return the records with their histories, by dimension and the table's order of methods.

    Raises:
        InputError: there is none, or one has no history or a method that has no published values.
    """
    order = list(dict.fromkeys(published_values(PUBLISHED)["method"]))
    found = []
    for path in kept.paths(folder):
        history = path.with_suffix(".csv")
        if not history.is_file():
            raise InputError(f"{history}: missing; `keep` puts it beside {path.name}")
        record = read_json(path)
        if _method(record) not in order:
            raise InputError(
                f"{path}: of method {_method(record)!r}, which the benchmark's table lacks; "
                "remove the record, since there is nothing to compare it with"
            )
        found.append((record, pd.read_csv(history)))
    return sorted(found, key=lambda pair: (_dimension(pair[0]), order.index(_method(pair[0]))))


def _dimension(record: Record) -> int:
    return record["cell"]["dimension"]


def _method(record: Record) -> str:
    return record["cell"]["amortization"]


def _steps(record: Record) -> int:
    return record["cell"]["settings"]["training"]["iterations"]


def steps_published() -> dict[tuple[str, int], int]:
    """Return the steps of each method and dimension in the config, which are the benchmark's."""
    cells = cells_in("baselines", load([ROOT / "config.yaml"]))
    return {
        (cell.amortization, cell.dimension): cell.settings["training"]["iterations"]
        for cell in cells
    }


def budget_table(records: Sequence[tuple[Record, pd.DataFrame]]) -> str:
    """Return a table of best, last and published values, in Markdown."""
    known = {(row["method"], row["dimension"]): row for row in _published()}
    whole = steps_published()
    rows = []
    for record, history in records:
        method, n = _method(record), _dimension(record)
        entry = known[method, n]
        (seed,) = record["seeds"]
        best = float(history[METRIC].min())
        last = seed[METRIC]
        rows.append([f"{n}", entry["name"], f"{_steps(record):,} of {whole[method, n]:,}"])
        rows[-1] += [f"{best:.3g}", "diverged" if last is None else f"{last:.3g}"]
        rows[-1] += [f"{history[INVERSE].min():.3g}", f"{entry['mean']:g}"]
        rows[-1] += [f"{best / entry['mean']:.1f}"]
        longer = at_steps(history, whole[method, n])
        # A hundredth of a run is too far from its end for a line.
        short = _steps(record) * FURTHEST < whole[method, n]
        rows[-1] += ["--" if short else f"{longer:.2g} ({longer / entry['mean']:.1f})"]
        rows[-1] += [f"{record['timing']['training_s'] / 60:.1f}"]
    header = ["n", "method", "steps", "forward, best", "last", "inverse, best", "published, best"]
    return table([*header, "ours / published", "line to its steps (ratio)", "minutes"], rows)


def at_steps(history: pd.DataFrame, steps: int) -> float:
    """Return the forward error after so many steps, in percent, on a line through a run's own.

    The line is that of least squares of log error on log steps, over the evaluations from a tenth
    of the run on.
    """
    run = history[history["step"] >= history["step"].max() / 10]
    x, y = np.log(run["step"].to_numpy()), np.log(run[METRIC].to_numpy())
    slope, height = np.polyfit(x, y, 1)
    return float(np.exp(height + slope * np.log(steps)))


def _published() -> list[dict[str, Any]]:
    return [
        {str(key): value for key, value in row.items()}
        for row in published_values(PUBLISHED).to_dict("records")
    ]


def curve_table(records: Sequence[tuple[Record, pd.DataFrame]], notebooks: pd.DataFrame) -> str:
    """Return a table of errors beside the notebooks' after as many steps, in Markdown."""
    rows = []
    for record, history in records:
        shared = both_curves(record, history, notebooks)
        for row in shared[::-2][::-1] if len(shared) > 4 else shared:  # ends with the last
            rows.append([_name(record), f"{EVERY * int(row['evaluations']):,}"])
            for column, quoted in ((METRIC, "forward_percent"), (INVERSE, "inverse_percent")):
                rows[-1] += [f"{row[column]:.1f}", f"{row[quoted]:.1f}"]
    header = ["method", "steps", "forward, ours", "notebook", "inverse, ours", "notebook"]
    return table(header, rows)


def both_curves(
    record: Record, history: pd.DataFrame, notebooks: pd.DataFrame
) -> list[dict[str, float]]:
    """Return a notebook's smoothed errors with ours, at each number of evaluations of both."""
    own = notebooks[notebooks["method"] == _method(record)]
    joined = own.merge(smoothed(history), left_on="evaluations", right_index=True)
    return [
        {str(key): value for key, value in row.items()}
        for row in joined.drop(columns="method").to_dict("records")
    ]


def smoothed(history: pd.DataFrame) -> pd.DataFrame:
    """Return a run's errors by the number of evaluations, smoothed as the notebooks' are."""
    frame = history[history["step"] % EVERY == 0].set_index("step").sort_index()
    frame.index = frame.index // EVERY
    return frame[[METRIC, INVERSE]].ewm(span=SPAN).mean()


def _name(record: Record) -> str:
    return {row["method"]: row["name"] for row in _published()}[_method(record)]


def order_sentence(records: Sequence[tuple[Record, pd.DataFrame]], notebooks: pd.DataFrame) -> str:
    """Return the order of methods, from the best: ours, the notebooks', and published."""
    last = {
        _name(record): shared[-1]
        for record, history in records
        if (shared := both_curves(record, history, notebooks))
    }
    ends = {
        row["name"]: row["mean"] for row in _published() if row["dimension"] == NOTEBOOK_DIMENSION
    }

    def order(value: Callable[[str], float]) -> str:
        return ", ".join(sorted(last, key=value))

    return (
        "Order by the smoothed forward error, from the best: here "
        f"{order(lambda name: last[name][METRIC])}; in the notebooks after as many steps "
        f"{order(lambda name: last[name]['forward_percent'])}; published, of whole runs, "
        f"{order(lambda name: ends[name])}."
    )


def text(folder: Path) -> str:
    """Return the generated part of the document."""
    records = read(folder)
    notebooks = pd.read_csv(folder / NOTEBOOKS)
    same = [pair for pair in records if _dimension(pair[0]) == NOTEBOOK_DIMENSION]
    parts = [
        kept.origin(record for record, _ in records),
        "### As many steps as the notebooks",
        order_sentence(same, notebooks),
        curve_table(same, notebooks),
        "### Best of a run beside the published best",
        budget_table(records),
    ]
    return "\n\n".join(parts)


COLLECTION = Collection(
    name="baselines",
    about=__doc__.splitlines()[0] if __doc__ else "",
    records=RECORDS,
    document=DOCUMENT,
    begin=BEGIN,
    end=END,
    text=text,
)


if __name__ == "__main__":
    sys.exit(COLLECTION.main())

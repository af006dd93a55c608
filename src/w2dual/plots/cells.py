"""What the figures of accuracy show: the HD cells, with a colour and a marker for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.colors import to_hex

from w2dual.config.names import made_here
from w2dual.results.published import read_published
from w2dual.results.summary import (
    METRIC,
    Entry,
    TableSettings,
    hd_tidy,
    seeds_in_words,
    training_seconds,
)

PALETTE = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31"),
)
"""Okabe and Ito's colours, yellow replaced by brown, which shows on white."""
MARKERS = ("o", "s", "^", "D", "v", "P")

NATIVE = ("method", "solver", "dimension", "mean", "seconds")
Method = tuple[str, str]


@dataclass(frozen=True)
class Cells:
    """What the figures show.

    Attributes:
        runs: the tidy metrics, a row for each seed of each cell.
        frame: a row for each cell: the columns of `summary.hd_tidy`, `potential`, `seconds` of
            training for one seed, and `device`.
        baselines: the best quoted value of each dimension, percent.
        potentials: in order.
        settings: methods, dimensions and preset.
        native: of the benchmark's own methods a row for each cell: `method`, `solver`,
            `dimension`, `mean` (of the last evaluation, as in `frame`), `seconds`; empty where they
            are not drawn.
    """

    runs: pd.DataFrame
    frame: pd.DataFrame
    baselines: pd.Series
    potentials: tuple[str, ...]
    settings: TableSettings
    native: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(NATIVE)))

    def colour(self, method: Method) -> str:
        """The colour of a method, by its place in the config; beyond the palette another map's."""
        place = self.settings.methods.index(method)
        if place < len(PALETTE):
            return PALETTE[place]
        return to_hex(matplotlib.colormaps["tab20b"](place % 20))

    def marker(self, potential: str) -> str:
        """The marker of a potential, by its place in the config."""
        return MARKERS[self.potentials.index(potential) % len(MARKERS)]

    @property
    def origin(self) -> str:
        """Where the numbers were made, and what keeps them from being the paper's."""
        marks = ["; ".join(sorted({str(name) for name in self.frame["device"].dropna()}))]
        if self.settings.reduced:
            marks.append(f"reduced budget: preset {self.settings.preset}")
        marks.append(made_here(self.frame["measures_source"]))
        return "; ".join(mark for mark in marks if mark).replace("$", r"\$")

    @property
    def footnote(self) -> str:
        """What the mark of a cell is, and where it was made."""
        return f"mean and standard deviation over {seeds_in_words(self.settings)}; {self.origin}"


def native_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell of the benchmark's own methods; columns as `NATIVE`.

    Args:
        frame: their tidy metrics.
    """
    rows = []
    keys = ["amortization", "solver", "dimension"]
    for key, cell in frame.groupby(keys, sort=False):
        mean = Entry.of(cell[METRIC].astype(float).tolist(), cell["status"].tolist()).mean
        seconds = float(cell["training_s"].iloc[0]) / len(cell)
        rows.append(dict(zip(NATIVE, (*key, mean, seconds), strict=True)))
    return pd.DataFrame(rows, columns=list(NATIVE))


def gather(
    frame: pd.DataFrame, potentials: Sequence[str], published: Path, settings: TableSettings
) -> Cells:
    """Take what the figures show from the tidy metrics of the HD cells.

    Raises:
        InputError: a cell or a seed is missing or given twice, or comes from another preset; or a
            file of published values cannot be read.
    """
    parts = []
    for potential in potentials:
        tidy = hd_tidy(frame, potential, published, settings)
        parts.append(tidy[tidy["source"] == "ours"].assign(potential=potential))
    keys = ["potential", "amortization", "solver", "dimension"]
    seconds = {name: training_seconds(cell, settings) for name, cell in frame.groupby("cell")}
    jobs = frame.drop_duplicates("cell")
    jobs = jobs.assign(training_s=jobs["cell"].map(seconds))[[*keys, "training_s", "device"]]
    cells = pd.concat(parts, ignore_index=True).merge(jobs, on=keys, how="left")
    cells["seconds"] = cells["training_s"].astype(float) / cells["seeds"].astype(float)
    quoted = read_published(published / "hd_baselines.csv", ["dimension", "mean"])
    best = quoted.groupby("dimension")["mean"].min()
    return Cells(frame, cells, best, tuple(potentials), settings)

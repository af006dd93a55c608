"""Reads the errors during a run off the plots that the benchmark's notebooks keep, n = 16.

Usage: python -m benchmarks.notebook_curves NOTEBOOKS [--into reference/baselines/notebooks.csv]

NOTEBOOKS is the folder of that name of the benchmark's repository. A notebook keeps its last plot
of L2-UVP, forward and inverse, by the number of evaluations, one every 100 steps; it shows
`pandas.ewm(span=200).mean()` of them (the repository's `tools.ewma`). A point is where the blue of
a column of pixels has its centre. A pixel is 0.3 to 0.5 percentage points high, and up to 5
evaluations wide, so that early points, where a curve falls fast, are the least certain.
"""

from __future__ import annotations

import argparse
import base64
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.image import imread

from w2dual.records import InputError, write_text

RUNS = {
    "w2": ("W2", 250001),
    "mm": ("MM", 50001),
    "mmv1": ("MMv1", 20001),
    "mm_b": ("MM-B", 100001),
    "ls": ("LS", 100001),
    "qc": ("QC", 100001),
}
"""Our name of a method -> its notebook's, and the steps of the run that it shows."""
EVERY = 100
"""Steps between evaluations."""
POINTS = (2, 3, 4, 5, 8, 10, 15, 20, 25, 50, 100, 200, 250, 500, 1000, 2500)
"""Numbers of evaluations, after the first, at which a curve is recorded."""
MARGIN = 1 / 22
"""Of a plot's side: Matplotlib's default, 5 percent of the data's range on each end."""
LEGEND = (190, 100)
"""Pixels from the upper left corner that a plot's legend may cover."""

Picture = Float[np.ndarray, "height width 3"]


def picture(notebook: Path) -> Picture:
    """Return the last picture of a notebook, in [0, 1].

    Raises:
        InputError: it cannot be read, or has none.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{notebook}: cannot be read as a notebook: {error}") from error
    found = [
        output["data"]["image/png"]
        for cell in cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    if not found:
        raise InputError(f"{notebook}: has no picture")
    return imread(io.BytesIO(base64.b64decode(found[-1])), format="png")[..., :3]


def curves(image: Picture, evaluations: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the forward and the inverse curve: numbers of evaluations, and percent.

    Args:
        image: of four plots, the upper two of which are read.
        evaluations: the last number on the horizontal axis.
    """
    dark = image.sum(axis=2) < 0.6
    upper = dark[: len(dark) // 2]
    sides = _centres(upper.sum(axis=0) > 200)
    top, bottom = _centres(upper.sum(axis=1) > 400)[:2]
    return [
        _curve(image, (left, right, top, bottom), evaluations)
        for left, right in zip(sides[::2], sides[1::2], strict=True)
    ]


def _centres(there: Bool[np.ndarray, " length"]) -> list[float]:
    """Return the centres of runs of true values."""
    places = np.flatnonzero(there)
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return [float(np.mean(run)) for run in runs]


def _curve(
    image: Picture, box: tuple[float, float, float, float], evaluations: int
) -> tuple[np.ndarray, np.ndarray]:
    left, right, top, bottom = box
    # The constant map's line, at 100 percent, is the highest of each plot.
    hundred = top + MARGIN * (bottom - top)
    lowest = bottom - MARGIN * (bottom - top)
    ticks = _centres(image[:, int(left) - 3].sum(axis=1) < 1.8)
    ticks = [tick for tick in ticks if top < tick < bottom]
    spacing = (ticks[-1] - ticks[0]) / (len(ticks) - 1)
    # Ticks are 20 or 10 percent apart: 20 unless errors would then be negative.
    step = 20 if 100 - 20 * (lowest - hundred) / spacing >= 0 else 10
    inner = MARGIN * (right - left)
    rows = np.arange(int(top) + 3, int(bottom) - 2)
    numbers, percents = [], []
    for column in range(int(np.ceil(left + inner)), int(right - inner) + 1):
        red, _, blue = (image[rows, column, channel] for channel in range(3))
        weight = np.where((blue > 0.67) & (blue - red > 0.1), 1 - red, 0)
        if column < left + LEGEND[0]:
            weight[rows < top + LEGEND[1]] = 0
        if weight.sum() > 0.7:
            place = (column - left - inner) / (right - left - 2 * inner)
            numbers.append(place * evaluations)
            height = (weight * rows).sum() / weight.sum()
            percents.append(100 - step * (height - hundred) / spacing)
    return np.array(numbers), np.array(percents)


def table(notebooks: Path) -> str:
    """Return the curves of all notebooks as CSV, at `POINTS`.

    Raises:
        InputError: a notebook cannot be used.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "evaluations", "forward_percent", "inverse_percent"])
    for method, (name, steps) in RUNS.items():
        last = (steps - 1) // EVERY
        image = picture(notebooks / f"{name}_test_hd_benchmark.ipynb")
        both = curves(image, last)
        for number in (point for point in POINTS if point <= last):
            shown = (f"{np.interp(number, *curve):.1f}" for curve in both)
            writer.writerow([method, number, *shown])
    return text.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Read the plots; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("notebooks", type=Path)
    default = Path(__file__).parents[1] / "reference" / "baselines" / "notebooks.csv"
    parser.add_argument("--into", type=Path, default=default)
    args = parser.parse_args(argv)
    try:
        write_text(args.into, table(args.notebooks))
    except InputError as error:
        sys.stderr.write(f"notebook_curves: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

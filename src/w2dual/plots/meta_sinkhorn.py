"""Figures of predicted starts: errors by iteration, digits that morph, who supplies whom.

Published curves, dashed, were read from the published figure.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from w2dual.config.names import words
from w2dual.plots import style
from w2dual.records import InputError
from w2dual.results.meta_sinkhorn import STAND_INS, read_traces
from w2dual.results.published import read_published
from w2dual.results.summary import one_of_seeds

log = logging.getLogger(__name__)

FIGURES = ("meta_errors", "meta_interpolation", "meta_sphere")
WIDTH_IN = 7.0
COLOURS = {"zeros": style.BLACK, "gaussian": style.BLUE, "meta": style.VERMILLION}
OTHERS = (style.GREEN, "#CC79A7", "#E69F00", "#56B4E9")
"""Of the predictions besides the published one."""
BRIGHT = 0.95
"""Quantile of a picture's positive brightness that is white."""
ARC_POINTS = 24


class Traced(NamedTuple):
    """What a study kept of one task."""

    task: str
    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any]


def errors(studies: Sequence[Traced], published: pd.DataFrame) -> Figure:
    """Draw the error of plain Sinkhorn by iteration: means, bands of a standard deviation."""
    figure = Figure(figsize=(WIDTH_IN, 2.6), layout="constrained")
    panels = figure.subplots(1, len(studies), squeeze=False)[0]
    for axes, study in zip(panels, studies, strict=True):
        names = [key.partition("/")[2] for key in study.arrays if key.startswith("errors/")]
        known = [name for name in COLOURS if name in names]
        for name, colour in _coloured([*known, *(n for n in names if n not in COLOURS)]):
            rows = study.arrays[f"errors/{name}"]
            steps = np.arange(1, rows.shape[1] + 1)
            mean, spread = rows.mean(axis=0), rows.std(axis=0)
            axes.plot(steps, mean, color=colour, label=_label(study, name))
            low = np.maximum(mean - spread, rows.min(axis=0))
            axes.fill_between(steps, low, mean + spread, color=colour, alpha=0.15, linewidth=0)
        for name, (seeds, lost) in _networks(study).items():
            if len(lost) == len(seeds):
                none_of_them = one_of_seeds(None, len(seeds), len(lost))
                axes.plot([], [], " ", label=f"{words(name)}: {none_of_them}")
        _published(axes, published[published["task"] == study.task])
        axes.set_yscale("log")
        if max(len(study.arrays[f"errors/{name}"][0]) for name in names) > 100:
            axes.set_xscale("log")
        axes.set_xlabel("iteration of Sinkhorn")
        axes.set_ylabel(r"$\|P'1-b\|_1$")
        axes.set_title(f"{words(study.task)}: {study.metadata['data']['label']}")
        axes.legend()
    _foot(figure, studies)
    return figure


def _networks(study: Traced) -> dict[str, tuple[list[int], list[int]]]:
    """Return the seeds of each network, and those of them that diverged."""
    return {n: (of["seeds"], of["diverged"]) for n, of in study.metadata["networks"].items()}


def _label(study: Traced, name: str, seed: int | None = None) -> str:
    """Name a start, and of a network the seed that is drawn; the first that finished, if None."""
    if name not in _networks(study):
        return words(name)
    seeds, lost = _networks(study)[name]
    shown = next(s for s in seeds if s not in lost) if seed is None else seed
    return f"{words(name)}, {one_of_seeds(shown, len(seeds), len(lost))}"


def _drawn(study: Traced) -> str:
    """Say whose prediction is drawn."""
    drawn = study.metadata["drawn"]
    if drawn is None:
        return "no prediction: no seed of a network finished"
    return f"prediction: {_label(study, drawn['start'], drawn['seed'])}"


def _kinds(study: Traced, prefix: str) -> list[str]:
    """Return what is drawn: the solution, and the prediction where there is one."""
    return [kind for kind in ("solution", "prediction") if f"{prefix}/{kind}" in study.arrays]


def _coloured(names: Sequence[str]) -> list[tuple[str, str]]:
    others = iter(OTHERS)
    return [(n, COLOURS[n] if n in COLOURS else next(others, style.GREY)) for n in names]


def _published(axes: Axes, rows: pd.DataFrame) -> None:
    for start, group in rows.groupby("start", sort=False):
        axes.plot(
            group["iteration"],
            group["error"],
            color=COLOURS[str(start)],
            linestyle="--",
            linewidth=0.8,
            label=f"{words(str(start))}, read from the published figure",
        )


def interpolation(studies: Sequence[Traced]) -> Figure:
    """Draw measures on the way from source to target: the solution above the prediction."""
    (study,) = _having(studies, "frames/solution")
    both = [(key, study.arrays[f"frames/{key}"]) for key in _kinds(study, "frames")]
    pairs, frames = both[0][1].shape[:2]
    height = WIDTH_IN / frames * pairs * len(both) + 0.35
    figure = Figure(figsize=(WIDTH_IN, height))
    grid = figure.subplots(
        pairs * len(both),
        frames,
        squeeze=False,
        gridspec_kw={"wspace": 0.04, "hspace": 0.04, "left": 0.06, "right": 1, "top": 1},
    )
    figure.subplots_adjust(bottom=0.35 / height)
    for pair in range(pairs):
        for line, (label, images) in enumerate(both):
            for frame in range(frames):
                axes = grid[pair * len(both) + line][frame]
                image = images[pair, frame]
                positive = image[image > 1e-9]
                top = np.quantile(positive, BRIGHT) if positive.size else 1.0
                axes.imshow(image, cmap="gray", vmin=0, vmax=top, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                axes.grid(visible=False)
                if frame == 0:
                    axes.set_ylabel(label, fontsize=5)
    _foot(figure, [study], _drawn(study))
    return figure


def sphere(studies: Sequence[Traced]) -> Figure:
    """Draw lines on the sphere from each demand to the place that supplies most of it."""
    (study,) = _having(studies, "sphere/supply")
    supply, demand = study.arrays["sphere/supply"], study.arrays["sphere/demand"]
    active = study.arrays["sphere/amounts"] > 0
    figure = Figure(figsize=(WIDTH_IN, 2.3), layout="constrained")
    kinds = _kinds(study, "sphere")
    for place, key in enumerate(kinds):
        axes = figure.add_subplot(1, len(kinds), 1 + place)
        chosen = study.arrays[f"sphere/{key}"].astype(int)
        lines = [
            part
            for at, to in zip(demand, supply[chosen], strict=True)
            for part in unwrapped(arc(at, to))
        ]
        axes.add_collection(LineCollection(lines, colors=style.BLUE, linewidths=0.25, alpha=0.35))
        axes.plot(*degrees(demand).T, ".", color=style.GREY, markersize=0.8)
        axes.plot(*degrees(supply[active]).T, "o", color=style.VERMILLION, markersize=2.2)
        axes.set(xlim=(-180, 180), ylim=(-90, 90), aspect="equal", title=key)
        axes.set_xlabel("longitude, degrees")
        axes.set_ylabel("latitude, degrees")
    _foot(figure, [study], _drawn(study))
    return figure


def arc(start: Float[np.ndarray, " 3"], end: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "p 3"]:
    """Return points of the shortest line on the sphere between two points that are not opposite."""
    angle = np.arccos(np.clip(start @ end, -1.0, 1.0))
    t = np.linspace(0.0, 1.0, ARC_POINTS)[:, None]
    if angle < 1e-9:
        return start + t * (end - start)
    return (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)


def degrees(points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 2"]:
    """Return longitudes and latitudes of unit vectors, in degrees."""
    latitude = np.arcsin(np.clip(points[:, 2], -1.0, 1.0))
    return np.degrees(np.stack([np.arctan2(points[:, 1], points[:, 0]), latitude], axis=1))


def unwrapped(points: Float[np.ndarray, "points 3"]) -> list[Float[np.ndarray, "part 2"]]:
    """Return a line as longitudes and latitudes, cut where it goes over the edge of the map."""
    flat = degrees(points)
    cuts = np.flatnonzero(np.abs(np.diff(flat[:, 0])) > 180.0) + 1
    return [part for part in np.split(flat, cuts) if len(part) > 1]


def _having(studies: Sequence[Traced], key: str) -> list[Traced]:
    found = [study for study in studies if key in study.arrays]
    if len(found) != 1:
        raise InputError(f"expected the study of one task with `{key}`, found {len(found)}")
    return found


def _foot(figure: Figure, studies: Sequence[Traced], drawn: str = "") -> None:
    """Say what the data are, with which preset it was made, and whose prediction is drawn."""
    parts = [str(study.metadata["data"]["label"]) for study in studies]
    stand_in = any(study.metadata["data"]["source"] in STAND_INS for study in studies)
    text = f"{'stand-in data: ' if stand_in else 'data: '}{'; '.join(parts)}"
    preset = studies[0].metadata["preset"]
    if preset and preset["reduced"]:
        text += f"; reduced budget: preset {preset['name']}"
    if drawn:
        text += f"; {drawn}"
    figure.supxlabel(text, x=0.995, ha="right", fontsize=5, color=style.GREY)


def write(name: str, traces: Sequence[Path], published: Path, pdf: Path, png: Path) -> None:
    """Draw a figure, and write it.

    Args:
        name: one of `FIGURES`.
        traces: .safetensors of studies.
        published: folder of the published values.
        pdf: figure to write.
        png: the same to write.

    Raises:
        InputError: a file cannot be used, or none has what the figure shows.
    """
    studies = []
    for path in traces:
        arrays, metadata = read_traces(path)
        studies.append(Traced(metadata["settings"]["task"], arrays, metadata))
    with style.style():
        if name == "meta_errors":
            columns = ["task", "start", "iteration", "error"]
            read = read_published(published / "meta_ot_errors.csv", columns)
            figure = errors(studies, read)
        else:
            figure = {"meta_interpolation": interpolation, "meta_sphere": sphere}[name](studies)
        style.save(figure, pdf, png)
    log.info("%s, %s: written", pdf, png)

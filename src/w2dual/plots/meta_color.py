"""What colour transport does to images: alpha, beta, T#alpha and T^-1#beta, for held-out pairs.

A block for each of a few pairs, a row for each way to get potentials: W2GN after all its updates,
the prediction of one seed of each network, and the Gaussian map. T = grad psi, T^-1 = grad psi_bar,
applied to each pixel and cut off at the cube of colours. The first pairs are shown, none is chosen.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2dual.config.names import words
from w2dual.plots import style
from w2dual.potentials.quadratic_icnn import QuadraticICNN
from w2dual.records import InputError, load_arrays
from w2dual.results.meta_color import read_study, seeds_of
from w2dual.results.summary import one_of_seeds

log = logging.getLogger(__name__)

PAIRS = 2
"""Pairs that are shown."""
HEADS = (r"$\alpha$", r"$\beta$", r"$T_\#\alpha$", r"$T^{-1}_\#\beta$")
_CELL_IN, _LABEL_IN, _HEAD_IN, _FOOT_IN, _GAP_IN = (1.45, 1.05), 1.0, 0.2, 0.16, 0.05
STAND_INS = {"packaged": "paintings of a Debian package", "drawn": "images drawn here"}

Shown = Int[np.ndarray, "height width 4"]


def moved(vector: Float[np.ndarray, " parameters"], image: Shown) -> Float[np.ndarray, "h w 3"]:
    """Return an image whose colours the gradient of a potential has moved; white is no part of it.

    Args:
        vector: parameters of the potential.
        image: colours and, in the last channel, which pixels belong to it.
    """
    flat = jnp.asarray(image[..., :3].reshape(-1, 3), jnp.float32) / 255.0
    pixels = QuadraticICNN().gradient(jnp.asarray(vector), flat)
    return _on_white(np.clip(np.asarray(pixels), 0.0, 1.0).reshape(*image.shape[:2], 3), image)


def _on_white(pixels: Float[np.ndarray, "h w 3"], image: Shown) -> Float[np.ndarray, "h w 3"]:
    return np.where(image[..., 3:] == 255, pixels, 1.0)


def rows_of(
    studies: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, Any]]], place: int
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return the rows of a pair: label, parameters of psi and of psi_bar; none of what diverged."""
    first, _ = studies[0]
    updates = int(first["updates"][-1])
    named = [("Gaussian map", first, "gaussian"), (f"W2GN,\n{updates:,} updates", first, "w2gn")]
    for arrays, facts in studies:
        if facts["seed"] is None:  # all seeds diverged, as the foot says
            continue
        method = words(facts["cell"]["amortization"]).replace(", ", ",\n", 1)
        seed = one_of_seeds(*seeds_of(facts))
        named.append((f"{method}\nprediction,\n{seed}", arrays, "meta"))
    return [
        (label, arrays[f"{name}.psi"][place], arrays[f"{name}.psi_bar"][place])
        for label, arrays, name in named
    ]


def draw(
    studies: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, Any]]],
    pictures: Mapping[str, np.ndarray],
) -> Figure:
    """Draw the first held-out pairs.

    Args:
        studies: arrays and facts that `studies.colour` wrote, of all cells.
        pictures: of the prepared law, which has the images.
    """
    arrays, _ = studies[0]
    pairs = [tuple(map(int, pair)) for pair in arrays["test_pairs"][:PAIRS]]
    count = len(rows_of(studies, 0))
    wide, tall = _CELL_IN
    width = _LABEL_IN + len(HEADS) * wide
    height = len(pairs) * (count * tall + _HEAD_IN) + _FOOT_IN
    figure = Figure(figsize=(width, height))
    top = height
    for place, (source, target) in enumerate(pairs):
        ends = [pictures[f"picture.{number}"] for number in (source, target)]
        top -= _HEAD_IN
        for column, head in enumerate(HEADS):
            x = (_LABEL_IN + (column + 0.5) * wide) / width
            figure.text(x, (top + 0.04) / height, head, ha="center", fontsize=7)
        for row, (label, psi, psi_bar) in enumerate(rows_of(studies, place)):
            bottom = top - (row + 1) * tall
            figure.text(0.01, (bottom + tall / 2) / height, label, fontsize=5.5, va="center")
            shown = (
                [_on_white(end[..., :3] / 255.0, end) for end in ends] if row == 0 else [None] * 2
            )
            shown += [moved(psi, ends[0]), moved(psi_bar, ends[1])]
            for column, image in enumerate(shown):
                if image is None:
                    continue
                corner = ((_LABEL_IN + column * wide) / width, bottom / height)
                sides = ((wide - _GAP_IN) / width, (tall - _GAP_IN) / height)
                _show(figure.add_axes((*corner, *sides)), image)
        top -= count * tall
    if foot := _foot([facts for _, facts in studies]):
        style.foot(figure, foot)
    return figure


def _show(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_axis_off()
    axes.margins(0.02)


def _foot(studies: Sequence[Mapping[str, Any]]) -> str:
    facts = studies[0]
    found = [
        f"no prediction of {words(of['cell']['amortization'])}: {one_of_seeds(*seeds_of(of))}"
        for of in studies
        if of["seed"] is None
    ]
    if facts["measures_source"] in STAND_INS:
        found.append(f"stand-in images: {STAND_INS[facts['measures_source']]}")
    if facts["preset"]["reduced"]:
        found.append(f"reduced budget: preset {facts['preset']['name']}")
    return "; ".join(found)


def write(studies: Sequence[Path], measures: Path, pdf: Path, png: Path) -> None:
    """Draw the figure and write it.

    Args:
        studies: what `color-study` wrote, of all cells.
        measures: the prepared law that one of them is of; all hold the same images.
        pdf: figure to write.
        png: the same to write.

    Raises:
        InputError: a file cannot be used.
    """
    found = [read_study(path) for path in studies]
    pictures, metadata = load_arrays(measures)
    for path, (arrays, facts) in zip(studies, found, strict=True):
        if "w2gn.psi" not in arrays or facts.get("images") != metadata.get("images"):
            raise InputError(f"{path}: is no study of colour transport of the images of {measures}")
    with style.style():
        style.save(draw(found, pictures), pdf, png)
    log.info("%s, %s: written", pdf, png)

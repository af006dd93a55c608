"""Two images of the user's: the colours of each moved to the other's, by a trained cell.

A pair of images is a law over them with one pair that is held out, so that all that fine-tunes and
judges predictions serves here too (`studies.colour`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from w2dual import conjugate
from w2dual.config.cells import encoding_of
from w2dual.decoding import decode
from w2dual.evaluation.push import live_seed
from w2dual.measures.colour.pictures import Picture, read_picture
from w2dual.measures.pairs.palettes import COLOUR, NUMBERS, Palettes
from w2dual.measures.preparation.palettes import drawn_from, histogram, squared_w2, squashed
from w2dual.potentials.quadratic_icnn import QuadraticICNN
from w2dual.records import InputError, atomic_path
from w2dual.studies.colour import Problem, Settings, Tuning, gaussian_potentials, predicted
from w2dual.training import methods
from w2dual.training.files import load_params
from w2dual.training.methods.meta_w2gn import MetaW2GN

log = logging.getLogger(__name__)

PIXELS, TEST_POINTS = 10_000, 1024
"""Kept of each image to fine-tune on, and to judge by."""
GAUSSIAN = "gaussian"
ROWS = 64
"""Rows of an image that are moved at once."""
REMEDY = "the cell has diverged, or fine-tuning has; take another --seed, or fewer --steps"


class Moved(NamedTuple):
    """What was written, and what the dual's bounds are in percent of the exact cost."""

    source: Path
    target: Path
    gap_percent: float
    gaussian_gap_percent: float


def recolour(
    source: Path,
    target: Path,
    params: Path,
    settings: Mapping[str, Any],
    out: Path,
    steps: int = 0,
    seed: int | None = None,
) -> Moved:
    """Move the colours of two images to each other's, and write both as PNG.

    Args:
        source: an image.
        target: another one.
        params: of a trained cell of the method `meta_w2gn`.
        settings: how predictions are fine-tuned and judged (`config.systems.meta_color.study`).
        out: folder to write SOURCE_to_TARGET.png and TARGET_to_SOURCE.png to.
        steps: of W2GN from the prediction; 0 takes the prediction itself.
        seed: of the cell; None for the first that has not diverged, by the metrics next to it.

    Raises:
        InputError: an image or the cell cannot be used, or a colour or a bound is not finite;
            nothing is written then.
    """
    pictures = [read_picture(path) for path in (source, target)]
    networks, cell, seeds = load_params(params)
    method = methods.make(cell.settings, cell.dimension)
    if not isinstance(method, MetaW2GN):
        raise InputError(
            f"{params}: is of the cell {cell.name}; expected one of the method `meta_w2gn`, which "
            "sees images"
        )
    if seed is not None and seed not in seeds:
        raise InputError(f"{params}: has no seed {seed}; it has {', '.join(map(str, seeds))}")
    place = seeds.index(live_seed(params, cell, seeds, seed))
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[place]), networks)
    pair = law_of(pictures, method)
    every = {"steps": max(steps, 1), "log_every": max(steps, 1)}
    checked = decode(Settings, {**settings, **every}, "settings")
    solver = conjugate.make(checked.solver)
    if solver is None:
        raise InputError("settings: `solver` is none; expected one, such as lbfgs")
    weights = (method.settings.cycle_weight, method.settings.l2)
    problem = Problem(method.icnn, checked, solver, *weights)
    tuning = Tuning(problem, pair)
    found, _ = predicted(method, one, pair)
    if steps:
        found = tuning.run("recolouring", problem.w2gn, found).potentials
    gaussian = gaussian_potentials(method.icnn, pair)
    gaps = [
        100.0 * (1.0 - float(tuning.value(psi).bound[0]) / float(pair.exact[0]))
        for psi in (found.psi, gaussian.psi)
    ]
    names = [path.stem for path in (source, target)]
    files = [out / f"{names[0]}_to_{names[1]}.png", out / f"{names[1]}_to_{names[0]}.png"]
    if files[0] == files[1]:
        raise InputError(f"{source} and {target} have the same name; rename one of them")
    vectors = (found.psi[0], found.psi_bar[0])
    if not np.isfinite(gaps).all():
        raise InputError(
            f"{params}: the dual's bounds are not finite for {source} and {target}: "
            f"{gaps[0]:g} percent below the exact cost by the cell, {gaps[1]:g} by the normal "
            f"laws; {REMEDY}"
        )
    images = [
        pushed(method.icnn, vector, picture)
        for picture, vector in zip(pictures, vectors, strict=True)
    ]
    for path, image, picture in zip(files, images, pictures, strict=True):
        write_png(path, image, picture)
        log.info("%s: written", path)
    return Moved(files[0], files[1], gaps[0], gaps[1])


def law_of(pictures: list[Picture], method: MetaW2GN) -> Palettes:
    """Return the law over two images, in the encoding that a method takes."""
    generator = np.random.default_rng(0)
    numbers = method.dimension - NUMBERS - COLOUR * method.settings.points
    if encoding_of(method.settings.encoder) == "histogram":
        bins = round(numbers ** (1 / 3))
        encodings = np.stack([histogram(picture.colours, bins) for picture in pictures])
    else:
        side = round((numbers / COLOUR) ** 0.5)
        encodings = np.stack([squashed(picture, side) for picture in pictures])
    ends = [drawn_from(picture, TEST_POINTS, generator) for picture in pictures]
    exact = squared_w2(*ends)
    if exact == 0:
        raise InputError(
            f"{pictures[0].name} and {pictures[1].name} have the same colours; nothing to move"
        )
    return Palettes(
        dimension=method.dimension,
        points=method.settings.points,
        pixels=jnp.asarray(np.stack([drawn_from(p, PIXELS, generator) for p in pictures])),
        encodings=jnp.asarray(encodings),
        held_out=jnp.array([1, -1], jnp.int32),
        test_pairs=jnp.array([[0, 1]], jnp.int32),
        test_source=jnp.asarray(ends[0][None]),
        test_target=jnp.asarray(ends[1][None]),
        exact=np.array([exact]),
        floor=np.zeros(1),
    )


def pushed(icnn: QuadraticICNN, vector: Any, picture: Picture) -> Int[np.ndarray, "height width 3"]:
    """Return an image with each pixel moved by the gradient of a potential, cut off at the cube.

    Raises:
        InputError: a pixel's colour is then not finite.
    """
    move = jax.jit(icnn.gradient)
    parts = []
    for begin in range(0, len(picture.pixels), ROWS):
        rows = picture.pixels[begin : begin + ROWS]
        flat = jnp.asarray(rows.reshape(-1, COLOUR), jnp.float32) / 255.0
        parts.append(np.asarray(move(vector, flat)).reshape(rows.shape))
    moved = np.concatenate(parts)
    wrong = np.argwhere(~np.isfinite(moved).all(axis=-1))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{picture.name}: {len(wrong)} of {picture.painted.size} pixels go to colours that "
            f"are not finite, the first of them in row {row}, column {column} (from 0); {REMEDY}"
        )
    return np.rint(255.0 * np.clip(moved, 0.0, 1.0)).astype(np.uint8)


def write_png(path: Path, pixels: Int[np.ndarray, "h w 3"], picture: Picture) -> None:
    """Write an image; what is transparent in the original is so in it."""
    from PIL import Image

    whole = picture.painted.all()
    alpha = (255 * picture.painted[..., None]).astype(np.uint8)
    shown = pixels if whole else np.concatenate([pixels, alpha], axis=-1)
    with atomic_path(path) as partial:
        Image.fromarray(shown).save(partial, format="PNG")

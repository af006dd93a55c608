"""Apply a map to points of your own."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from w2dual import measures
from w2dual.config.cells import Cell
from w2dual.conjugate import ConjugateResult
from w2dual.conjugate import tally as conjugates
from w2dual.conjugate.tally import Tally
from w2dual.evaluation.points import KINDS, SUFFIXES, Header, read_points, write_points
from w2dual.records import InputError, atomic_path, read_json
from w2dual.training import methods
from w2dual.training.files import load_params
from w2dual.training.methods import Conjugating, Method

log = logging.getLogger(__name__)

BLOCK = 4096
"""Points mapped at once ..."""
BLOCK_NUMBERS = 2**22
"""... and numbers of them, at most: 341 images of 64 x 64 pixels in 3 colours."""

GROUND_TRUTH = ("ground-truth", "ground-truth-unstandardised")
TRAINED = ("forward", "inverse")


def ground_truth(
    path: Path, points: Float[np.ndarray, "points n"], standardised: bool
) -> Float[np.ndarray, "points n"]:
    """Map points by the ground truth of a prepared pair.

    Raises:
        InputError: the pair's optimal map is not known, or the points are of another dimension.
    """
    pair = measures.load_solved(path)
    _check_dimension(points, pair.dimension, path)
    name = "ground_truth" if standardised else "ground_truth_unstandardised"
    apply = jax.jit(lambda pair, x: getattr(pair, name)(x))
    return _in_blocks(lambda x: apply(pair, x), points)


def forward(
    path: Path, points: Float[np.ndarray, "points n"], seed: int | None
) -> Float[np.ndarray, "points n"]:
    """Map points by a trained cell's map T, the gradient of its potential if it has one.

    Raises:
        InputError: the cell has no such seed, or another dimension.
    """
    method, params = _cell(path, points, seed)
    apply = jax.jit(lambda params, x: method.push(params, x[None])[0])
    return _in_blocks(lambda x: apply(params, x), points)


def inverse(
    path: Path, points: Float[np.ndarray, "points n"], seed: int | None
) -> tuple[Float[np.ndarray, "points n"], tuple[ConjugateResult, bool] | None]:
    """Map points by a trained cell's inverse map: x_hat = grad f*, the conjugate's argmin.

    Returns:
        The images; and what the solver found, without the axis of seeds, and whether there is a
        solver: without one the points are x_tilde(y). None for a method that has no conjugate.

    Raises:
        InputError: the cell has no such seed, or another dimension.
    """
    method, params = _cell(path, points, seed)
    if not isinstance(method, Conjugating):
        pull = jax.jit(lambda params, y: method.pull(params, y[None])[0])
        return _in_blocks(lambda y: pull(params, y), points), None

    @jax.jit
    def apply(params: Any, y: jax.Array) -> ConjugateResult:
        return jax.tree.map(lambda leaf: leaf[0], method.conjugate(params, y[None]))

    result = _in_blocks(lambda y: apply(params, y), points)
    return np.asarray(result.x), (result, method.solver is not None)


def _cell(path: Path, points: np.ndarray, seed: int | None) -> tuple[Method[Any], Any]:
    """Read a cell that maps such points; its parameters are of one seed, as `live_seed` has it."""
    params, cell, seeds = load_params(path)
    _check_dimension(points, cell.dimension, path)
    if seed is not None and seed not in seeds:
        raise InputError(f"{path}: has no seed {seed}; it has {', '.join(map(str, seeds))}")
    index = seeds.index(live_seed(path, cell, seeds, seed))
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[index : index + 1]), params)
    return methods.make(cell.settings, cell.dimension), one


def live_seed(path: Path, cell: Cell, seeds: list[int], asked: int | None) -> int:
    """Return the seed that is asked for, or the first that has not diverged.

    The metrics next to the parameters say which have diverged.

    Raises:
        InputError: all have, and none is asked for; or the metrics are of another cell.
    """
    metrics = path.with_name("metrics.json")
    if not metrics.is_file():
        seed = seeds[0] if asked is None else asked
        log.info("seed %d; %s is not there, which says whether it has diverged", seed, metrics)
        return seed
    record = read_json(metrics)
    if record.get("cell", {}).get("hash") != cell.hash:
        raise InputError(
            f"{metrics} is of another cell than {path}; expected the files of one training"
        )
    diverged = {entry["seed"] for entry in record["seeds"] if entry["status"] == "diverged"}
    live = [seed for seed in seeds if seed not in diverged]
    if asked is None and not live:
        raise InputError(
            f"{path}: all seeds have diverged; --seed {seeds[0]} maps by one's last parameters"
        )
    seed = live[0] if asked is None else asked
    if seed in diverged:
        log.warning("WARNING: seed %d has DIVERGED; its last parameters are mapped by", seed)
    elif diverged:
        log.warning("seed %d; diverged: %s", seed, ", ".join(map(str, sorted(diverged))))
    return seed


def _check_dimension(points: np.ndarray, dimension: int, path: Path) -> None:
    if points.shape[1] != dimension:
        raise InputError(
            f"the points have {points.shape[1]} coordinates, {path} maps points of R^{dimension}"
        )


def _in_blocks(apply: Callable[[jax.Array], Any], points: np.ndarray) -> Any:
    """Map block by block; the last one is filled up, so that one compiled program serves all."""
    size = min(BLOCK, len(points), max(1, BLOCK_NUMBERS // points.shape[1]))
    results = []
    for start in range(0, len(points), size):
        block = points[start : start + size]
        filled = np.concatenate([block, np.repeat(block[:1], size - len(block), axis=0)])
        found = apply(jnp.asarray(filled))
        results.append(jax.tree.map(lambda leaf: np.asarray(leaf)[: len(block)], found))  # noqa: B023
    return jax.tree.map(lambda *parts: np.concatenate(parts), *results)


def write_status(path: Path, result: ConjugateResult, solver: bool) -> None:
    """Write how each point's conjugate fared, a row a point, as CSV, atomically."""
    rows = zip(
        conjugates.names(result, solver),
        np.asarray(result.gradient_norm).tolist(),
        np.asarray(result.iterations).tolist(),
        strict=True,
    )
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["point", "status", "gradient_norm", "iterations"])
        for point, (status, norm, iterations) in enumerate(rows):
            writer.writerow([point, status, f"{norm:.6g}", iterations])


def _report(tally: Tally, result: ConjugateResult, demanded: bool) -> None:
    """Say how the conjugates fared; loudly where some did not converge.

    Raises:
        InputError: some did not, and it is demanded that all do.
    """
    if not tally.not_converged:
        log.info("--map inverse: %s", tally)
        return
    # With nan first: what is not finite is the worst of all.
    norm = np.nan_to_num(np.asarray(result.gradient_norm), nan=np.inf)
    worst = f"the worst is point {int(np.argmax(norm))} (counted from 0)"
    if demanded:
        raise InputError(f"--map inverse --require-converged: {tally}; {worst}")
    if tally.solver:
        log.warning(
            "WARNING: --map inverse: %d of %d points are NOT x_hat(y): %s; %s. --status FILE says "
            "which; --require-converged makes it an error",
            *(tally.not_converged, tally.points, tally, worst),
        )
    else:
        log.warning("WARNING: --map inverse: %s; %s", tally, worst)


def push(
    name: str,
    points_path: Path,
    out: Path,
    of: Path,
    *,
    seed: int | None = None,
    header: Header = "auto",
    status: Path | None = None,
    require_converged: bool = False,
) -> None:
    """Read points, map them, and write where they went.

    Args:
        name: of the map, one of `GROUND_TRUTH` or `TRAINED`.
        points_path: .npy or .csv, a point a row; or .png, images side by side, each a point.
        out: .npy, .csv or .png to write.
        of: prepared pair for a map of the ground truth, parameters for one of a trained cell.
        seed: of a trained cell; None for the first that has not diverged.
        header: whether the first line of a .csv is names, one of `points.HEADERS`.
        status: .csv to write with how each point's conjugate fared, for `inverse`.
        require_converged: whether a conjugate that did not converge is an error.

    Raises:
        InputError: a file cannot be used, or the map gives values that are not finite.
    """
    by_solver = name == "inverse"
    if out.suffix not in SUFFIXES:
        raise InputError(f"--out {out}: expected {KINDS}")
    if status is not None and status.suffix != ".csv":
        raise InputError(f"--status {status}: expected a .csv file")
    points = read_points(points_path, header)
    solved = None
    if by_solver:
        mapped, solved = inverse(of, points, seed)
        if solved is not None:
            _report(Tally.of(*solved), solved[0], require_converged)
        elif status is not None or require_converged:
            raise InputError(
                f"--map inverse: {of} is of a method that conjugates nothing; leave out "
                "--status and --require-converged"
            )
    elif name in TRAINED:
        mapped = forward(of, points, seed)
    else:
        mapped = ground_truth(of, points, name == "ground-truth")
    wrong = np.flatnonzero(~np.isfinite(mapped).all(axis=1))
    if wrong.size:
        raise InputError(
            f"--map {name}: the map gives values that are not finite for {wrong.size} of "
            f"{len(points)} points, the first of them point {wrong[0]} (counted from 0); the cell "
            "has diverged, or the points lie far outside the source"
        )
    write_points(out, mapped)  # which refuses a .png of what is no image
    log.info("%d points -> %s", len(mapped), out)
    if solved is not None and status is not None:
        write_status(status, *solved)
        log.info("status of %d points -> %s", len(mapped), status)

"""The job `push`: apply a map to points of your own."""

from __future__ import annotations

import argparse
import csv
import logging
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from w2dual import measures
from w2dual.backend import configure
from w2dual.dual import make_problem
from w2dual.records import InputError, atomic_path
from w2dual.train_job import load_params

log = logging.getLogger(__name__)

BLOCK = 4096
"""Points mapped at once."""

GROUND_TRUTH = ("ground-truth", "ground-truth-unstandardised")
TRAINED = ("forward", "inverse")


def read_points(path: Path) -> Float[np.ndarray, "points n"]:
    """Read points, one a row, from .npy or .csv; a first line of a .csv that is text is a header.

    Raises:
        InputError: the file is missing, of another kind, or holds no table of finite numbers.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if path.suffix == ".npy":
            with path.open("rb") as stream:  # not np.load, which takes archives and pickles too
                points = np.lib.format.read_array(stream, allow_pickle=False)
        elif path.suffix == ".csv":
            points = _read_csv(path)
        else:
            raise InputError(f"{path}: expected a .npy or a .csv file")
    except (ValueError, EOFError, OSError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table of numbers: {error}") from error
    if points.ndim != 2 or points.dtype.kind not in "iuf" or points.size == 0:
        raise InputError(
            f"{path}: holds an array of shape {points.shape} and type {points.dtype}; "
            "expected numbers of shape (points, n), at least one point"
        )
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if wrong.size:
        raise InputError(f"{path}: point {wrong[0]} (counted from 0) has a coordinate not finite")
    return points.astype(np.float32)


def _read_csv(path: Path) -> np.ndarray:
    with path.open(newline="", encoding="utf-8-sig") as stream:  # spreadsheets write a BOM
        rows = [row for row in csv.reader(stream) if row]
    # A first line with numbers in it is a point; one that is misspelt is no header.
    if rows and not any(map(_is_number, rows[0])):
        rows = rows[1:]
    if not rows:
        raise ValueError("it holds no points")
    return np.array([[float(field) for field in row] for row in rows])


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def write_points(path: Path, points: Float[np.ndarray, "points n"]) -> None:
    """Write points in the format that the name's ending says, .npy or .csv, atomically."""
    with atomic_path(path) as partial:
        if path.suffix == ".npy":
            np.save(partial, points)
        else:
            header = ",".join(f"x{i}" for i in range(points.shape[1]))
            np.savetxt(partial, points, fmt="%.9g", delimiter=",", header=header, comments="")


def ground_truth(
    path: Path, points: Float[np.ndarray, "points n"], standardised: bool
) -> Float[np.ndarray, "points n"]:
    """Map points by the ground truth of a prepared pair.

    Raises:
        InputError: the pair's optimal map is not known, or the points are of another dimension.
    """
    pair = measures.load_pair(path)
    _check_dimension(points, pair.dimension, path)
    name = "ground_truth" if standardised else "ground_truth_unstandardised"
    apply = jax.jit(lambda pair, x: getattr(pair, name)(x))
    return _in_blocks(lambda x: apply(pair, x), points)


def trained(
    path: Path, points: Float[np.ndarray, "points n"], inverse: bool, seed: int | None
) -> Float[np.ndarray, "points n"]:
    """Map points by a trained cell: forward by grad f, inverse by the conjugate's argmin.

    Raises:
        InputError: the cell has no such seed, or another dimension.
    """
    params, cell, seeds = load_params(path)
    _check_dimension(points, cell.dimension, path)
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise InputError(f"{path}: has no seed {seed}; it has {', '.join(map(str, seeds))}")
    index = seeds.index(seed)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[index : index + 1]), params)
    problem = make_problem(cell.settings, cell.dimension)

    @jax.jit
    def apply(params: object, x: jax.Array) -> jax.Array:
        if inverse:
            return problem.conjugate(params, x[None]).x[0]  # type: ignore[arg-type]
        return problem.push(params, x[None])[0]  # type: ignore[arg-type]

    return _in_blocks(lambda x: apply(one, x), points)


def _check_dimension(points: np.ndarray, dimension: int, path: Path) -> None:
    if points.shape[1] != dimension:
        raise InputError(
            f"the points have {points.shape[1]} coordinates, {path} maps points of R^{dimension}"
        )


def _in_blocks(apply, points: np.ndarray) -> np.ndarray:  # noqa: ANN001
    """Map block by block; the last one is filled up, so that one compiled program serves all."""
    size = min(BLOCK, len(points))
    results = []
    for start in range(0, len(points), size):
        block = points[start : start + size]
        filled = np.concatenate([block, np.repeat(block[:1], size - len(block), axis=0)])
        results.append(np.asarray(apply(jnp.asarray(filled)))[: len(block)])
    return np.concatenate(results)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument("--points", required=True, type=Path, help=".npy or .csv, a point a row")
    parser.add_argument("--out", required=True, type=Path, help="file to write, .npy or .csv")
    parser.add_argument(
        "--map",
        required=True,
        choices=[*GROUND_TRUTH, *TRAINED],
        help="ground-truth* need --measures, forward and inverse need --params",
    )
    parser.add_argument("--measures", type=Path, help="prepared pair, results/measures/*")
    parser.add_argument("--params", type=Path, help="trained cell, .../params.safetensors")
    parser.add_argument("--seed", type=int, help="with --params: which seed (default: the first)")


def main(args: argparse.Namespace) -> None:
    """Read, map, write."""
    configure()
    by_cell = args.map in TRAINED
    needed, unused = ("params", ["measures"]) if by_cell else ("measures", ["params", "seed"])
    if getattr(args, needed) is None:
        raise InputError(f"--map {args.map} needs --{needed} FILE")
    for name in unused:
        if getattr(args, name) is not None:
            raise InputError(f"--map {args.map} makes no use of --{name}; leave it out")
    if args.out.suffix not in (".npy", ".csv"):
        raise InputError(f"--out {args.out}: expected a .npy or a .csv file")
    points = read_points(args.points)
    if by_cell:
        mapped = trained(args.params, points, args.map == "inverse", args.seed)
    else:
        mapped = ground_truth(args.measures, points, args.map == "ground-truth")
    if not np.isfinite(mapped).all():
        raise InputError(
            f"--map {args.map}: the map gives values that are not finite; "
            "the cell has diverged, or the points lie far outside the source"
        )
    write_points(args.out, mapped)
    log.info("%d points -> %s", len(mapped), args.out)

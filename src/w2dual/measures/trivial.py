"""How well maps that learn nothing do: identity, constant, and linear (closed form).

The linear map needs covariances: pairs of images, which have none, are without it.

The benchmark's paper reports the linear map as a lower bar for any method (Korotin et al., NeurIPS
2021, table 2). Conventions of its repository: the constant map's L2-UVP is 100 by definition, the
identity's cosine is 0.
"""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from w2dual import measures, rng
from w2dual.measures import linear
from w2dual.measures.base import SolvedPair
from w2dual.records import atomic_path, load_arrays

log = logging.getLogger(__name__)

BATCH = 8192
BATCH_NUMBERS = 2**24
"""At most this many numbers a batch: fewer points where each is an image."""
_Points = Float[np.ndarray, "batch n"]
_Map = Callable[[_Points], _Points]


def trivial_maps(pair: SolvedPair) -> dict[str, tuple[_Map, _Map]]:
    """Return the forward and inverse trivial maps of a pair, in float64 on the host."""
    moments = pair.moments
    source = np.asarray(moments.mean_source, np.float64)
    target = np.asarray(moments.mean_target, np.float64)
    maps: dict[str, tuple[_Map, _Map]] = {
        "identity": (lambda x: x, lambda y: y),
        "constant": (
            lambda x: np.broadcast_to(target, x.shape),
            lambda y: np.broadcast_to(source, y.shape),
        ),
    }
    if moments.cov_source is None or moments.cov_target is None:
        return maps
    cov_source = np.asarray(moments.cov_source, np.float64)
    cov_target = np.asarray(moments.cov_target, np.float64)
    forward = linear.bures_matrix(cov_source, cov_target)
    inverse = linear.bures_matrix(cov_target, cov_source)
    return maps | {
        "linear": (
            lambda x: (x - source) @ forward + target,
            lambda y: (y - target) @ inverse + source,
        )
    }


def score(pair: SolvedPair, samples: int, seed: int) -> list[dict[str, Any]]:
    """Score the trivial maps on fresh points x and y = T*(x).

    With a map T, L2-UVP is 100 E||T(x) - T*(x)||^2 / Var(target) and the cosine is
    E<T*(x) - x, T(x) - x> / sqrt(2 cost E||T(x) - x||^2); the inverse map S is scored alike, at y
    and against x.

    Args:
        pair: the pair of measures.
        samples: number of points.
        seed: of the stream that the points come from.

    Returns:
        One row per map: `map`, `l2_uvp_forward_percent`, `l2_uvp_inverse_percent` in percent,
        `cosine_forward`, `cosine_inverse`.
    """
    maps = trivial_maps(pair)
    # Sums over points, for each map and direction: error, displacement, and their product.
    sums = {(name, way): np.zeros(3) for name in maps for way in range(2)}
    for x, y in _points(pair, samples, seed):
        for name, both in maps.items():
            for way, (begin, end) in enumerate(((x, y), (y, x))):
                mapped = both[way](begin)
                moved = mapped - begin
                sums[name, way] += (
                    np.sum((mapped - end) ** 2),
                    np.sum(moved**2),
                    np.sum((end - begin) * moved),
                )
    cost = float(pair.cost)
    variances = (float(pair.var_target), float(pair.var_source))
    rows = []
    for name in maps:
        errors, cosines = [], []
        for way in range(2):
            error, moved, product = sums[name, way] / samples
            errors.append(100.0 if name == "constant" else float(100.0 * error / variances[way]))
            cosines.append(
                0.0 if name == "identity" else float(product / math.sqrt(2.0 * cost * moved))
            )
        rows.append(
            {
                "map": name,
                "l2_uvp_forward_percent": errors[0],
                "l2_uvp_inverse_percent": errors[1],
                "cosine_forward": cosines[0],
                "cosine_inverse": cosines[1],
            }
        )
    return rows


def write(pair_files: Sequence[Path], samples: int, seed: int, out: Path) -> None:
    """Score the trivial maps of several prepared pairs and write one CSV.

    Columns: pair (the file's name without its ending), dimension, measures_source, and those of
    `score`.
    """
    rows = []
    for path in pair_files:
        pair = measures.load_solved(path)
        _, metadata = load_arrays(path)
        log.info("%s: trivial maps on %d points", path, samples)
        lead = {
            "pair": Path(path).stem,
            "dimension": pair.dimension,
            "measures_source": metadata.get("source"),
        }
        rows += [lead | row for row in score(pair, samples, seed)]
    with atomic_path(out) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _points(pair: SolvedPair, samples: int, seed: int) -> Iterator[tuple[_Points, _Points]]:
    """Yield batches of source points and their images, float64."""
    key = rng.stream(seed, "trivial maps")
    size = min(BATCH, BATCH_NUMBERS // pair.dimension)

    @jax.jit
    def batch(current: SolvedPair, step: int) -> tuple[jax.Array, jax.Array]:
        x = current.sample_source(rng.at(key, step), size)
        return x, current.ground_truth(x)

    for step, begin in enumerate(range(0, samples, size)):
        kept = min(size, samples - begin)
        x, y = (np.asarray(item, np.float64)[:kept] for item in batch(pair, step))
        yield x, y

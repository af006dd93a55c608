"""Preparing a pair of the benchmark: from weights to the one file that everything after reads.

Fixes once, from a large sample of its own stream, what the ground truth and the metrics depend on:
shift, scale, the target's moments and the cost.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from w2dual import rng, seeds
from w2dual.decoding import decode
from w2dual.measures.base import FORMAT, Moments
from w2dual.measures.benchmark import icnn_dense, mixture
from w2dual.measures.benchmark.generated import Budget
from w2dual.measures.benchmark.icnn_dense import VERSIONS, DenseICNN
from w2dual.measures.benchmark.mixture import Mixture
from w2dual.measures.benchmark.weights import SOURCES, obtain
from w2dual.measures.pairs import benchmark
from w2dual.records import InputError

log = logging.getLogger(__name__)

SECTION = "measures.benchmark"
"""Of the config."""
MOMENT_BATCH = 8192


@dataclass(frozen=True)
class Settings:
    """The config's `measures.benchmark`."""

    sources: tuple[str, ...]
    mirror: str | None
    url: str
    published_dimensions: tuple[int, ...]
    moment_samples: int
    moment_seed: int
    generated: Budget

    @staticmethod
    def from_mapping(mapping: Mapping[str, Any]) -> Settings:
        """Check the mapping and take the settings from it.

        Raises:
            InputError: a key is missing or unknown, or a value is of a wrong type.
        """
        found = decode(Settings, mapping, "config", SECTION)
        if not found.sources or set(found.sources) - set(SOURCES):
            raise InputError(
                f"{SECTION}.sources: {list(found.sources)} is not a list of {', '.join(SOURCES)}"
            )
        _check_positive(f"{SECTION}.moment_samples", found.moment_samples)
        for key in ("iterations", "batch_size", "pretraining_iterations"):
            _check_positive(f"{SECTION}.generated.{key}", getattr(found.generated, key))
        seeds.checked(found.moment_seed, f"{SECTION}.moment_seed")
        seeds.checked(found.generated.seed, f"{SECTION}.generated.seed")
        return found


def prepare(
    pair_name: str, settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Obtain a benchmark pair's weights and fix its constants; return the file's content.

    Args:
        pair_name: `hd` and the dimension, for example `hd2`.
        settings: the config's `measures.benchmark`.

    Raises:
        InputError: the pair does not exist, no source has it, or a source's file is damaged.
    """
    dimension = parse_pair(pair_name)
    checked = Settings.from_mapping(settings)
    weights = obtain(
        dimension,
        checked.sources,
        checked.published_dimensions,
        checked.mirror,
        checked.url,
        checked.generated,
    )
    arrays = benchmark.source_arrays(dimension)
    log.info("%s: moments from %d points", pair_name, checked.moment_samples)
    arrays |= fix_constants(weights.potentials, arrays, checked.moment_samples, checked.moment_seed)
    for version, potential in zip(VERSIONS, weights.potentials, strict=True):
        arrays |= icnn_dense.to_arrays(potential, version)
    metadata = {
        "format": FORMAT,
        "kind": benchmark.KIND,
        "pair": pair_name,
        "dimension": dimension,
        "source": weights.source,
        "files": weights.files,
        "moment_samples": checked.moment_samples,
        "moment_seed": checked.moment_seed,
        "generated": weights.generated,
    }
    return arrays, metadata


def parse_pair(pair_name: str) -> int:
    """Return the dimension of a benchmark pair's name.

    Raises:
        InputError: the name is not `hd` and a positive integer.
    """
    match = re.fullmatch(r"hd([1-9][0-9]*)", pair_name)
    if match is None:
        raise InputError(f"pair {pair_name!r}: not `hd` and a dimension, as in hd2 or hd64")
    return int(match[1])


def fix_constants(
    potentials: list[DenseICNN], source: Mapping[str, np.ndarray], samples: int, seed: int
) -> dict[str, np.ndarray]:
    """Estimate shift, scale, the target's moments and the cost; the source's are closed form.

    With Y the unstandardised push, shift = E Y, scale = (mean_i Var Y_i)^-1/2, and the target
    scale (Y - shift) has mean 0 and total variance n up to rounding.

    Args:
        potentials: D1 and D2.
        source: the source mixture's arrays `centers`, `maps`, `std`.
        samples: number of points.
        seed: of the stream that the points come from; the same points for any batch.

    Returns:
        `shift`, `scale`, `strong_convexity` in float32 and the moments in float64, by name.
    """
    x_mean, x_square, y_mean, y_cov, x_dot_y = _accumulate(potentials, source, samples, seed)
    n = y_mean.size
    shift = y_mean.astype(np.float32)
    scale = np.float32(1.0 / np.sqrt(np.trace(y_cov) / n))
    # What follows is for the map as it is stored, with shift and scale rounded to float32.
    factor, offset = float(scale), shift.astype(np.float64)
    target_mean = factor * (y_mean - offset)
    target_cov = factor**2 * y_cov
    target_square = np.trace(target_cov) + target_mean @ target_mean
    x_dot_target = factor * (x_dot_y - x_mean @ offset)
    mean_source, cov_source = mixture.moments(
        source["centers"], source["maps"], float(source["std"])
    )
    moments = Moments(
        mean_source=mean_source,
        cov_source=cov_source,
        mean_target=target_mean,
        cov_target=target_cov,
        var_source=np.trace(cov_source),
        var_target=np.trace(target_cov),
        cost=np.float64(0.5 * (x_square - 2.0 * x_dot_target + target_square)),
    )
    single = {
        "shift": shift,
        "scale": scale,
        "strong_convexity": np.float32(benchmark.STRONG_CONVEXITY),
    }
    return single | moments.to_arrays()


def _accumulate(
    potentials: list[DenseICNN], source: Mapping[str, np.ndarray], samples: int, seed: int
) -> tuple[
    Float[np.ndarray, " n"], float, Float[np.ndarray, " n"], Float[np.ndarray, "n n"], float
]:
    """Return E x, E||x||^2, E Y, Cov Y and E<x, Y> over the sample, summed in float64."""
    gaussians = Mixture(*(jnp.asarray(source[key]) for key in ("centers", "maps", "std")))
    stacked = icnn_dense.stack(potentials)
    key = rng.stream(seed, "moments")

    @jax.jit
    def batch(step: int) -> tuple[jax.Array, jax.Array]:
        with jax.default_matmul_precision("highest"):
            x = mixture.sample(gaussians, rng.at(key, step), MOMENT_BATCH)
            return x, icnn_dense.push_sum(stacked, benchmark.STRONG_CONVEXITY, x)

    n = source["centers"].shape[1]
    x_sum, y_sum, y_outer = np.zeros(n), np.zeros(n), np.zeros((n, n))
    x_square = x_dot_y = 0.0
    for step, begin in enumerate(range(0, samples, MOMENT_BATCH)):
        kept = min(MOMENT_BATCH, samples - begin)
        x, y = (np.asarray(item, np.float64)[:kept] for item in batch(step))
        x_sum += x.sum(axis=0)
        y_sum += y.sum(axis=0)
        y_outer += y.T @ y
        x_square += float(np.sum(x * x))
        x_dot_y += float(np.sum(x * y))
    y_mean = y_sum / samples
    y_cov = y_outer / samples - np.outer(y_mean, y_mean)
    return x_sum / samples, x_square / samples, y_mean, y_cov, x_dot_y / samples


def _check_positive(where: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{where}: {value!r} is not a positive whole number")

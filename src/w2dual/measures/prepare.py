"""The job `prepare`: from weights to the one file that everything after reads.

Fixes once, from a large sample of its own stream, what the ground truth and the metrics depend on:
shift, scale, the target's moments and the cost.
"""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from w2dual import rng, seeds
from w2dual.measures import (
    benchmark_files,
    hd,
    icnn_dense,
    images,
    mixture,
    own,
    synthetic,
    torchfile,
)
from w2dual.measures.base import FORMAT, Moments
from w2dual.measures.benchmark_files import VERSIONS, BenchmarkFile, Unavailable
from w2dual.measures.generated import Budget, Generated, train
from w2dual.measures.icnn_dense import DenseICNN
from w2dual.measures.mixture import Mixture
from w2dual.records import InputError, json_argument, save_arrays

log = logging.getLogger(__name__)

ON_THE_PLANE = {module.KIND: module for module in (synthetic, images)}
SOURCES = ("mirror", "download", "generated")
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
        budget = mapping.get("generated")
        if not isinstance(budget, Mapping):
            raise InputError(f"measures.benchmark.generated: {budget!r} is not a mapping")
        _check_keys("measures.benchmark", mapping, [item.name for item in fields(Settings)])
        _check_keys("measures.benchmark.generated", budget, [item.name for item in fields(Budget)])
        sources = mapping["sources"]
        if not isinstance(sources, list | tuple) or not sources or set(sources) - set(SOURCES):
            raise InputError(
                f"measures.benchmark.sources: {sources!r} is not a list of {', '.join(SOURCES)}"
            )
        _check_positive("measures.benchmark.moment_samples", mapping["moment_samples"])
        for key in ("iterations", "batch_size", "pretraining_iterations"):
            _check_positive(f"measures.benchmark.generated.{key}", budget[key])
        seeds.checked(mapping["moment_seed"], "measures.benchmark.moment_seed")
        seeds.checked(budget["seed"], "measures.benchmark.generated.seed")
        return Settings(
            sources=tuple(sources),
            mirror=mapping["mirror"],
            url=mapping["url"],
            published_dimensions=tuple(mapping["published_dimensions"]),
            moment_samples=mapping["moment_samples"],
            moment_seed=mapping["moment_seed"],
            generated=Budget(**budget),
        )


@dataclass(frozen=True)
class Weights:
    """The two potentials of a pair, and where they come from."""

    potentials: list[DenseICNN]
    source: str
    files: dict[str, str]
    generated: dict[str, Any] | None


def prepare(pair_name: str, settings: Mapping[str, Any], out: Path) -> None:
    """Obtain a benchmark pair's weights, fix its constants, and write its file.

    Args:
        pair_name: `hd` and the dimension, for example `hd2`.
        settings: the config's `measures.benchmark`.
        out: the prepared file to write.

    Raises:
        InputError: the pair does not exist, no source has it, or a source's file is damaged.
    """
    dimension = parse_pair(pair_name)
    checked = Settings.from_mapping(settings)
    weights = obtain(dimension, checked)
    arrays = hd.source_arrays(dimension)
    log.info("%s: moments from %d points", pair_name, checked.moment_samples)
    arrays |= fix_constants(weights.potentials, arrays, checked.moment_samples, checked.moment_seed)
    for version, potential in zip(VERSIONS, weights.potentials, strict=True):
        arrays |= icnn_dense.to_arrays(potential, version)
    metadata = {
        "format": FORMAT,
        "kind": hd.KIND,
        "pair": pair_name,
        "dimension": dimension,
        "source": weights.source,
        "files": weights.files,
        "moment_samples": checked.moment_samples,
        "moment_seed": checked.moment_seed,
        "generated": weights.generated,
    }
    save_arrays(out, arrays, metadata)
    log.info("%s: %s written, weights from %s", pair_name, out, weights.source)


def parse_pair(pair_name: str) -> int:
    """Give the dimension of a benchmark pair's name.

    Raises:
        InputError: the name is not `hd` and a positive integer.
    """
    match = re.fullmatch(r"hd([1-9][0-9]*)", pair_name)
    if match is None:
        raise InputError(f"pair {pair_name!r}: not `hd` and a dimension, as in hd2 or hd64")
    return int(match[1])


def obtain(dimension: int, settings: Settings) -> Weights:
    """Get the weights from the first source that has them.

    Raises:
        InputError: none has them, with what was tried; or a source's file is not the published one.
    """
    published = dimension in settings.published_dimensions
    if not published and "generated" not in settings.sources:
        raise InputError(
            f"n={dimension}: the benchmark publishes weights for n in "
            f"{list(settings.published_dimensions)} only; any other dimension needs `generated` "
            "in measures.benchmark.sources (a new pair is then trained)"
        )
    tried = []
    for source in settings.sources:
        if source == "generated":
            return generate(dimension, settings.generated)
        if not published:
            continue
        try:
            files = (
                benchmark_files.from_mirror(dimension, settings.mirror)
                if source == "mirror"
                else benchmark_files.from_download(dimension, settings.url)
            )
        except Unavailable as reason:
            log.warning("n=%d: no weights from %s: %s", dimension, source, reason)
            tried.append(f"  {source}: {reason}")
        else:
            return published_weights(dimension, source, files)
    raise InputError(
        f"n={dimension}: no source has the benchmark's weights\n"
        + "\n".join(tried)
        + f"\n  What would help: a mirror (environment variable {benchmark_files.MIRROR_VARIABLE}"
        " or measures.benchmark.mirror), a network, or `generated` in measures.benchmark.sources,"
        " which trains a new pair and marks every table as not made from the published weights"
    )


def published_weights(dimension: int, source: str, files: list[BenchmarkFile]) -> Weights:
    """Read the two potentials from verified published files."""
    potentials = [
        icnn_dense.from_tensors(torchfile.read(file.content, file.name), dimension, file.name)
        for file in files
    ]
    log.info("n=%d: weights from %s, verified", dimension, source)
    return Weights(potentials, source, {file.name: file.git_blob_sha1 for file in files}, None)


def generate(dimension: int, budget: Budget) -> Weights:
    """Train the two potentials anew, and record the budget and what it reached."""
    log.warning("n=%d: training a new pair; it will not be the published one", dimension)
    trained: Generated = train(dimension, budget)
    record = asdict(budget) | {
        "identity_mse": dict(zip(VERSIONS, trained.identity_mse, strict=True)),
        "cycle_mse": dict(zip(VERSIONS, trained.cycle_mse, strict=True)),
    }
    return Weights(trained.potentials, "generated", {}, record)


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
        "strong_convexity": np.float32(hd.STRONG_CONVEXITY),
    }
    return single | moments.to_arrays()


def _accumulate(
    potentials: list[DenseICNN], source: Mapping[str, np.ndarray], samples: int, seed: int
) -> tuple[
    Float[np.ndarray, " n"], float, Float[np.ndarray, " n"], Float[np.ndarray, "n n"], float
]:
    """Give E x, E||x||^2, E Y, Cov Y and E<x, Y> over the sample, summed in float64."""
    gaussians = Mixture(*(jnp.asarray(source[key]) for key in ("centers", "maps", "std")))
    stacked = icnn_dense.stack(potentials)
    key = rng.stream(seed, "moments")

    @jax.jit
    def batch(step: int) -> tuple[jax.Array, jax.Array]:
        with jax.default_matmul_precision("highest"):
            x = mixture.sample(gaussians, rng.at(key, step), MOMENT_BATCH)
            return x, icnn_dense.push_sum(stacked, hd.STRONG_CONVEXITY, x)

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


def _check_keys(where: str, mapping: Mapping[str, Any], wanted: list[str]) -> None:
    if missing := sorted(set(wanted) - set(mapping)):
        raise InputError(f"{where}: lacks {missing}")
    if unknown := sorted(set(mapping) - set(wanted)):
        raise InputError(f"{where}: unknown {unknown}; known are {wanted}")


def _check_positive(where: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{where}: {value!r} is not a positive whole number")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the job's arguments."""
    parser.add_argument(
        "--pair", required=True, help="hd and the dimension, for example hd2; or a name"
    )
    parser.add_argument(
        "--settings",
        required=True,
        metavar="JSON",
        help="the config's measures.benchmark or measures.synthetic.PAIR, as JSON or as the path "
        "of a JSON file",
    )
    parser.add_argument("--out", required=True, type=Path, help="the prepared file to write")


def main(args: argparse.Namespace) -> None:
    """Run the job.

    Raises:
        InputError: the settings are of no known kind, or cannot be used.
    """
    settings = dict(json_argument(args.settings))
    kind = settings.pop("kind", hd.KIND)
    if kind == hd.KIND:
        prepare(args.pair, settings, args.out)
    elif kind in ON_THE_PLANE:
        module = ON_THE_PLANE[kind]
        _check_keys(f"measures.synthetic.{args.pair}", settings, list(module.KEYS))
        arrays, metadata = module.prepare(args.pair, settings)
        save_arrays(args.out, arrays, metadata)
        log.info("%s: %s written", args.pair, args.out)
    else:
        save_arrays(args.out, *own.prepare(args.pair, kind, settings))
        log.info("%s: %s written", args.pair, args.out)

"""Preparing a pair of images: from weights to the one file that everything after reads.

The generator comes from its own prepared file, which the pairs share; without one it is obtained
here. Fixes once, from a large sample of its own stream, what the metrics depend on: the means, the
total variances and the cost. Covariances of n x n numbers are none of them.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from w2dual import rng, seeds
from w2dual.config.places import CELEBA64_GENERATOR as GENERATOR
from w2dual.decoding import decode
from w2dual.measures.base import Moments
from w2dual.measures.benchmark.weights import SOURCES
from w2dual.measures.celeba64 import maps, weights
from w2dual.measures.celeba64.generated import Budget
from w2dual.measures.celeba64.generator import Generator
from w2dual.measures.celeba64.icnn_conv import ConvICNN
from w2dual.measures.celeba64.weights import Places, Source
from w2dual.measures.pairs import celeba64
from w2dual.records import InputError, load_arrays

log = logging.getLogger(__name__)

SECTION = "measures.celeba64"
"""Of the config, which has such pairs."""
PAIRS = ("early", "mid", "late")
"""How far the generators were trained whose images the targets resemble."""
MOMENT_NUMBERS = 2**22
"""Numbers of the images whose sums are added up at once: 341 images of 64 x 64."""


@dataclass(frozen=True)
class Settings:
    """The config's `measures.celeba64`, with the mirror and the URL of `measures.benchmark`."""

    sources: tuple[str, ...]
    mirror: str | None
    url: str
    noise: float
    moment_samples: int
    moment_seed: int
    generated: Budget
    generator: str | None = None

    @property
    def places(self) -> Places:
        """Where published files are looked for."""
        return Places(self.sources, self.mirror, self.url)

    @staticmethod
    def from_mapping(mapping: Mapping[str, Any]) -> Settings:
        """Check the mapping and take the settings from it.

        Raises:
            InputError: a key is missing or unknown, or a value is of a wrong type.
        """
        settings = decode(Settings, mapping, weights.SECTION)
        if not settings.sources or set(settings.sources) - set(SOURCES):
            raise InputError(
                f"{weights.SECTION}.sources: {list(settings.sources)} is not a list of "
                f"{', '.join(SOURCES)}"
            )
        budget = settings.generated
        positive = {
            "moment_samples": settings.moment_samples,
            "noise": settings.noise,
            "generated.pool": budget.pool,
            "generated.batch_size": budget.batch_size,
            "generated.iterations": budget.iterations,
            "generated.pretraining_iterations": budget.pretraining_iterations,
        }
        for key, value in positive.items():
            if value <= 0:
                raise InputError(f"{weights.SECTION}.{key}: {value}; expected a number above 0")
        seeds.checked(settings.moment_seed, f"{weights.SECTION}.moment_seed")
        seeds.checked(budget.seed, f"{weights.SECTION}.generated.seed")
        return settings


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Obtain the networks of a pair of images and fix its constants; return the file's content.

    Args:
        name: `celeba64_early`, `celeba64_mid` or `celeba64_late`; or `celeba64_generator`, whose
            file holds no pair but what they share.
        settings: the config's `measures.celeba64`, with `mirror` and `url`, and `generator`: the
            path of the prepared generator, or None for one that is obtained here.

    Raises:
        InputError: the pair does not exist, no source has it, or a source's file is damaged.
    """
    checked = Settings.from_mapping(settings)
    if name == GENERATOR:
        return weights.obtain_source(checked.places, checked.generated).to_file()
    which = parse_pair(name)
    source = _source(checked)
    noise = checked.noise
    found = weights.obtain_potentials(which, source, noise, checked.places, checked.generated)
    arrays, metadata = celeba64.to_arrays(source.generator, found.potentials, noise)
    log.info("%s: moments from %d images", name, checked.moment_samples)
    moments = estimate_moments(
        source.generator, found.potentials, noise, checked.moment_samples, checked.moment_seed
    )
    metadata |= {
        "pair": name,
        "source": found.source,
        "files": source.files | found.files,
        "moment_samples": checked.moment_samples,
        "moment_seed": checked.moment_seed,
        "generated": found.generated,
    }
    return arrays | moments.to_arrays(), metadata


def _source(settings: Settings) -> Source:
    if settings.generator is None:
        return weights.obtain_source(settings.places, settings.generated)
    return weights.source_from_file(*load_arrays(settings.generator), settings.generator)


def parse_pair(name: str) -> str:
    """Return which pair of images a name is of.

    Raises:
        InputError: the name is not `celeba64_` and one of the pairs.
    """
    match = re.fullmatch(rf"celeba64_({'|'.join(PAIRS)})", name)
    if match is None:
        raise InputError(f"pair {name!r}: not `celeba64_` and one of {', '.join(PAIRS)}, generator")
    return match[1]


def estimate_moments(
    generator: Generator, potentials: list[ConvICNN], noise: float, samples: int, seed: int
) -> Moments:
    """Estimate the means, the total variances and the cost over a sample, summed in float64.

    Args:
        generator: G.
        potentials: f_1 and f_2.
        noise: standard deviation of what is added to each number of an image.
        samples: number of images.
        seed: of the stream that the images come from.
    """
    n = generator.architecture.dimension
    size = min(samples, max(1, MOMENT_NUMBERS // n))
    key = rng.stream(seed, "celeba64 moments")
    mu = jnp.float32(maps.STRONG_CONVEXITY)

    @functools.partial(jax.jit, static_argnames="count")
    def batch(
        source: Generator, both: tuple[ConvICNN, ...], step: int, count: int
    ) -> tuple[jax.Array, jax.Array]:
        x = maps.sample(source, jnp.float32(noise), rng.at(key, step), count)
        return x, maps.push_mean(both, mu, x)

    on_device = jax.tree.map(jnp.asarray, (generator, tuple(potentials)))
    x_sum, y_sum = np.zeros(n), np.zeros(n)
    x_square = y_square = moved = 0.0
    for step, begin in enumerate(range(0, samples, size)):
        kept = min(size, samples - begin)
        x, y = (np.asarray(item, np.float64)[:kept] for item in batch(*on_device, step, size))
        x_sum += x.sum(axis=0)
        y_sum += y.sum(axis=0)
        x_square += float(np.vdot(x, x))
        y_square += float(np.vdot(y, y))
        moved += float(np.sum(np.square(x - y)))
    x_mean, y_mean = x_sum / samples, y_sum / samples
    return Moments(
        mean_source=x_mean,
        cov_source=None,
        mean_target=y_mean,
        cov_target=None,
        var_source=np.float64(x_square / samples - x_mean @ x_mean),
        var_target=np.float64(y_square / samples - y_mean @ y_mean),
        cost=np.float64(0.5 * moved / samples),
    )

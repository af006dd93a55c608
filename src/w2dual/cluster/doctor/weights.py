"""Are the published weights where the jobs look for them?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w2dual.cluster.doctor import checks
from w2dual.cluster.doctor.checks import Finding, Level
from w2dual.config.grid import benchmark_grid
from w2dual.config.places import IMAGE_WEIGHTS, WEIGHTS, mirror_folder
from w2dual.config.reader import Config
from w2dual.records import InputError


def benchmark(config: Config) -> Finding:
    """Are the potentials of the benchmark's pairs at hand?"""
    from w2dual.measures.benchmark.files import weight_paths

    settings = config["measures"]["benchmark"]
    dimensions = sorted({cell.dimension for cell in benchmark_grid(config)})
    published = [n for n in dimensions if n in settings["published_dimensions"]]
    paths = [path for n in published for path in weight_paths(n)]
    return _published(config, "benchmark files", paths, settings["sources"], WEIGHTS)


def images(config: Config) -> Finding:
    """Are the generator and the potentials of the pairs of CelebA64 at hand?"""
    from w2dual.measures.benchmark.files import GENERATOR_PATH, image_weight_paths

    pairs = config["celeba64"]["generators"]
    paths = [GENERATOR_PATH, *(path for which in pairs for path in image_weight_paths(which))]
    sources = config["measures"]["celeba64"]["sources"]
    return _published(config, "CelebA64 files", paths, sources, IMAGE_WEIGHTS)


def _published(
    config: Config, check: str, paths: Sequence[str], sources: Sequence[str], within: str
) -> Finding:
    """Look for published files in the mirror, which is one for all."""
    names = [Path(path).relative_to("benchmarks") for path in paths]
    mirror = config["measures"]["benchmark"]["mirror"]
    try:
        named = mirror_folder(mirror) if "mirror" in sources else None
    except InputError as error:
        return Finding(check, Level.FAIL, str(error), "the jobs look there too")
    if named is None:
        where, missing = "no mirror (W2BENCHMARK_MIRROR is not set)", list(map(str, names))
    else:
        folder, _ = named
        places = (folder, folder / "benchmarks")
        missing = [str(name) for name in names if not any((p / name).is_file() for p in places)]
        where = str(folder)
    return checks.published_files(check, missing, len(names), where, sources, within)

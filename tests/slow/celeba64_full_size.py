"""The pairs of images at their published size: files of that form, and values of PyTorch.

    python -m tests.slow.celeba64_full_size --folder SCRATCH [--images 8]

Writes random weights of the published form and size below the folder (186 MB), prepares the
generator and the pair `early` from them as from a mirror, draws images of the source and maps them
by T* as training does, and checks shapes, moments and monotonicity. Then compares networks of the
published size with PyTorch in float64, to 1e-6. Half a minute of work on an idle CPU and 3 GB.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import yaml
from tests.unit.measures.celeba64 import published
from tests.unit.measures.celeba64.test_networks import check_images, check_potential

from w2dual import measures
from w2dual.backend import configure
from w2dual.config import reader
from w2dual.measures.benchmark import files
from w2dual.measures.celeba64.weights import PUBLISHED, PUBLISHED_WIDTHS
from w2dual.measures.preparation import prepare

ROOT = Path(__file__).parents[2]
log = logging.getLogger(__name__)


def write_files(folder: Path) -> None:
    """Write a generator and a pair's potentials, and check that they have the published size."""
    for name, content in published.contents(PUBLISHED, PUBLISHED_WIDTHS).items():
        wanted = 96.18e6 if name == "Final_G.pt" else 44.99e6
        if abs(len(content) - wanted) > 0.002 * wanted:
            raise SystemExit(f"{name} has {len(content)} bytes; expected about {wanted:.0f}")
        published.write(folder, {name: content})
        log.info("%s: %d bytes", name, len(content))


def prepare_pair(folder: Path, images: int) -> Path:
    """Prepare the generator and a pair from the folder as a mirror; return the pair's file."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    settings = reader.pairs(config)["celeba64_early"]
    settings |= {"mirror": str(folder), "moment_samples": images}
    blobs = {
        f"benchmarks/{published.FOLDER}/{path.name}": files.git_blob_sha1(path.read_bytes())
        for path in (folder / published.FOLDER).iterdir()
    }
    generator, pair = (folder / f"celeba64_{name}.safetensors" for name in ("generator", "early"))
    with mock.patch.object(files, "published_blobs", return_value=blobs):
        prepare("celeba64_generator", settings, generator)
        prepare("celeba64_early", settings | {"generator": str(generator)}, pair)
    return pair


def check_pair(path: Path, images: int) -> None:
    """Draw images of two seeds at once, map them, and check that the map is monotone."""
    pair = measures.load_solved(path)
    keys = jax.random.split(jax.random.key(0), 2)

    @jax.jit
    def drawn(pair, keys):
        x = jax.vmap(lambda key: pair.sample_source(key, images // 2))(keys)
        return x, pair.ground_truth(x)

    begun = time.monotonic()
    x, y = (np.asarray(item, np.float64).reshape(-1, 12288) for item in drawn(pair, keys))
    log.info("%d images drawn and mapped in %.1f s", len(x), time.monotonic() - begun)
    moved = np.sum((y - np.roll(y, 1, axis=0)) * (x - np.roll(x, 1, axis=0)), axis=1)
    apart = np.sum((x - np.roll(x, 1, axis=0)) ** 2, axis=1)
    if not (np.all(np.isfinite(y)) and np.all(moved >= 0.01 * apart)):
        raise SystemExit(f"{path}: T* is not 0.01-strongly monotone")
    log.info(
        "var source %.1f, target %.3g, cost %.3g; least <T*x - T*z, x - z> / |x - z|^2 %.3g",
        float(pair.var_source),
        float(pair.var_target),
        float(pair.cost),
        np.min(moved / apart),
    )


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=8)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    configure()
    write_files(args.folder)
    check_pair(prepare_pair(args.folder, args.images), args.images)
    with jax.enable_x64(True):
        check_potential(64, np.float64, 1e-6)
        log.info("ConvICNN64 is PyTorch's to 1e-6 in float64")
        check_images(PUBLISHED, np.float64, 1e-6)
        log.info("ResNet_G is PyTorch's to 1e-6 in float64")


if __name__ == "__main__":
    main()

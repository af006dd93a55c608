"""The pairs of images at their published size: files of that form, and values of PyTorch.

    python -m tests.slow.celeba64_full_size --folder SCRATCH [--batch 64] [--part train]

Writes random weights of the published form and size below the folder (186 MB), prepares the
generator and the pair `early` from them as from a mirror, draws images of the source and maps them
by T* as training does, and checks shapes, moments and monotonicity. Takes two training steps of
regression + L-BFGS and of each of the benchmark's own methods, with the published networks. Then
compares networks of the published size with PyTorch in float64, to 1e-6. `--part` does one of
these: maps, train or pytorch. The first and last take half a minute of an idle CPU and 3 GB.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import resource
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
from w2dual.config import grid, reader
from w2dual.evaluation import cell as cell_evaluation
from w2dual.measures.benchmark import files
from w2dual.measures.celeba64.weights import PUBLISHED, PUBLISHED_WIDTHS
from w2dual.measures.preparation import prepare
from w2dual.training import run

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


METHODS = ("conv-regression-lbfgs", "conv_icnn-w2_images", "resnet-mm_images")


def take_steps(path: Path, name: str, batch_size: int, images: int) -> None:
    """Take two steps of pre-training and two of training of a cell of the paper's, of one seed."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    cell = next(c for c in grid.grid(config) if c.name == f"celeba64_early-{name}")
    few = {"iterations": 2} | (
        {"min_iterations": 1} if "min_iterations" in cell.settings["pretraining"] else {}
    )
    cell = dataclasses.replace(
        cell,
        settings=cell.settings
        | {
            "seeds": [0],
            # T* of random weights is huge, and so is the loss: no seed is to count as diverged.
            "training": cell.settings["training"]
            | {"iterations": 2, "batch_size": batch_size, "divergence_loss": 1e30},
            "pretraining": cell.settings["pretraining"] | few,
            "evaluation": cell.settings["evaluation"]
            | {"samples": images, "history_every": 2, "history_samples": images},
            "logging": {"every": 2},
        },
    )
    begun = time.monotonic()
    result = run.train(cell, measures.load(path), cell_evaluation.make)
    whole_s = time.monotonic() - begun
    leaves = jax.tree.leaves(result.state.params)
    if not (all(np.isfinite(leaf).all() for leaf in leaves) and int(result.state.step) == 2):
        raise SystemExit(f"{cell.name}: its parameters are not finite after two steps")
    (seed,) = result.seeds
    log.info(
        "%s: %d numbers; %.1f s a step of %d images, %.0f s in all; forward %.1f %%; peak %.1f GB",
        cell.name,
        sum(leaf.size for leaf in leaves),
        result.timing["seconds_per_step"],
        batch_size,
        whole_s,
        seed["l2_uvp_forward_percent"],
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    )


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--part", choices=("maps", "train", "pytorch"))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    configure()
    parts = [args.part] if args.part else ["maps", "train", "pytorch"]
    if parts != ["pytorch"]:
        write_files(args.folder)
        path = prepare_pair(args.folder, args.images)
        if "maps" in parts:
            check_pair(path, args.images)
        for name in args.methods if "train" in parts else ():
            take_steps(path, name, args.batch, args.images)
    if "pytorch" not in parts:
        return
    with jax.enable_x64(True):
        check_potential(64, np.float64, 1e-6)
        log.info("ConvICNN64 is PyTorch's to 1e-6 in float64")
        check_images(PUBLISHED, np.float64, 1e-6)
        log.info("ResNet_G is PyTorch's to 1e-6 in float64")


if __name__ == "__main__":
    main()

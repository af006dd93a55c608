"""What coarser products would do to the results: float32 beside TF32 and bfloat16, emulated.

    python -m tests.slow.precision --cells hd2-icnn hd16-mlp --iterations 3000 --out FILE
    python -m tests.slow.precision --cells celeba64_early-conv_small --configfile \
        presets/laptop.yaml --iterations 1000 --out FILE

Trains regression + L-BFGS with both operands of every product of the networks, forward and
backward, rounded to 10 (TF32) or 7 (bfloat16) bits of mantissa, products summed in float32 as a
GPU's tensor cores do. The ground truth stays in full float32, and so does the generator of images.
Emulation tells what the rounding
does, not what it saves. Writes one record per precision and cell, JSON. Needs W2BENCHMARK_MIRROR.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from jax._src.lax import lax as lax_module

from w2dual import measures, provenance
from w2dual.backend import configure
from w2dual.config import grid as cells
from w2dual.config import reader
from w2dual.evaluation import cell as cell_evaluation
from w2dual.measures.preparation import prepare
from w2dual.records import write_json
from w2dual.training import run as training

ROOT = Path(__file__).parents[2]
MANTISSA_BITS = {"float32": None, "tf32": 10, "bfloat16": 7}

log = logging.getLogger(__name__)


@contextmanager
def rounded_products(mantissa_bits: int | None) -> Iterator[None]:
    """Round both operands of products for which no precision is asked."""
    original = lax_module.dot_general

    def dot_general(lhs: Any, rhs: Any, numbers: Any, precision: Any = None, **more: Any) -> Any:
        exact = (
            precision is not None or jax.config.values["jax_default_matmul_precision"] == "highest"
        )
        if mantissa_bits is not None and not exact:
            lhs = jax.lax.reduce_precision(lhs, 8, mantissa_bits)
            rhs = jax.lax.reduce_precision(rhs, 8, mantissa_bits)
        return original(lhs, rhs, numbers, precision=precision, **more)

    lax_module.dot_general = dot_general
    jax.config.update("jax_default_matmul_precision", None)
    try:
        yield
    finally:
        lax_module.dot_general = original
        jax.config.update("jax_default_matmul_precision", "highest")
        jax.clear_caches()


def run(
    name: str, kind: str, seeds: int, iterations: int, folder: Path, configfiles: list[Path]
) -> dict[str, Any]:
    config = reader.load([ROOT / "config.yaml", *configfiles])
    for section in ("hd", "celeba64"):
        config[section]["seeds"] = list(range(seeds))
        config[section]["training"]["iterations"] = iterations
        config[section]["pretraining"] |= {"iterations": 1500}
        config[section]["evaluation"]["history_every"] = iterations
    wanted = f"{name}-regression-lbfgs"
    cell = next(cell for cell in cells.grid(config) if cell.name == wanted)
    path = folder / f"{cell.pair}.safetensors"
    if not path.exists():
        prepare(cell.pair, reader.pairs(config)[cell.pair], path)
    with rounded_products(MANTISSA_BITS[kind]):
        result = training.train(cell, measures.load(path), cell_evaluation.make)
    return {
        "cell": wanted,
        "precision": kind,
        "mantissa_bits": MANTISSA_BITS[kind],
        "iterations": iterations,
        "seeds": result.seeds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", nargs="+", default=["hd2-icnn", "hd16-mlp"])
    parser.add_argument("--configfile", nargs="*", type=Path, default=[])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s")
    configure()
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.cells:
            for kind in MANTISSA_BITS:
                record = run(name, kind, args.seeds, args.iterations, Path(folder), args.configfile)
                records.append(record)
                for seed in record["seeds"]:
                    log.info(
                        "%s %s seed %d: L2-UVP %s / %s %%, solver iterations %s, %s",
                        name,
                        kind,
                        seed["seed"],
                        seed["l2_uvp_forward_percent"],
                        seed["l2_uvp_inverse_percent"],
                        seed["conjugate_iterations_mean"],
                        seed["conjugate_status"],
                    )
    write_json(args.out, {"records": records, "provenance": provenance.gather("", "")})
    return 0


if __name__ == "__main__":
    sys.exit(main())

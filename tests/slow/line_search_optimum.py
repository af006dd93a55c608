"""Every row of the line search comparison against SciPy's L-BFGS-B, on a trained cell.

    python -m tests.slow.line_search_optimum --params results/train/CELL/params.safetensors \
        --metrics results/train/CELL/metrics.json --measures results/measures/hd64.safetensors

SciPy minimises J_f(.; y) point by point from the amortized start, and so does each row, mapped over
the points. Both to max|grad J| < 1e-4 and in float64, so that an optimum has four digits whatever
the curvature. Where a row converges, its J must be SciPy's to 1e-4 of it. A potential that is not
convex (MLP) can have several minima: where x is not SciPy's, but both are stationary, the point is
counted as another minimum and not compared, which an input-convex potential does not admit. Exit
code 1 where a J differs, or where one of our own rows does not converge at 99 % of the points.
Other rows may stop before, which the comparison's table tells by their gradient norms.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from w2dual import potentials, rng
from w2dual.backend import configure
from w2dual.evaluation import trained
from w2dual.studies import line_search

RELATIVE = 1e-4
SAME = 1e-2
"""Distance of two minimisers that are one, by coordinate."""
LEAST_PERCENT = 99.0
TOLERANCE = 1e-4
SOLVER = {
    "kind": "lbfgs",
    "history": 10,
    "gradient_tolerance": TOLERANCE,
    "max_iterations": 200,
    "decrease_tolerance": 0.0,
    "armijo": 1e-4,
    "shrink": 1.5,
    "trials": 30,
    "line_search": "parallel",
    "curvature": "positive",
}

log = logging.getLogger(__name__)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--measures", type=Path, required=True)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--rows", nargs="+", default=list(line_search.ROWS))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("jax").setLevel(logging.WARNING)
    configure(devices=1)
    cell = trained.load(args.params, args.metrics, args.measures)
    y32 = cell.pair.sample_target(rng.stream(cell.seed, "line search optimum"), args.points)
    start32 = cell.problem.amortized(cell.params, y32[None])[0]
    good = True
    with jax.enable_x64(True):
        y, start = (jnp.asarray(points, jnp.float64) for points in (y32, start32))
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf[0], jnp.float64), cell.params.potential)
        network = cell.problem.potential
        oracle = jax.jit(lambda x: potentials.value_and_gradient(network, params, x))

        def objective(x: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = oracle(jnp.asarray(x)[None])
            return float(value[0]) - float(x @ target), np.asarray(gradient[0]) - target

        found = [
            scipy.optimize.minimize(
                objective,
                np.asarray(x),
                (np.asarray(target),),
                "L-BFGS-B",
                jac=True,
                options={"gtol": TOLERANCE, "ftol": 0.0, "maxiter": 2000},
            )
            for x, target in zip(start, y, strict=True)
        ]
        optimum = np.array([one.fun for one in found])
        minimiser = np.stack([one.x for one in found])
        convex = cell.cell.settings["potential"]["kind"] == "icnn"
        log.info(
            "%s, %d points; SciPy: %.1f iterations, max|grad J| %.1e",
            cell.cell.name,
            args.points,
            np.mean([one.nit for one in found]),
            max(np.abs(one.jac).max() for one in found),
        )
        for name in args.rows:
            x, iterations = line_search.compile_row(name, cell, SOLVER)(params, y, start)
            value, gradient = oracle(x)
            norm = np.asarray(jnp.max(jnp.abs(gradient - y), axis=-1))
            off = np.abs(np.asarray(value - jnp.sum(x * y, axis=-1)) - optimum) / np.abs(optimum)
            converged = norm < TOLERANCE
            apart = np.abs(np.asarray(x) - minimiser).max(axis=-1) > SAME
            other = converged & apart if not convex else np.zeros_like(converged)
            share = 100 * float(converged.mean())
            worst = float(off[converged & ~other].max(initial=0.0))
            fine = worst < RELATIVE and (name not in line_search.OURS or share >= LEAST_PERCENT)
            good &= fine
            log.info(
                "%-34s %5.1f iterations  %5.1f %% converged  %d other minima  "
                "largest relative difference %.1e  %s",
                name,
                float(np.mean(iterations)),
                share,
                int(other.sum()),
                worst,
                "ok" if fine else "DIFFERS",
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

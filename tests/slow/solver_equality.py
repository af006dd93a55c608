"""The solver against the plain loop, point by point, on potentials trained on the real benchmark.

    python -m tests.slow.solver_equality --dimensions 2 16 64 --steps 1500 --points 256

For each dimension and potential it trains the cell regression + L-BFGS for some steps, takes fresh
target points and compares iterates, iteration counts and statuses of the queue-driven solver, with
either line search, with those of a plain NumPy loop over single points. All in float64, so that a
rounding does not decide whether a trial step is enough. Needs W2BENCHMARK_MIRROR. Exit code 1
where a count or a status differs, or an iterate by more than 1e-6.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import yaml
from tests.unit.conjugate.reference import lbfgs as plain_lbfgs

from w2dual import conjugate, measures, rng
from w2dual.backend import configure
from w2dual.config import grid as cells
from w2dual.conjugate import Status
from w2dual.conjugate.lbfgs import LBFGS
from w2dual.measures.preparation import prepare
from w2dual.training.loop import compile_loop
from w2dual.training.methods.dual import make as make_problem
from w2dual.training.pretraining import initial_params

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-6

log = logging.getLogger(__name__)


def compare(
    dimension: int, potential: str, steps: int, pretraining: int, points: int, folder: Path
) -> bool:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["hd"] |= {"seeds": [0], "dimensions": [dimension]}
    config["hd"]["pretraining"] |= {"iterations": pretraining, "min_iterations": 1}
    path = folder / f"hd{dimension}.safetensors"
    if not path.exists():
        settings = config["measures"]["benchmark"] | {"moment_samples": 16384}
        prepare(f"hd{dimension}", settings, path)
    pair = measures.load(path)
    name = f"hd{dimension}-{potential}-regression-lbfgs"
    cell = next(cell for cell in cells.grid(config) if cell.name == name)
    problem = make_problem(cell.settings, dimension)
    state = problem.init(initial_params(problem, cell)[0])
    batch_size = cell.training.batch_size
    state, _ = compile_loop(problem, [0], batch_size, state, pair)(state, steps)

    y32 = pair.sample_target(rng.stream(0, "equality"), points)[None]
    start32 = problem.amortized(state.params, y32)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), state.params)
        y, start = jnp.asarray(y32, jnp.float64), jnp.asarray(start32, jnp.float64)
        oracle = jax.jit(problem.oracle(params))
        assert isinstance(problem.solver, LBFGS)
        settings = {k: v for k, v in asdict(problem.solver).items() if k != "line_search"}
        plain = []
        for i in range(points):
            target = np.asarray(y[0, i])

            def objective(x: np.ndarray, target: np.ndarray = target) -> tuple[float, np.ndarray]:
                value, gradient = oracle(jnp.asarray(x)[None, None])
                return float(value[0, 0]) - float(x @ target), np.array(gradient[0, 0]) - target

            plain.append(plain_lbfgs(objective, np.asarray(start[0, i]), **settings))
        good = True
        for search in ("sequential", "parallel"):
            solver = replace(problem.solver, line_search=search)
            result = conjugate.solve(solver, oracle, y, start, lanes=max(1, points // 5))
            gap = max(float(np.abs(result.x[0, i] - p.x).max()) for i, p in enumerate(plain))
            counts = sum(int(result.iterations[0, i]) != p.iterations for i, p in enumerate(plain))
            words = sum(
                Status(int(result.status[0, i])).name != p.status for i, p in enumerate(plain)
            )
            log.info(
                "n = %d %s, %s: %d points, %.2f iterations (most %d), largest gap of an iterate "
                "%.1e, other counts %d, other statuses %d",
                dimension,
                potential,
                search,
                points,
                float(result.iterations.mean()),
                int(result.iterations.max()),
                gap,
                counts,
                words,
            )
            good &= gap <= TOLERANCE and counts == 0 and words == 0
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 16, 64])
    parser.add_argument("--potentials", nargs="+", default=["icnn", "mlp"])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--pretraining", type=int, default=1500)
    parser.add_argument("--points", type=int, default=256)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    configure()
    with tempfile.TemporaryDirectory() as folder:
        good = [
            compare(n, kind, args.steps, args.pretraining, args.points, Path(folder))
            for n in args.dimensions
            for kind in args.potentials
        ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

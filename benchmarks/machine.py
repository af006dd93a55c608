"""What the machine can do: float32 matrix products, on one thread and on the run's threads.

The number of threads of a JAX process is fixed when it starts, so each is measured by a process of
its own: `python -m benchmarks.machine THREADS` prints the rates of the process it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHAPES = {"1024x64x64": (1024, 64, 64), "1024x512x512": (1024, 512, 512), "2048^3": (2048,) * 3}
"""Two of our layers' sizes, which stay in a cache, and a large product."""
ROUND_S = 0.15
ROUNDS = 3


def measure(threads: int) -> dict[str, Any]:
    """Return GFLOP/s for each shape, on one thread and on `threads`, and the largest of each."""
    return {
        "threads": threads,
        "one_thread_gflops": _in_process(1),
        "all_threads_gflops": _in_process(threads),
    }


def best(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the higher of two measurements, rate by rate; what disturbs one can only lower it."""
    kinds = ("one_thread_gflops", "all_threads_gflops")
    return first | {
        kind: {shape: max(rate, second[kind][shape]) for shape, rate in first[kind].items()}
        for kind in kinds
    }


def peak(rates: dict[str, Any]) -> float:
    """Return the best rate of all that were measured."""
    return max(*rates["one_thread_gflops"].values(), *rates["all_threads_gflops"].values())


def _in_process(threads: int) -> dict[str, float]:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "NPROC": str(threads),
        "PJRT_NPROC": str(threads),
    }
    command = [sys.executable, "-m", "benchmarks.machine", str(threads)]
    done = subprocess.run(  # noqa: S603
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment
    )
    return json.loads(done.stdout)


def product_rates() -> dict[str, float]:
    """Return GFLOP/s of XLA's float32 product in this process, the best of a few rounds."""
    import jax
    import jax.numpy as jnp

    from w2dual.backend import jit

    rates = {}
    for name, (rows, inner, columns) in SHAPES.items():
        key = jax.random.key(0)
        x = jax.random.normal(key, (rows, inner))
        w = jax.random.normal(key, (inner, columns)) / inner**0.5

        def repeat(x: jax.Array, w: jax.Array, times: jax.Array) -> jax.Array:
            return jax.lax.fori_loop(0, times, lambda _, product: product @ w, x)

        run = jit(repeat)
        flop, times, seconds = 2 * rows * inner * columns, 1, 0.0
        jax.block_until_ready(run(x, w, jnp.asarray(1)))
        while seconds < ROUND_S:
            times *= 2
            seconds = _seconds(run, x, w, jnp.asarray(times))
        best = min(_seconds(run, x, w, jnp.asarray(times)) for _ in range(ROUNDS))
        rates[name] = flop * times / min(best, seconds) / 1e9
    return rates


def _seconds(run: Any, *arguments: Any) -> float:
    import jax

    started = time.perf_counter()
    jax.block_until_ready(run(*arguments))
    return time.perf_counter() - started


def main() -> None:
    """Print the rates of this process as JSON."""
    from w2dual.backend import configure

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("threads", type=int, help="CPU threads of JAX")
    configure(threads=parser.parse_args().threads)
    sys.stdout.write(json.dumps(product_rates()))


if __name__ == "__main__":
    main()

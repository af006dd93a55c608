"""How programs are compiled and run on the device at hand."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from w2dual import environment


def configure(
    cache: str | Path | None = None, threads: int | None = None, devices: int | None = None
) -> None:
    """Set JAX up for a job: settings that move numbers, its devices, and the compilation cache.

    Args:
        cache: folder of compiled programs; None for $JAX_COMPILATION_CACHE_DIR, or no cache. It
            keeps what took half a second to compile, or as long as
            $JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS says.
        threads: CPU threads of this process, read when the backend starts; None for all cores.
        devices: CPU devices that JAX sees, which share a batch (`loop`); None for `threads`.
            Jobs that share the cores and each take all of them slow one another down.
    """
    environment.settle()
    if threads is not None:
        os.environ["NPROC"] = os.environ["PJRT_NPROC"] = str(threads)
    # Read when the backend starts; where it runs already, its devices stay as they are.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", devices or threads or cores())
    folder = cache or os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if folder:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jit(function: Callable[..., Any], once: bool = False, **options: Any) -> Any:
    """`jax.jit`, with the compiler options that suit the backend.

    On a CPU vectors as wide as the machine has are asked for: XLA's default is 256 bits, and 512
    made our loops 5 to 10 % faster where there are such (docs/performance.md). An option that
    $XLA_FLAGS sets is left as it is.

    Args:
        function: what to compile.
        once: it runs once, so that compiling it is what it costs: optimised as little as can be.
        options: of `jax.jit`.
    """
    wanted = {"xla_cpu_prefer_vector_width": "512"}
    if once:
        wanted["xla_backend_optimization_level"] = "0"
    given = environment.xla_flags()
    wanted = {name: value for name, value in wanted.items() if name not in given}
    if jax.default_backend() == "cpu" and wanted:
        options["compiler_options"] = wanted
    return jax.jit(function, **options)

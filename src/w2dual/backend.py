"""How programs are compiled and run on the device at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax


def configure(cache: str | Path | None = None, threads: int | None = None) -> None:
    """Set JAX up for a job: full float32 products, and the compilation cache shared by jobs.

    Products are not rounded to TF32 on a GPU: a conjugate solver that is to reach a gradient
    norm of 1e-3 needs the digits.

    Args:
        cache: folder of compiled programs; None for $JAX_COMPILATION_CACHE_DIR, or no cache.
        threads: CPU threads of this process, read when the backend starts; None for all cores.
            Jobs that share the cores and each take all of them slow one another down.
    """
    if threads is not None:
        os.environ["NPROC"] = os.environ["PJRT_NPROC"] = str(threads)
    jax.config.update("jax_default_matmul_precision", "highest")
    folder = cache or os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if folder:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit`, with the optimisation level that suits the backend.

    On a CPU XLA's own kernels do the heavy work, so the compiler's lower level is asked for: it
    compiled our loops in half the time in one measurement and in the same time in another, and
    ran them no faster or slower beyond the noise. A level in $XLA_FLAGS is left as it is.
    """
    level = "xla_backend_optimization_level"
    if jax.default_backend() == "cpu" and level not in os.environ.get("XLA_FLAGS", ""):
        options["compiler_options"] = {level: "1"}
    return jax.jit(function, **options)

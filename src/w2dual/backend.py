"""How programs are compiled and run on the device at hand."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from w2dual import environment

log = logging.getLogger(__name__)

COMMANDS = "xla_gpu_enable_command_buffer"
CONVOLUTIONS = ",CONVOLUTION"
GRAPHS = {
    COMMANDS: f"FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,CONDITIONAL,WHILE{CONVOLUTIONS}",
    "xla_gpu_graph_min_graph_size": "1",
}
"""On a GPU a whole loop is one CUDA graph, whose condition the device reads itself. By default XLA
asks the host each time round, and starts every operation from there (docs/performance.md). One kind
of operation that is not in a graph keeps the loop around it from being one: a step on images has
convolutions by cuDNN, those of the generator and of T*."""


def configure(
    cache: str | Path | None = None, threads: int | None = None, devices: int | None = None
) -> None:
    """Set JAX up for a job: settings that move numbers, its devices, and the compilation cache.

    Args:
        cache: folder of compiled programs; None for $JAX_COMPILATION_CACHE_DIR, or no cache. It
            keeps what took a tenth of a second to compile, or as long as
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
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


PRODUCTS_GPU = "highest"
"""Accuracy of the products of a training step on a GPU, other than our kernels': float32's own, or
`TF32_TF32_F32_X3`, its three terms on tensor cores."""


def products() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which a training step is traced, so that its products are as they are."""
    if jax.default_backend() != "gpu":
        return contextlib.nullcontext()
    return jax.default_matmul_precision(PRODUCTS_GPU)


def few_launches() -> bool:
    """Whether programs are written so that they start few operations, whatever these compute.

    On a GPU each costs some microseconds, and that decides (docs/performance.md). A CPU's programs
    have the form that is best for its cache. Both forms compute the same but for rounding, and
    draw the same numbers.
    """
    return jax.default_backend() == "gpu"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jit(
    function: Callable[..., Any], once: bool = False, graphs: bool = True, **options: Any
) -> Any:
    """`jax.jit`, with the compiler options that suit the backend.

    On a CPU vectors as wide as the machine has are asked for: XLA's default is 256 bits, and 512
    made our loops 5 to 10 % faster where there are such (docs/performance.md). On a GPU loops are
    CUDA graphs (`GRAPHS`). An option that $XLA_FLAGS sets is left as it is.

    Args:
        function: what to compile.
        once: it runs once, so that compiling it is what it costs: optimised as little as can be.
        graphs: whether its loops may be CUDA graphs. One that calls the host cannot: the call waits
            for the device, which no graph may (JAX's handler of callbacks is not marked as fit for
            one). XLA would leave it out, and start a graph for each piece between the calls.
        options: of `jax.jit`.
    """
    wanted = {"xla_cpu_prefer_vector_width": "512"}
    if once:
        wanted["xla_backend_optimization_level"] = "0"
    given = environment.xla_flags()
    wanted = {name: value for name, value in wanted.items() if name not in given}
    if jax.default_backend() == "cpu" and wanted:
        options["compiler_options"] = wanted
    if jax.default_backend() == "gpu" and graphs and (known := _graphs(given)):
        options["compiler_options"] = known
    return jax.jit(function, **options)


@functools.cache
def _graphs(given: str) -> dict[str, str]:
    """Return `GRAPHS` without what is given; nothing where this version does not know them.

    One that knows graphs but none of convolutions has those without.
    """
    wanted = {name: value for name, value in GRAPHS.items() if name not in given}
    fewer = {name: value.removesuffix(CONVOLUTIONS) for name, value in wanted.items()}
    refused = None
    for options in (wanted, fewer):
        try:
            jax.jit(lambda x: x + 1, compiler_options=options).lower(0.0).compile()
        except jax.errors.JaxRuntimeError as error:
            refused = error
        else:
            return options
    log.warning("no CUDA graphs, since this version of XLA refuses their options: %s", refused)
    return {}

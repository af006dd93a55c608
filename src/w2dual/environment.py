"""What a user's shell may change: settled before the libraries read it, or else recorded.

JAX, flax, matplotlib and others read variables of the environment, and some of these move every
number: with JAX_THREEFRY_PARTITIONABLE=0 the same seed draws other points. `settle` undoes them,
whatever the shell says, and the log names each with the value it had and the one that holds.
What cannot be undone, since it depends on the machine or is the user's to choose (XLA_FLAGS,
numbers of threads), is recorded with the results. docs/reproducibility.md has the list.

Pure standard library: `settle` must run before JAX and matplotlib are imported.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

OURS: dict[str, Any] = {
    # A conjugate solver that is to reach a gradient norm of 1e-3 needs all digits of a product,
    # which the default rounds to TF32 on a GPU.
    "jax_default_matmul_precision": "highest",
}
"""Settings of JAX that are not its defaults."""

DEFAULTS: dict[str, Any] = {
    # What a key and a draw are.
    "jax_threefry_partitionable": True,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_random_seed_offset": 0,
    "jax_enable_custom_prng": False,
    "jax_legacy_prng_key": "allow",
    "jax_debug_key_reuse": False,
    "jax_high_dynamic_range_gumbel": False,
    # Types, and what becomes of two that differ.
    "jax_enable_x64": False,
    "jax_explicit_x64_dtypes": "warn",
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_allow_f16_reductions": True,
    "jax_default_matmul_precision": None,
    # What is traced, differentiated and compiled, and how far it is optimised.
    "jax_disable_jit": False,
    "jax_no_tracing": False,
    "jax_no_execution": False,
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "jax_compiler_enable_remat_pass": True,
    "jax_enable_pgle": False,
    "jax_pgle_profiling_runs": 3,
    "jax_pgle_aggregation_percentile": 90,
    "jax_xla_profile_version": 0,
    "jax_use_direct_linearize": True,
    "jax_use_simplified_jaxpr_constants": False,
    "jax_embedded_constants_max_bytes": 32,
    "eager_constant_folding": False,
    "jax_softmax_custom_jvp": False,
    "jax_custom_vjp3": False,
    "jax_remat3": False,
    "jax_scan3": False,
    "jax_refs_to_pins": False,
    "jax_mutable_array_checks": True,
    "jax_disable_bwd_checks": False,
    "jax_disable_vmap_shmap_error": False,
    "jax_bcoo_cusparse_lowering": False,
    "jax_ragged_dot_use_gpu_pallas_triton_lowering": False,
    "jax_ragged_dot_use_ragged_dot_instruction": True,
    "jax_use_magma": "auto",
    "jax_mosaic_allow_hlo": False,
    "jax_pallas_enable_debug_checks": False,
    "jax_pallas_poison_buffers": False,
    "jax_pallas_use_mosaic_gpu": True,
    "jax_use_emit_pipeline_primitive": False,
    "jax_serialization_version": 0,
    "jax_export_calling_convention_version": 10,
    "jax_export_ignore_forward_compatibility": False,
    "jax2tf_associative_scan_reductions": False,
    "jax2tf_default_native_serialization": True,
    # How devices share a batch, and the order in which their parts are summed.
    "jax_cpu_collectives_implementation": "gloo",
    "jax_cpu_enable_async_dispatch": True,
    "jax_use_shardy_partitioner": True,
    "jax_auto_pcast": True,
    "check_vma": False,
    "jax_disallow_mesh_context_manager": False,
    "jax_remove_size_one_mesh_axis_from_type": False,
    "jax_default_device": None,
    "jax_backend_target": "",
    "jax_xla_backend": "",
    "jax_mock_gpu_topology": "",
    "mock_num_gpu_processes": 0,
    # What makes an error of a result: a seed that diverges is one.
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_error_checking_behavior_nan": "ignore",
    "jax_error_checking_behavior_divide": "ignore",
    "jax_error_checking_behavior_oob": "ignore",
    "jax_enable_checks": False,
    "jax_check_tracer_leaks": False,
    "jax_check_static_indices": False,
    "jax_debug_leaked_clients_on_clear_backends": False,
    "jax_thread_guard": False,
    "jax_array_garbage_collection_guard": None,
    "jax_transfer_guard": None,
    "jax_transfer_guard_host_to_device": None,
    "jax_transfer_guard_device_to_device": None,
    "jax_transfer_guard_device_to_host": None,
    "jax_experimental_unsafe_xla_runtime_errors": False,
}
"""Settings of JAX 0.10.2 that move a number, or end a job, with its own defaults: they hold."""

FREE = (
    # Where it runs; what it runs on is recorded by name.
    "jax_platforms",
    "jax_platform_name",
    "jax_*_visible_devices",
    "jax_num_cpu_devices",  # `backend.configure` sets it
    "jax_pjrt_client_create_options",
    # Compiled programs that are kept, and what they are kept under.
    "jax_*compilation_cache*",
    "jax_persistent_cache_*",
    "jax_raise_persistent_cache_errors",
    "jax_share_binary_between_hosts*",
    "jax_remove_custom_partitioning_ptr_from_cache_key",
    "jax_explain_cache_misses",
    # What is said, dumped and shown of an error.
    "jax_log_*",
    "jax_logging_level",
    "jax_debug_log_modules",
    "jax_dump_ir_*",
    "jax_include_*",
    "jax_captured_constants_*",
    "jax_compiler_detailed_logging_min_ops",
    "jax_hlo_source_file_canonicalization_regex",
    "jax_source_url_schema",
    "jax_pallas_verbose_errors",
    "jax_pprint_use_color",
    "jax_send_traceback_to_runtime",
    "jax_traceback_*",
    "jax_tracer_error_num_traceback_frames",
    # Several processes that work together: there is one.
    "jax_check_proxy_envs",
    "jax_cpu_get_*_topology_timeout_minutes",
    "jax_cross_host_*",
    "jax_distributed_debug",
    "jax_enable_preemption_service",
    "jax_enable_recoverability",
    "jax_force_dcn_cross_host_transfers",
    "jax_sort_devices_by_process_index",
)
"""Settings of JAX that move no number of one process: they stay the user's."""

OTHERS: dict[str, str | None] = {
    "FLAX_*": None,  # FLAX_FIX_RNG_SEPARATOR derives other keys for parameters
    "NNX_*": None,
    "EQX_*": None,  # EQX_ON_ERROR=breakpoint waits for a person
    "SCIPY_*": None,
    "PANDAS_*": None,
    "NVIDIA_TF32_OVERRIDE": None,  # 1 rounds products to TF32 whatever the program asks for
    "MPLBACKEND": "agg",  # a notebook's is not there, and `import matplotlib` fails on that
    "MATPLOTLIBRC": None,
}
"""Variables of other libraries -> the value that holds, None for unset."""

MOVES = (
    "LIBTPU_INIT_ARGS",
    "NPROC",
    "PJRT_NPROC",
    "TF_[!C]*",  # TF_CPP_* is what is logged
    "TF_CUD*",
    "CUBLAS*",
    "CUDNN*",
    "NPY_*",
    "OPENBLAS_CORETYPE",
)
"""Variables besides XLA_FLAGS that may move the last bits of training and cannot be settled."""

SAID = (
    "XLA_FLAGS",
    "JAX_PLATFORM*",
    "JAX_*_VISIBLE_DEVICES",
    "JAX_NUM_CPU_DEVICES",
    "JAX_PJRT_*",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "XLA_PYTHON_CLIENT_*",
    "XLA_CLIENT_MEM_FRACTION",
    "OMP_*",
    "OPENBLAS_*",
    "GOTO_NUM_THREADS",
    "MKL_*",
)
"""Variables that are recorded too: where it ran, with what memory and how many threads."""

PYTHON = {
    "PYTHONHOME": None,
    "PYTHONINSPECT": None,
    "PYTHONOPTIMIZE": None,
    "PYTHONSTARTUP": None,
    "PYTHONWARNINGS": None,
    "PYTHONIOENCODING": None,
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",  # packages in ~/.local come before those of a conda environment
    "PYTHONSAFEPATH": "1",  # a json.py among the outputs is not the library's
    "PYTHONUTF8": "1",
}
"""Variables of the interpreter, as the workflow starts its jobs: -> value, None for unset."""

_PATH = re.compile(r"""(^|[=:,;\s"'])/[^=:,;\s"']*""")
_TRUE = ("y", "yes", "t", "true", "on", "1")
_FALSE = ("n", "no", "f", "false", "off", "0")
_taken: dict[str, dict[str, Any]] = {}


def settle() -> None:
    """Undo what the shell would change in results, and warn of each such variable.

    To be called before JAX and matplotlib are imported; where JAX has been, its settings are put
    right, also those that a program has changed. Repeated calls do nothing more.
    """
    pinned = DEFAULTS | OURS
    for name in sorted(os.environ):
        setting = _setting(name)
        if setting is not None and not any(fnmatchcase(setting, free) for free in FREE):
            _override(name, pinned.get(setting), setting in OURS)
        for pattern, value in OTHERS.items():
            if fnmatchcase(name, pattern):
                _override(name, value, value is not None)
    for setting, value in OURS.items():
        os.environ.setdefault(setting.upper(), str(value))
    if "PYTHONWARNINGS" in os.environ:
        _forgive()
    if "jax" in sys.modules:
        _pin()


def taken() -> dict[str, dict[str, Any]]:
    """Return what `settle` has overridden: name -> `given` and `used`, None for unset."""
    return {name: dict(values) for name, values in sorted(_taken.items())}


def moving() -> dict[str, str]:
    """Return the variables besides XLA_FLAGS that are set and may move training's last bits."""
    return _set(MOVES)


def record() -> dict[str, Any]:
    """Return what a result's record says about the environment.

    `overridden`: as `taken`. `set`: variables that stay as they are, name -> value. Absolute paths
    are left out of the values, since an archive must not name the folders of a machine.
    """
    overridden = {
        name: {key: pathless(item) if isinstance(item, str) else item for key, item in both.items()}
        for name, both in taken().items()
    }
    left = {name: pathless(text) for name, text in _set(MOVES + SAID).items()}
    return {"overridden": overridden, "set": left}


def pathless(text: str) -> str:
    """Put `<path>` in place of each absolute path."""
    return _PATH.sub(r"\1<path>", text)


def flags_to_repeat() -> str:
    """Return `xla_flags` without those that name a path, which another machine does not have."""
    return " ".join(flag for flag in xla_flags().split() if pathless(flag) == flag)


def xla_flags() -> str:
    """Return the flags in $XLA_FLAGS; where it names a file, as XLA takes it, what that holds."""
    given = os.environ.get("XLA_FLAGS", "").strip()
    if given and not given.startswith("-"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return " ".join(Path(given).read_text(encoding="utf-8").split())
    return given


@contextlib.contextmanager
def without(name: str) -> Iterator[None]:
    """Do something without a variable, which is there again afterwards."""
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value


def _set(patterns: tuple[str, ...]) -> dict[str, str]:
    found = sorted(n for n in os.environ if any(fnmatchcase(n, pattern) for pattern in patterns))
    return {name: os.environ[name] for name in found}


def _setting(variable: str) -> str | None:
    """Return the setting of JAX that a variable would set, known or not; None for any other."""
    name = variable.lower()
    if variable != name.upper():
        return None
    return name if name.startswith("jax_") or name in DEFAULTS else None


def _override(name: str, value: Any, wanted: bool) -> None:
    """Take a variable out, or set it where its value is `wanted`; a value that is ours stays."""
    given = os.environ[name]
    if value is not None and _same(given, value):
        return
    if wanted:
        os.environ[name] = str(value)
    else:
        del os.environ[name]
    _note(name, given, value)


def _same(text: str, value: Any) -> bool:
    """Whether a variable's text means a value, as JAX reads it."""
    text = text.strip()
    if isinstance(value, bool):
        return text.lower() in (_TRUE if value else _FALSE)
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return text == value


def _pin() -> None:
    """Put the settings of a JAX that is imported already right."""
    import jax

    for name, value in (DEFAULTS | OURS).items():
        found = jax.config.values.get(name, value)
        if isinstance(found, enum.Enum):
            found = found.name.lower()
        if found != value:
            jax.config.update(name, value)
            # Not what JAX starts with, nor what a variable did that has been named already.
            if found != DEFAULTS[name] and name.upper() not in _taken:
                _note(name, found, value)


def _forgive() -> None:
    """Undo PYTHONWARNINGS: a library's warning must not end a job."""
    given = os.environ.pop("PYTHONWARNINGS")
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    _note("PYTHONWARNINGS", given, None)


def _note(name: str, given: Any, used: Any) -> None:
    if not isinstance(given, bool | int | float | str | None):
        given = str(given)  # a device, say: the record is JSON
    _taken[name] = {"given": given, "used": used}
    log.warning(
        "ignored %s=%s, which could change results or end the job: %s is used",
        name,
        given,
        "unset" if used is None else used,
    )

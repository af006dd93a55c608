"""Where a result comes from: commit, packages, device, host.

JAX is imported only where it is asked for its device, so that light jobs can use the rest.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from w2dual import environment

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "safetensors", "w2dual")


def git_commit() -> str | None:
    """Give the checkout's commit, with `+` behind it where files differ; None outside of one."""
    root = Path(__file__).parents[2]
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip()


def package_versions() -> dict[str, str | None]:
    """Give the version of each package that can move a number; None where it is not installed."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def device_name() -> str:
    """Give the accelerator's name, or the processor's."""
    import jax

    device = jax.devices()[0]
    return cpu_name() if device.platform == "cpu" else device.device_kind


def cpu_name() -> str:
    """Give the processor's name, without starting JAX."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"CPU: {line.partition(':')[2].strip()}"
    except OSError:
        pass
    return f"CPU: {platform.processor() or platform.machine()}"


def gpu_name(driver: Path = Path("/proc/driver/nvidia")) -> str | None:
    """Give the name of the first NVIDIA GPU as its driver states it, without starting JAX."""
    for information in sorted(driver.glob("gpus/*/information")):
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return None


def place() -> str:
    """Give the host, and where a batch system started the process, its job there."""
    job = os.environ.get("SLURM_JOB_ID")
    return platform.node() + (f", SLURM job {job}" if job else "")


def gather(started: str, ended: str) -> dict[str, object]:
    """Give the record that each metrics file carries; times are ISO 8601 in UTC."""
    return {
        "git_commit": git_commit(),
        "packages": package_versions(),
        "python": platform.python_version(),
        "device": device_name(),
        "xla_flags": environment.flags_to_repeat(),
        "environment": environment.record(),
        "host": platform.node(),
        "started": started,
        "ended": ended,
    }

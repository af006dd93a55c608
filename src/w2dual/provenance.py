"""Where a result comes from: commit, packages, device, host.

JAX is imported only where it is asked for its device, so that light jobs can use the rest.
"""

from __future__ import annotations

import logging
import os
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from w2dual import environment
from w2dual.records import InputError

log = logging.getLogger(__name__)

LIBRARIES = (
    *("jax", "jaxlib", "flax", "optax", "ott-jax"),
    *("numpy", "scipy", "pillow", "safetensors"),
)
"""What can move a number, by the names that they are installed under."""
PACKAGES = (*LIBRARIES, "w2dual")

CHECKOUT = Path(__file__).parents[2]
"""Where this code lies, if it runs from a checkout."""
_KEPT = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"})
"""Variables of git that say where the user's settings are; the others say which repository."""


class NoCheckout(Exception):
    """A folder is not a checkout of its own: the source was unpacked or installed there."""


@dataclass(frozen=True)
class Commit:
    """The commit of a checkout, with `+` behind it where files differ; or why it is unknown.

    A file of the code that git does not track differs too.

    Attributes:
        name: 40 hex digits, or None.
        committed: seconds since 1970; None with the name.
        unknown: the reason; None with a name.
    """

    name: str | None
    committed: int | None = None
    unknown: str | None = None


def commit(root: Path = CHECKOUT) -> Commit:
    """Return the commit of the checkout whose root is `root`; it never is another repository's."""
    try:
        found, seconds = git(root, "log", "-1", "--format=%H %ct").split()
        changed = git(root, "status", "--porcelain", "--untracked-files=no") or untracked(root)
    except (NoCheckout, InputError) as error:
        return Commit(None, unknown=str(error))
    return Commit(found + ("+" if changed else ""), int(seconds))


def git_commit(root: Path = CHECKOUT) -> str | None:
    """Return the commit's name, or None; then the log says why it is unknown."""
    found = commit(root)
    if found.unknown is not None:
        log.warning("the commit of the code is unknown: %s", found.unknown)
    return found.name


def git(root: Path, *arguments: str) -> str:
    """Return what git says of the checkout whose root is `root`.

    Raises:
        NoCheckout: `root` is none; above it there may be another repository.
        InputError: git is missing, or refuses; the message has its own words.
    """
    if not (root / ".git").exists():
        raise NoCheckout(f"{root} is not a git checkout")
    top = _git(root, "rev-parse", "--show-toplevel")
    if Path(top).resolve() != root.resolve():
        raise NoCheckout(f"{root} is not a git checkout, but lies in that of {top}")
    return _git(root, *arguments)


def untracked(root: Path) -> list[str]:
    """Return the modules that git neither tracks nor ignores, such as a new extension.

    Raises:
        NoCheckout, InputError: as for `git`.
    """
    found = git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", "src/*.py")
    return [name for name in found.split("\0") if name]


def _git(root: Path, *arguments: str) -> str:
    found = shutil.which("git")
    if found is None:
        raise InputError(f"{root}: is a git checkout, but git is not installed or not on PATH")
    done = subprocess.run(  # noqa: S603
        [found, "--no-optional-locks", "-C", str(root), *arguments],
        env={k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in _KEPT},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip()
        remedy = ""
        if "dubious ownership" in said or "safe.directory" in said:
            remedy = (
                "\nThe folder belongs to another user. If you trust it: "
                f"git config --global --add safe.directory {shlex.quote(str(root.resolve()))}"
            )
        raise InputError(f"{root}: git {arguments[0]} refuses:\n{said}{remedy}")
    return done.stdout.rstrip("\n")


def package_versions() -> dict[str, str | None]:
    """Return the version of each package that can move a number; None where it is not installed."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def device_name() -> str:
    """Return the accelerator's name, or the processor's."""
    import jax

    device = jax.devices()[0]
    return cpu_name() if device.platform == "cpu" else device.device_kind


def cpu_name() -> str:
    """Return the processor's name, without starting JAX."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"CPU: {line.partition(':')[2].strip()}"
    except OSError:
        pass
    return f"CPU: {platform.processor() or platform.machine()}"


def gpu_name(driver: Path = Path("/proc/driver/nvidia")) -> str | None:
    """Return the name of the first NVIDIA GPU as its driver states it, without starting JAX."""
    for information in sorted(driver.glob("gpus/*/information")):
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return None


def place() -> str:
    """Return the host, and where a batch system started the process, its job there."""
    job = os.environ.get("SLURM_JOB_ID")
    return platform.node() + (f", SLURM job {job}" if job else "")


def gather(started: str, ended: str) -> dict[str, object]:
    """Return the record that each metrics file carries; times are ISO 8601 in UTC."""
    known = commit()
    if known.unknown is not None:
        log.warning("the commit of the code is unknown: %s", known.unknown)
    return {
        "git_commit": known.name,
        "git_commit_unknown": known.unknown,
        "packages": package_versions(),
        "python": platform.python_version(),
        "device": device_name(),
        "xla_flags": environment.flags_to_repeat(),
        "environment": environment.record(),
        "host": platform.node(),
        "started": started,
        "ended": ended,
    }

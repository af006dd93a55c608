"""Where named folders and files are: those of the config, and those of the environment.

A path in the config is relative to the checkout, whoever reads it and wherever that one runs. A
path in the environment is relative to the folder where the command was started, else to the
checkout. Light: JAX is not imported.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2dual.records import InputError

log = logging.getLogger(__name__)

CHECKOUT = Path(__file__).parents[3]
SHIPPED = Path(__file__).parents[1] / "shipped"
"""Copies of the checkout's files in an installed package, which pyproject.toml names."""
CONFIG = Path("config.yaml")
MIRROR_VARIABLE = "W2BENCHMARK_MIRROR"
MIRROR_KEY = "measures.benchmark.mirror"
WEIGHTS, IMAGE_WEIGHTS = "Mix3toMix10", "CelebA64"
"""The folders of the published repository that a mirror holds, or holds in `benchmarks`."""
CELEBA64_GENERATOR = "celeba64_generator"
"""The prepared file that all pairs of CelebA64 share; it holds no pair."""
CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
_PATTERNS = {WEIGHTS: "[0-9]*_v[12].pt", IMAGE_WEIGHTS: "[A-Z]*_*.pt"}
"""What is in each of them."""


def own(name: str | Path) -> Path | None:
    """Return a file of the project by its path in a checkout, wherever this code lies, or None."""
    return next((place / name for place in (CHECKOUT, SHIPPED) if (place / name).is_file()), None)


def default(name: Path) -> Path:
    """Return the file that a command reads where no option names another.

    It is the one of that name in the current folder, else in the checkout that this code lies in,
    else in the installed package.

    Raises:
        InputError: there is none.
    """
    found = name if name.is_file() else own(name)
    if found is None:
        looked = ", ".join(str(place.absolute() / name) for place in (Path(), CHECKOUT, SHIPPED))
        raise InputError(f"{name}: there is no such file; looked for {looked}")
    if found != name:
        log.info("%s is not in this folder; %s is read", name, found)
    return found


def of_config(path: str, checkout: str | Path) -> str:
    """Return a path of the config as one from the folder that `checkout` is given from."""
    return os.path.normpath(os.path.join(checkout, os.path.expanduser(path)))


def absolute(
    environ: Mapping[str, str], started: Path, checkout: Path, mirror: bool
) -> dict[str, str]:
    """Return the environment's variables that name folders, as absolute paths, for jobs elsewhere.

    Args:
        environ: the environment.
        started: the folder in which the command was started.
        checkout: the project's root.
        mirror: whether the mirror that the environment names is going to be used.

    Raises:
        InputError: that mirror is in neither folder.
    """
    found: dict[str, str] = {}
    if mirror and environ.get(MIRROR_VARIABLE):
        found[MIRROR_VARIABLE] = str(_in_environment(environ, started, checkout))
    cache = environ.get(CACHE_VARIABLE, "")
    if cache and "://" not in cache:  # JAX takes addresses of object stores too
        found[CACHE_VARIABLE] = os.path.abspath(os.path.join(started, os.path.expanduser(cache)))
    return found


def mirror_folder(
    configured: str | None,
    environ: Mapping[str, str] | None = None,
    started: Path | None = None,
    checkout: Path = CHECKOUT,
) -> tuple[Path, str] | None:
    """Find the mirror of the benchmark's weights, as every job and the doctor do.

    Args:
        configured: the config's `measures.benchmark.mirror`.
        environ: the environment; None for that of this process.
        started: the folder in which the command was started; None for the current one.
        checkout: the project's root.

    Returns:
        The folder and what named it, the config or else the environment; None where neither does.

    Raises:
        InputError: one is named that is not there, or that holds no weights at all.
    """
    environ = os.environ if environ is None else environ
    started = started or Path.cwd()
    if configured:
        folder, named_by = Path(of_config(configured, checkout)), MIRROR_KEY
    elif environ.get(MIRROR_VARIABLE):
        folder, named_by = _in_environment(environ, started, checkout), MIRROR_VARIABLE
    else:
        return None
    _check_mirror(folder, named_by)
    return folder, named_by


def _in_environment(environ: Mapping[str, str], started: Path, checkout: Path) -> Path:
    named = os.path.expanduser(environ[MIRROR_VARIABLE])
    places = [Path(os.path.abspath(os.path.join(base, named))) for base in (started, checkout)]
    if os.path.isabs(named):
        return places[0]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise InputError(
            f"mirror {named} (named by {MIRROR_VARIABLE}): there is no such folder; looked for "
            + " and ".join(str(place) for place in dict.fromkeys(places))
            + "; name an existing folder, or unset the variable"
        )
    return found


def _check_mirror(folder: Path, named_by: str) -> None:
    remedy = (
        f"expected a folder that holds {WEIGHTS}/2_v1.pt and so on, or {IMAGE_WEIGHTS}/Final_G.pt "
        "and so on; or name none"
    )
    where = f"mirror {folder} (named by {named_by})"
    try:
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "there is no such folder"
            raise InputError(f"{where}: {what}; {remedy}")
        for weights, pattern in _PATTERNS.items():
            if any(folder.glob(f"{weights}/{pattern}")):
                return
            if any(folder.glob(f"benchmarks/{weights}/{pattern}")):
                return
        for weights, pattern in _PATTERNS.items():
            if any(folder.glob(pattern)):
                raise InputError(f"{where}: is the folder {weights} itself; name the one above it")
        os.listdir(folder)
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}") from error
    raise InputError(f"{where}: holds no weights of the benchmark; {remedy}")


def named_alone(value: Any) -> Any:
    """Return a part of the config with the last part alone of each full path, for others to read.

    Where a file is decides nothing, and is not for everybody to see.
    """
    if isinstance(value, dict):
        return {key: named_alone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [named_alone(item) for item in value]
    if isinstance(value, str) and value.startswith(("/", "~")):
        return Path(value).name
    return value

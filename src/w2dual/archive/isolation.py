"""What Python and libraries take from the folder they run in, kept from taking an archive's.

An archive may come from anybody, and its recorded commands run in the folder where it is unpacked.
There a `json.py`, a `matplotlibrc` or a program on a relative $PATH would be found by name.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDERS = (
    *("JAX_COMPILATION_CACHE_DIR", "MATPLOTLIBRC", "MPLCONFIGDIR"),
    *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "FONTCONFIG_FILE", "FONTCONFIG_PATH"),
)
"""Variables that say where a library finds settings, fonts, or programs compiled before."""


@contextlib.contextmanager
def kept_from(root: Path) -> Iterator[None]:
    """Keep modules, programs and settings from being taken out of `root` or the current folder.

    Left alone are the package that runs and its environment: who started them there trusts them.
    Relative paths are dropped, since they would mean another folder after a change of folder.
    """
    root, here = root.resolve(), Path.cwd()
    trusted = [Path(__file__).resolve().parents[2], Path(sys.prefix).resolve()]

    def safe(name: str) -> bool:
        if not os.path.isabs(name):
            return False
        path = Path(name).resolve()
        if any(path.is_relative_to(folder) for folder in trusted):
            return True
        return path != here and not path.is_relative_to(root)

    before, variables = list(sys.path), dict(os.environ)
    sys.path[:] = [name for name in before if safe(name)]
    for name in FOLDERS:
        if name in variables and not safe(variables[name]):
            del os.environ[name]
    found = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(name for name in found if safe(name))
    try:
        _import_matplotlib()
        yield
    finally:
        sys.path[:] = before
        for name in (*FOLDERS, "PATH"):
            if name in variables:
                os.environ[name] = variables[name]
            else:
                os.environ.pop(name, None)


def _import_matplotlib() -> None:
    """Import matplotlib, which reads a `matplotlibrc` of the current folder then and only then."""
    with tempfile.TemporaryDirectory(prefix="w2dual-empty-") as empty, contextlib.chdir(empty):
        import matplotlib.font_manager  # noqa: F401

"""The files of the source that go into an archive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from w2dual import provenance
from w2dual.archive import crate
from w2dual.archive.container import MANIFEST

NO_SOURCE = frozenset(
    {".git", ".venv", ".venv-bench", ".venv-crate", ".cache", ".snakemake", ".hypothesis"}
    | {".pytest_cache", ".ruff_cache", "__pycache__", "runs", "results", "checkpoints", "logs"}
    | {"archive", MANIFEST, crate.METADATA, "evaluation.pdf", "report.html", "bundle.zip"}
)
"""Top-level names that are not source where there is no git to ask."""


def files(root: Path, outputs: Path) -> list[str]:
    """Return the source's files: those that git tracks, or without git all but what is made.

    A file of the code that git does not track yet is one too: the run may need it.

    Raises:
        InputError: there is a git checkout, and git cannot be asked; the message has its words.
    """
    try:
        names = [name for name in provenance.git(root, "ls-files", "-z").split("\0") if name]
        names += provenance.untracked(root)
    except provenance.NoCheckout:
        names = sorted(_walk(root, outputs))
    return [name for name in names if (root / name).is_file() and not (root / name).is_symlink()]


def _walk(root: Path, outputs: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        place = Path(folder).relative_to(root)
        top = place == Path(".")
        folders[:] = [
            name
            for name in folders
            if name not in ("__pycache__", ".git") and not name.endswith(".egg-info")
            if not (top and name in NO_SOURCE)
            if (Path(folder) / name).resolve() != outputs.resolve()
        ]
        made = place.parts[:1] in (("tables",), ("figures",)) and place.parts[1:2] != ("published",)
        for name in names:
            if not (top and name in NO_SOURCE) and not (made and name != "README.md"):
                yield (place / name).as_posix()

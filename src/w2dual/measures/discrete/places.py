"""Data of discrete measures: from a folder of the user's, by download, or from installed packages.

Sources are tried in the order of the config. What a package holds is a stand-in, which whatever is
made from it says.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from w2dual.measures.benchmark.files import DOWNLOAD_TIMEOUT_S, Unavailable, fetch
from w2dual.records import InputError

log = logging.getLogger(__name__)

FOLDER, DOWNLOAD, PACKAGED = "folder", "download", "packaged"
OTHER = "other"
"""What is recorded as the source where the files of a folder are not the data that are meant."""
Found = TypeVar("Found")


class File(NamedTuple):
    """A file that was read: its name, where it is, its content and SHA-256."""

    name: str
    where: str
    content: bytes
    sha256: str


def first(
    what: str,
    sources: Sequence[str],
    getters: Mapping[str, Callable[[], Found]],
    remedy: str,
    level: int = logging.INFO,
) -> tuple[str, Found]:
    """Return the name of the first source that has the data, and them.

    Args:
        what: they are, for messages.
        sources: in the order in which they are tried.
        getters: of each source; each raises `Unavailable` where it has none.
        remedy: what would help, for the message.
        level: of the log, of the source that has them; those that have none are warned of, unless
            it is lower.

    Raises:
        InputError: no source has them, with what was tried; or a source's file is damaged.
    """
    tried = []
    for source in sources:
        if source not in getters:
            raise InputError(f"{what}: unknown source {source!r}; known are {', '.join(getters)}")
        try:
            found = getters[source]()
        except Unavailable as reason:
            missing = logging.WARNING if level >= logging.INFO else level
            log.log(missing, "%s: none from %s: %s", what, source, reason)
            tried.append(f"  {source}: {reason}")
        else:
            log.log(level, "%s: from %s", what, source)
            return source, found
    raise InputError(f"{what}: no source has the data\n" + "\n".join(tried) + f"\n  {remedy}")


def read(path: Path) -> File:
    """Read a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return File(path.name, str(path), content, hashlib.sha256(content).hexdigest())


def packaged(distribution: str, path: str) -> File:
    """Read a file of an installed distribution, without importing it.

    Raises:
        Unavailable: as `installed`.
    """
    return read(installed(distribution, path))


def installed(distribution: str, path: str) -> Path:
    """Return where a file of an installed distribution is.

    Args:
        distribution: its name.
        path: of the file, within site-packages.

    Raises:
        Unavailable: the distribution is not installed, or has no such file.
    """
    try:
        found = Path(str(metadata.distribution(distribution).locate_file(path)))
    except metadata.PackageNotFoundError as error:
        raise Unavailable(
            f"the package {distribution} is not installed; `make env` installs it (envs/data.txt)"
        ) from error
    if not found.is_file():
        raise Unavailable(f"the package {distribution} has no file {path}")
    return found


def downloaded(address: str, sha256: str) -> File:
    """Download a file and compare it with its hash.

    Raises:
        Unavailable: the network or the server does not give it.
        InputError: what came is another file.
    """
    content = fetch(address, DOWNLOAD_TIMEOUT_S)
    return verified(
        File(address.rpartition("/")[2], address, content, hashlib.sha256(content).hexdigest()),
        sha256,
    )


def verified(file: File, sha256: str) -> File:
    """Return a file whose content has the hash.

    Raises:
        InputError: it has another.
    """
    if file.sha256 != sha256:
        raise InputError(
            f"{file.where}: is not the published file: its SHA-256 is {file.sha256} where "
            f"{sha256} is right; it is truncated or altered ({len(file.content)} bytes)"
        )
    return file


def hashes(files: Sequence[File]) -> dict[str, Any]:
    """Return the hash of each file by its name, for the record."""
    return {file.name: file.sha256 for file in files}

"""An archive's files in a new folder, once its directory is known to be safe."""

from __future__ import annotations

import logging
from pathlib import Path

from w2dual.archive.container import Archive

log = logging.getLogger(__name__)


def unpack(bundle: Path, into: Path) -> None:
    """Unpack an archive into a new or empty folder.

    Raises:
        InputError: the archive is not safe to unpack, or the folder is not empty.
    """
    with Archive(bundle) as archive:
        archive.unpack(into)
        log.info("%s: %d files unpacked", into, len(archive.names))

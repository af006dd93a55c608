"""Where tests keep their files: in memory where there is room, since they make 40,000.

To remove those of an earlier run took half a minute on a busy disk. A run that passes removes its
folder; the next run removes those of runs that failed or were killed.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108  (a folder of our own is made in it)
ROOM = 4 * 2**30
"""Bytes that have to be free: a run takes half of one GiB, and its processes the rest."""
PREFIX = "w2dual-tests-"


def remove(folder: Path) -> None:
    """Remove a run's folder, or what is left of it."""
    shutil.rmtree(folder, ignore_errors=True)


def settle(memory: Path = MEMORY, room: int = ROOM) -> Path | None:
    """Make temporary files go to a new folder in memory, for this process and those it starts.

    It is removed when this process ends.

    Args:
        memory: a file system in memory.
        room: bytes that have to be free in it.

    Returns:
        The folder; None where files stay where they would be, since there is too little room or
        someone has said where (`TMPDIR`).
    """
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK):
        return None
    for old in memory.glob(f"{PREFIX}*"):
        process = old.name.removeprefix(PREFIX)
        if process == str(os.getpid()) or not Path("/proc", process).exists():
            shutil.rmtree(old, ignore_errors=True)  # another user's stays
    free = os.statvfs(memory)
    if free.f_bavail * free.f_frsize < room:
        return None
    folder = memory / f"{PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o700)
    # Registered before what else removes temporary files at the end, and so run after it.
    atexit.register(remove, folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder

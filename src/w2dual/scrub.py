"""What would name the machine or the person that made an archive: taken out, and looked for."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from w2dual.records import InputError

# A path from the root, alone or behind a quote, = or a bracket; not within a URL or a fraction.
_ABSOLUTE = re.compile(r"(?<![\w./:<>-])/(?:[\w.+@~-]+/)+([\w.+@~-]*)")
GENERIC = frozenset({"root", "user", "users", "localhost", "runner", "ubuntu", "debian"})
"""Names that tell nothing, and stand in texts for other reasons."""
SHORTEST = 4
"""Of a name that is looked for in bytes: a shorter one turns up by chance."""


@dataclass(frozen=True)
class Machine:
    """Where an archive is made.

    Attributes:
        folders: the checkout, the home folder, the environment: absolute.
        names: of host and user.
    """

    folders: tuple[str, ...]
    names: tuple[str, ...]

    @staticmethod
    def here(checkout: Path) -> Machine:
        """Give the one that this runs on."""
        import sys

        folders = {str(checkout.resolve()), os.path.expanduser("~"), sys.prefix}
        names = {platform.node(), platform.node().split(".")[0]}
        try:
            names.add(getpass.getuser())
        except (KeyError, OSError):
            pass
        return Machine(
            tuple(sorted((f for f in folders if f.count("/") > 0 and f != "/"), key=len)[::-1]),
            tuple(sorted(name for name in names if name and name not in GENERIC)),
        )


def text(content: str, machine: Machine) -> str:
    """Take out of a log what names the machine: absolute paths, host and user."""
    content = _ABSOLUTE.sub(lambda found: f"<path>/{found[1]}", content)
    for name in machine.names:
        content = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "<name>", content)
    return content


def metrics(content: bytes) -> bytes:
    """Take the host out of a metrics record, and nothing else."""
    record = json.loads(content)
    if "host" not in record.get("provenance", {}):
        return content
    record["provenance"]["host"] = None
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()


def leaks(content: bytes, machine: Machine) -> Iterator[str]:
    """Name what content still says of the machine."""
    for folder in machine.folders:
        if re.search(re.escape(folder.encode()) + rb"(?![\w-])", content):
            yield f"the folder {folder}"
    for name in machine.names:
        if len(name) >= SHORTEST and re.search(
            rb"(?<![\w-])" + re.escape(name.encode()) + rb"(?![\w-])", content
        ):
            yield f"the name {name}"


def check(name: str, content: bytes, machine: Machine) -> None:
    """Check that a file says nothing of the machine.

    Raises:
        InputError: it does; the message names the file and what it says.
    """
    found = list(leaks(content, machine))
    if found:
        raise InputError(f"{name}: names {', '.join(found)}, which an archive must not")

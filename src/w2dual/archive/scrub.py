"""What would name the machine or the person that made an archive: taken out, and looked for.

A name is looked for where names stand: in paths, `user@host`, `"host": ...`, `attempt 1 on HOST`.
Elsewhere it may be a plain word: `adam` is a solver, `smoke` a preset. Only a name that is not a
word of the source or the config is looked for anywhere, and that only in our own texts.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from w2dual.records import InputError

_LAST = r"[\w.+@~-]*"
# A path from the root, alone or behind a quote, = or a bracket; not within a URL or a fraction.
_ABSOLUTE = re.compile(rf"(?<![\w./:<>-])/(?:[\w.+@~-]+/)+({_LAST})")
_ATTEMPT = re.compile(r"(attempt \d+ on )[^\s,:]+")  # `attempts.begin`: also hosts of before
GENERIC = frozenset({"root", "user", "users", "localhost", "runner", "ubuntu", "debian"})
"""Names that tell nothing, and stand in texts for other reasons."""
SHORTEST = 4
"""Of a name that is looked for anywhere in a text: a shorter one turns up by chance."""
SHORTEST_IN_BYTES = 6
"""The same in what is not text, such as pixels or arrays."""
OWN_TEXTS = (".csv", ".json", ".log", ".md", ".tex", ".tsv", ".yaml", ".html")
FOREIGN = ("report.html",)
"""Texts that hold libraries, with thousands of words."""

_KEYS = r"host(?:name)?|node(?:name)?|user(?:name)?|login|logname|owner"
_ROOTS = r"cluster|data|export|gpfs|home|lustre|mnt|nfs|project|projects|scratch|Users|users|work"


@dataclass(frozen=True)
class Machine:
    """Where an archive is made, and where its cells were trained.

    Attributes:
        folders: the checkout, the outputs, the home folder, the environment: absolute.
        names: of hosts and user.
        words: those of the names that are words of the source or config as well.
    """

    folders: tuple[str, ...]
    names: tuple[str, ...]
    words: frozenset[str] = frozenset()

    @staticmethod
    def here(
        folders: Iterable[Path], hosts: Iterable[str] = (), texts: Iterable[str] = ()
    ) -> Machine:
        """Return the machine that this runs on.

        Args:
            folders: the checkout, and where the run's outputs are.
            hosts: that the run's records name.
            texts: source and config, whose words may stand anywhere.
        """
        places = {os.path.expanduser("~"), sys.prefix}
        for folder in folders:
            places |= {str(folder.resolve()), os.path.abspath(folder)}
        names = {platform.node(), *hosts}
        names |= {name.split(".")[0] for name in names}
        try:
            names.add(getpass.getuser())
        except (KeyError, OSError):
            pass
        known = {name for name in names if name and name not in GENERIC}
        said = {word for text in texts for word in _words(text)} if known else set()
        return Machine(
            tuple(sorted((f for f in places if os.path.isabs(f) and f != "/"), key=len)[::-1]),
            tuple(sorted(known, key=lambda name: (-len(name), name))),
            frozenset(known & said),
        )

    def anywhere(self, shortest: int) -> Iterator[str]:
        """Yield the names that cannot be but names, of so many characters at least."""
        for name in self.names:
            if len(name) >= shortest and not name.isdigit() and name not in self.words:
                yield name


def _words(text: str) -> Iterator[str]:
    for word in re.findall(r"[\w.-]+", text):
        yield word
        yield from re.split(r"[._-]", word)


@cache
def _placed(name: str, text: bool) -> re.Pattern[bytes]:
    """Return what finds a name where names stand; in bytes only where chance has no part."""
    n, end = re.escape(name), r"(?![\w-])"
    folder = r"""[^/\s"'<>:|\x00-\x1f]{1,255}/"""
    places = [
        rf"""(?i:\b(?:{_KEYS}))\\*["']?\s*[:=]\s*\\*["']?{n}{end}""",
        rf"/(?:{_ROOTS})/(?:{folder}){{0,9}}{n}{end}",
    ]
    if text:
        places += [
            rf"(?<![\w./:<>-])/(?:{folder})+{n}{end}",
            rf"(?<![\w/}}])~{n}/",
            rf"(?<![\w.-]){n}:/(?!/)",
            rf"attempt \d+ on {n}{end}",
        ]
    if text or len(name) >= SHORTEST_IN_BYTES - 1:
        places += [rf"(?<![\w.+-]){n}@\w", rf"[\w.+-]@{n}{end}"]
    return re.compile("|".join(places).encode())


@cache
def _plain(name: str) -> re.Pattern[bytes]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])".encode())


def text(content: str, machine: Machine) -> str:
    """Take out of a log what names the machine: absolute paths, hosts and user."""
    for folder in machine.folders:
        inside = rf"{re.escape(folder)}(?:/[\w.+@~-]+)*?/({_LAST})(?![\w.+@~/-])"
        content = re.sub(inside, r"<path>/\1", content)
        content = re.sub(rf"{re.escape(folder)}(?![\w-])", "<path>", content)
    content = _ATTEMPT.sub(r"\1<name>", content)
    for name in machine.names:
        pattern = _placed(name, text=True)
        changed = pattern.sub(
            lambda found, n=name: found[0].replace(n.encode(), b"<name>"), content.encode()
        )
        content = changed.decode()
    content = _ABSOLUTE.sub(lambda found: f"<path>/{_unnamed(found[1], machine)}", content)
    for name in machine.anywhere(1):
        content = _plain(name).sub(b"<name>", content.encode()).decode()
    return content


def _unnamed(last: str, machine: Machine) -> str:
    return "<name>" if last in machine.names else last


def record(value: Any, machine: Machine) -> Any:
    """Return a JSON record without the host in its provenance, nor paths in what git said."""
    made = value.get("provenance") if isinstance(value, dict) else None
    if not isinstance(made, dict):
        return value
    changed = dict(made)
    if "host" in made:
        changed["host"] = None
    if isinstance(made.get("git_commit_unknown"), str):
        changed["git_commit_unknown"] = text(made["git_commit_unknown"], machine)
    return value | {"provenance": changed}


def json_text(content: bytes, machine: Machine) -> bytes:
    """Return a JSON file's content by `record`; the same bytes where there is nothing to change."""
    before = json.loads(content)
    after = record(before, machine)
    if after == before:
        return content
    return (json.dumps(after, indent=1, allow_nan=False) + "\n").encode()


def leaks(name: str, content: bytes, machine: Machine) -> Iterator[str]:
    """Name what a file's content still says of the machine."""
    try:
        is_text = b"\0" not in content and bool(content.decode() or True)
    except UnicodeDecodeError:
        is_text = False
    for folder in machine.folders:
        if re.search(re.escape(folder.encode()) + rb"(?![\w-])", content):
            yield f"the folder {folder}"
    own = is_text and name.endswith(OWN_TEXTS) and not name.endswith(FOREIGN)
    plain = set(machine.anywhere(SHORTEST if own else SHORTEST_IN_BYTES))
    plain = {one for one in plain if own or "." in one}
    for one in machine.names:
        if _placed(one, is_text).search(content) or (one in plain and _plain(one).search(content)):
            yield f"the name {one}"


def check(name: str, content: bytes, machine: Machine) -> None:
    """Check that a file says nothing of the machine.

    Raises:
        InputError: it does; the message names the file and what it says.
    """
    found = list(leaks(name, content, machine))
    if found:
        raise InputError(f"{name}: names {', '.join(found)}, which an archive must not")

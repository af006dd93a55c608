"""The archive's outside: a zip that is the same for the same content, and is read with suspicion.

Written: members sorted, at one time, with one of two modes, deflated. Read: nothing is taken from a
zip before its directory has been checked, since it may have come from anybody.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from w2dual.records import InputError, atomic_path, no_file, unwritable

MANIFEST = "manifest-sha256.txt"
TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can hold."""
MODES = {False: 0o100644, True: 0o100755}
GIT = frozenset({".git", "git~1"})
"""What a folder of git is called, in full and in the short names of some disks."""
_UNIX = 3
_END_OF_DIRECTORY = 22  # bytes, without a comment
_LOCAL_HEADER = 30  # bytes, without name and extra field


@dataclass(frozen=True)
class Limits:
    """What an archive may need at most.

    Attributes:
        members: their number.
        member_bytes, total_bytes: unpacked.
        ratio: of unpacked to packed bytes, for members above `ratio_from_bytes`.
    """

    members: int = 20_000
    member_bytes: int = 512 * 2**20
    total_bytes: int = 4 * 2**30
    ratio: float = 200.0
    ratio_from_bytes: int = 2**20


@dataclass(frozen=True)
class Member:
    """A file to be written: how to read it, and whether it may be executed."""

    read: Callable[[], bytes]
    executable: bool = False


def sha256(content: bytes) -> str:
    """Return the SHA-256 of content in hex."""
    return hashlib.sha256(content).hexdigest()


def manifest(hashes: Mapping[str, str]) -> str:
    """Return the manifest's text, which `sha256sum --check` reads, sorted by path."""
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))


def read_manifest(text: str) -> dict[str, str]:
    """Read a manifest: SHA-256 by path.

    Raises:
        InputError: a line is not a hash and a path, or a path is a duplicate.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        digest, gap, name = line.partition("  ")
        if not gap or not name or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise InputError(
                f"{MANIFEST}: line {number} is not a SHA-256 and a path: {line[:80]!r}"
            )
        if name in found:
            raise InputError(f"{MANIFEST}: duplicate path {name}")
        found[name] = digest
    return found


def write(
    path: Path, members: Mapping[str, Member], check: Callable[[Path], None] | None = None
) -> None:
    """Write the zip, atomically; the same members give the same bytes.

    Args:
        path: of the zip.
        members: by their paths in it.
        check: is given the file before it gets its name, which it does not where `check` raises.
    """
    with atomic_path(path) as partial:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as target:
            for name in sorted(members):
                entry = zipfile.ZipInfo(name, TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = _UNIX
                entry.external_attr = MODES[members[name].executable] << 16
                target.writestr(entry, members[name].read(), compresslevel=6)
        if check is not None:
            check(partial)


class Archive:
    """An archive that was opened and whose directory holds nothing unsafe.

    Attributes:
        path: the zip.
        names: of its members, sorted.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """Open and check.

        Raises:
            InputError: it is not a zip, or unsafe; the message names every member at fault.
        """
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (FileNotFoundError, IsADirectoryError) as error:
            raise InputError(no_file(path)) from error
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InputError(f"{path}: is cut short or no zip file ({error})") from error
        entries = self._zip.infolist()
        found = unsafe(entries, limits or Limits())
        found = found or hidden(self._zip, path.stat().st_size)
        if found:
            self._zip.close()
            raise InputError(f"{path}: is not safe to unpack:\n" + "\n".join(found))
        self._entries = {entry.filename: entry for entry in entries}
        self.names = sorted(self._entries)

    def read(self, name: str) -> bytes:
        """Return a member's content, of the size that the directory says.

        Raises:
            InputError: there is none of the name, or it is damaged.
        """
        if name not in self._entries:
            raise InputError(f"{name}: is missing")
        entry = self._entries[name]
        try:
            with self._zip.open(entry) as stream:
                content = stream.read(entry.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as error:
            raise InputError(f"{name}: is damaged ({error})") from error
        if len(content) != entry.file_size:
            raise InputError(f"{name}: has another size than the archive's directory says")
        return content

    def executable(self, name: str) -> bool:
        """Say whether a member may be executed."""
        return bool((self._entries[name].external_attr >> 16) & stat.S_IXUSR)

    def unpack(self, folder: Path) -> None:
        """Write every member below a folder that must be new or empty; all of them, or nothing.

        Raises:
            InputError: the folder holds something, a member is damaged, or there is no room.
        """
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is a file; name a new folder")
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"{folder}: is not empty; name a new folder")
        made, target = not folder.exists(), folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in self.names:
                content, target = self.read(name), folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                target.chmod(0o755 if self.executable(name) else 0o644)
        except BaseException as error:
            for entry in folder.iterdir() if folder.is_dir() else ():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            if made and folder.is_dir():
                folder.rmdir()
            if isinstance(error, OSError) and not isinstance(error, InputError):
                raise unwritable(target, error) from error
            raise

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> Archive:
        """Return the archive itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def unsafe(entries: list[zipfile.ZipInfo], limits: Limits) -> list[str]:
    """Say what makes a zip's directory unsafe, a line each."""
    if len(entries) > limits.members:
        return [f"  {len(entries)} members, expected at most {limits.members}"]
    found = []
    total = sum(entry.file_size for entry in entries)
    if total > limits.total_bytes:
        found.append(f"  {total} bytes unpacked, expected at most {limits.total_bytes}")
    seen: dict[str, str] = {}
    for entry in entries:
        found += [f"  {entry.filename!r}: {fault}" for fault in _faults(entry, limits)]
        key = unicodedata.normalize("NFC", entry.filename).casefold()
        if key in seen:
            same = "" if seen[key] == entry.filename else f", as {seen[key]!r}"
            found.append(f"  {entry.filename!r}: is a duplicate{same}")
        seen[key] = entry.filename
    folders = {part for name in seen for part in _parents(name)}
    found += [f"  {seen[name]!r}: is a file and a folder" for name in sorted(folders & set(seen))]
    return found


def _parents(name: str) -> Iterator[str]:
    parts = name.split("/")
    for end in range(1, len(parts)):
        yield "/".join(parts[:end])


def _faults(entry: zipfile.ZipInfo, limits: Limits) -> Iterator[str]:
    # What the directory holds: zipfile cuts names at a NUL and turns the system's separators.
    name = entry.orig_filename
    parts = name.split("/")
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        yield "is an absolute path"
    elif ".." in parts:
        yield "leads out of the archive"
    elif "\\" in name or any(unicodedata.category(letter)[0] == "C" for letter in name):
        yield "has a backslash or a control character in its name"
    elif "" in parts or "." in parts:
        yield "is a folder, or has an empty part in its name"
    elif GIT & set(map(str.casefold, parts)):
        yield "is part of a git repository, whose hooks and settings git would run"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        yield "is a symbolic link"
    elif kind not in (0, stat.S_IFREG):
        yield "is not a regular file"
    if entry.flag_bits & 0x1:
        yield "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield f"is packed by method {entry.compress_type}, expected deflate"
    if entry.file_size > limits.member_bytes:
        yield f"{entry.file_size} bytes unpacked, expected at most {limits.member_bytes}"
    if entry.file_size > limits.ratio_from_bytes and entry.file_size > limits.ratio * max(
        1, entry.compress_size
    ):
        yield f"unpacks to {entry.file_size // max(1, entry.compress_size)} times its size"


def hidden(source: zipfile.ZipFile, size: int) -> list[str]:
    """Say where a zip holds bytes that no member accounts for, or members that share bytes.

    Members must follow one another from the first byte on, then the directory, then nothing.
    """
    at = 0
    for entry in sorted(source.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset != at:
            word = "overlaps another member" if entry.header_offset < at else "follows hidden bytes"
            return [f"  {entry.filename!r}: {word}"]
        name = entry.orig_filename.encode("utf-8" if entry.flag_bits & 0x800 else "cp437")
        at += _LOCAL_HEADER + len(name) + entry.compress_size
    if source.start_dir != at:
        return ["  holds bytes between its members and its directory"]
    if source.comment:
        return ["  has a comment"]
    extras = [entry.filename for entry in source.infolist() if entry.extra or entry.comment]
    if extras:
        return [f"  {name!r}: has an extra field or a comment" for name in extras]
    directory = sum(46 + len(entry.orig_filename.encode()) for entry in source.infolist())
    if size != at + directory + _END_OF_DIRECTORY:
        return ["  holds bytes after its directory"]
    return []

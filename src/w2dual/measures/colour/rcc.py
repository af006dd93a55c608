"""Reading a Qt resource (.rcc), a file of files: header, tree of names, payloads. Without Qt.

Numbers are big-endian. The header is `qres`, the version, and the offsets of tree, data and names;
an entry of the tree has 14 bytes in version 1 and 22, with a time, since. Only payloads that are
stored as they are, or by zlib, are read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from w2dual.records import InputError, no_file

MAGIC = b"qres"
VERSIONS = (1, 2, 3)
_COMPRESSED, _DIRECTORY, _ZSTD = 1, 2, 4
_MOST_ENTRIES, _MOST_BYTES = 100_000, 256 * 2**20


def read_rcc(path: Path) -> dict[str, bytes]:
    """Return the files of a resource, by their paths in it, such as `folder/file.webp`.

    Raises:
        InputError: the file is missing, no resource, cut short, or has a payload of a kind that is
            not read.
    """
    if not path.is_file():
        raise InputError(no_file(path))
    try:
        content = path.read_bytes()
        return dict(_files(content))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, struct.error, zlib.error, IndexError) as error:
        raise InputError(
            f"{path}: is no Qt resource, or is damaged or cut short ({error}); "
            "have its package installed again"
        ) from error


def _files(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content[:4] != MAGIC:
        raise ValueError(f"begins with {content[:4]!r}, expected {MAGIC!r}")
    version, tree, data, names = struct.unpack_from(">4i", content, 4)
    if version not in VERSIONS:
        raise ValueError(f"version {version}; expected one of {VERSIONS}")
    size = 14 if version == 1 else 22
    todo, seen = [(0, "")], 0
    while todo:
        index, parent = todo.pop()
        seen += 1
        if seen > _MOST_ENTRIES:
            raise ValueError(f"more than {_MOST_ENTRIES:,} entries")
        at = tree + index * size
        name_at, flags = struct.unpack_from(">IH", content, at)
        name = _name(content, names + name_at) if index else ""
        path = f"{parent}/{name}".lstrip("/")
        if flags & _DIRECTORY:
            count, first = struct.unpack_from(">II", content, at + 6)
            todo += [(first + child, path) for child in reversed(range(count))]
            continue
        yield path, _payload(content, data + struct.unpack_from(">I", content, at + 10)[0], flags)


def _name(content: bytes, at: int) -> str:
    (length,) = struct.unpack_from(">H", content, at)
    return _part(content, at + 6, 2 * length).decode("utf-16-be")  # after the length, a hash


def _payload(content: bytes, at: int, flags: int) -> bytes:
    (length,) = struct.unpack_from(">I", content, at)
    stored = _part(content, at + 4, length)
    if flags & _ZSTD:
        raise ValueError("a payload is compressed by zstd, which is not read")
    if not flags & _COMPRESSED:
        return stored
    (size,) = struct.unpack_from(">I", stored)
    found = zlib.decompressobj().decompress(stored[4:], max(1, min(size, _MOST_BYTES)))
    if len(found) != size:
        raise ValueError(f"a payload has {len(found)} bytes, expected {size}")
    return found


def _part(content: bytes, at: int, length: int) -> bytes:
    if at < 0 or at + length > len(content):
        raise ValueError(f"{length} bytes from {at} reach beyond its {len(content)} bytes")
    return content[at : at + length]


def text_of(files: Mapping[str, bytes], path: str) -> str:
    """Return a file of a resource as text."""
    return files[path].decode("utf-8", "replace")

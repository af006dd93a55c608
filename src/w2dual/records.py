"""Files: atomic writes, JSON records, arrays with metadata, and errors meant for people."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

_METADATA = "w2dual"  # the safetensors metadata key under which ours stands as JSON


class InputError(Exception):
    """What the user gave cannot be used; the message says what, where, and what would be right."""


class WriteError(InputError, OSError):
    """A file cannot be written; also an OSError, for those who can go on without the file."""


FULL = {
    errno.ENOSPC: "free space there (`df` shows where there is some) and run this again",
    errno.EDQUOT: "free space in your quota, or write elsewhere, and run this again",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`), or write elsewhere",
}
"""Errors of a write that has no more room, which do not name their file; and what to do."""
_REMEDIES = {
    errno.EROFS: "write to a folder on a disk that is not mounted read-only",
    errno.EACCES: "write to a folder of your own",
    errno.EPERM: "write to a folder of your own",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name a path all of whose parents are folders",
    errno.EEXIST: "name a path all of whose parents are folders",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.EIO: "the disk may be failing: write elsewhere",
}


def unwritable(path: str | os.PathLike[str], error: OSError) -> WriteError:
    """Return the error that says which file cannot be written, why, and what to do."""
    remedy = (FULL | _REMEDIES).get(error.errno or 0, "write elsewhere")
    found = WriteError(f"{os.fspath(path)}: cannot be written: {error.strerror}; {remedy}")
    found.errno = error.errno
    return found


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` on success, remove it on failure.

    The temporary name keeps the suffix, since some writers choose a format by it.

    Raises:
        WriteError: the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if partial.is_file():
            with partial.open("rb") as written:
                os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        # A full disk has no name; of two files written together, the last one begun is at fault.
        names = {Path(name) for name in (error.filename, error.filename2) if isinstance(name, str)}
        nameless = not names and error.errno in FULL and partial.exists()
        ours = names & {partial, path, *path.parents}
        unwritten = error.errno == errno.ENOENT  # the body wrote nothing: our fault
        if isinstance(error, InputError) or unwritten or not (nameless or ours):
            raise
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_partials(path: str | os.PathLike[str]) -> None:
    """Remove what a job that was killed while it wrote `path` has left; the name may be a pattern.

    To be called by the one job that writes there, before it does.
    """
    path = Path(path)
    for partial in path.parent.glob(f".{path.stem}.*-????????{path.suffix}"):
        partial.unlink(missing_ok=True)


def finite(value: Any) -> Any:
    """Replace, at any depth, floats that are not finite by None: JSON has no word for them."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        return finite(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def canonical_json(value: Any) -> str:
    """Return the one compact text of a JSON value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(value: Any) -> str:
    """Return 12 hex digits of the SHA-256 of a JSON value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:12]


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text atomically."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a JSON record atomically; numbers that are not finite become null."""
    write_text(path, json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


def no_file(path: str | os.PathLike[str]) -> str:
    """Say why a path is not a file: it is a folder, or there is nothing."""
    return (
        f"{path}: is a folder, expected a file" if Path(path).is_dir() else f"{path}: no such file"
    )


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key `{next(key for key in keys if keys.count(key) > 1)}`")
    return found


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


# What `json` takes beyond JSON, and what it hides.
_STRICT: dict[str, Any] = {
    "object_pairs_hook": _no_duplicates,
    "parse_constant": _finite_float,
    "parse_float": _finite_float,
}


def read_json(path: str | os.PathLike[str], strict: bool = False) -> Any:
    """Read a JSON record.

    Args:
        path: the file.
        strict: whether duplicate keys and numbers that are not finite are errors, as in what a
            person writes.

    Raises:
        InputError: the file is missing or is not JSON; the message names it.
    """
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return parse_json(text, path, strict)


def parse_json(content: bytes, where: str | os.PathLike[str], strict: bool = False) -> Any:
    """Read the content of a JSON record.

    Args:
        content: UTF-8.
        where: what to name in an error.
        strict: as in `read_json`.

    Raises:
        InputError: it is not JSON.
    """
    try:
        return json.loads(content.decode("utf-8"), **(_STRICT if strict else {}))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: is not a JSON record (line {error.lineno}: {error.msg}); "
            "remove it, and its job makes it again"
        ) from error
    except RecursionError as error:
        raise InputError(f"{where}: is nested too deeply") from error
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def json_argument(text: str) -> Any:
    """Read a command-line argument that is either JSON itself or the path of a JSON file.

    Raises:
        InputError: it is not JSON, has a duplicate key, or a number that is not finite.
    """
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.loads(text, **_STRICT)
        except json.JSONDecodeError as error:
            raise InputError(f"argument {text[:60]!r}... is not JSON: {error.msg}") from error
        except ValueError as error:
            raise InputError(f"argument {text[:60]!r}...: {error}") from error
        except RecursionError as error:
            raise InputError(f"argument {text[:60]!r}...: is nested too deeply") from error
    return read_json(text, strict=True)


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, Any], metadata: Mapping[str, Any]
) -> None:
    """Write named arrays and JSON-able metadata to one safetensors file, atomically."""
    from safetensors.numpy import save

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # One key alone: the library orders several at random, and equal content is to be equal bytes.
    text = {_METADATA: json.dumps(finite(metadata), sort_keys=True)}
    with atomic_path(path) as partial:
        partial.write_bytes(save(contiguous, metadata=text))


def load_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save_arrays` wrote: the arrays by name, and the metadata.

    Raises:
        InputError: the file is missing, truncated, damaged in its metadata or no safetensors file;
            the message names it.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise InputError(no_file(path))
    try:
        with safe_open(path, framework="numpy") as stored:
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            text = (stored.metadata() or {}).get(_METADATA, "{}")
        metadata = json.loads(text)
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise InputError(
            f"{path}: is truncated or no safetensors file ({error}); "
            "remove it, and its job makes it again"
        ) from error
    # A flipped bit can leave JSON that reads the same, in the 17th digit of a number for one.
    if json.dumps(metadata, sort_keys=True) != text:
        raise InputError(
            f"{path}: is damaged: its metadata is not as it was written; "
            "remove it, and its job makes it again"
        )
    return arrays, metadata

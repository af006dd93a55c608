"""Reads the tensors of a PyTorch weights file without PyTorch and without trusting the file.

Such a file is a zip archive: `PREFIX/data.pkl`, a pickle that names each tensor's type, shape and
strides, and `PREFIX/data/KEY`, the raw little-endian buffers. A plain `pickle.load` would call
whatever function the pickle names. Here the pickle can name three things only (an ordered
dictionary, a tensor's rebuilding, a storage type), each mapped to a function of this module;
sizes, strides and offsets are checked against the buffers before any memory is laid out by them.
"""

from __future__ import annotations

import io
import math
import pickle  # noqa: S403 -- only through _TensorUnpickler, which refuses foreign names
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from w2dual.records import InputError

MAX_BYTES = 256 * 2**20
"""Bound on the sum of a file's members, in bytes; the largest published file has 96 million."""
_OLD_FORMAT = b"\x80"
"""How a pickle begins; a zip archive begins with PK."""


@dataclass(frozen=True)
class _StorageType:
    """The type that the pickle names for a buffer."""

    dtype: np.dtype


@dataclass(frozen=True)
class _Storage:
    """One raw buffer."""

    key: str
    values: np.ndarray


class _Refused(Exception):
    """The content is not what a file of weights may hold."""


def _rebuild_tensor(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> np.ndarray:
    """Lay out a tensor over its buffer; all arguments come from the file and are checked."""
    del requires_grad, hooks, metadata
    if not isinstance(storage, _Storage):
        raise _Refused("a tensor does not refer to a buffer")
    for name, value in (("shape", shape), ("strides", strides)):
        if not isinstance(value, tuple) or not all(_is_size(item) for item in value):
            raise _Refused(f"buffer {storage.key}: {name} {value!r} is not a tuple of sizes")
    if not _is_size(offset) or len(shape) != len(strides):
        raise _Refused(
            f"buffer {storage.key}: offset {offset!r}, shape {shape} and strides {strides} disagree"
        )
    count = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # count > size also refuses a tensor that repeats its buffer (stride 0): copying such a one
    # would let a small file fill the memory.
    if count > storage.values.size or (count and last >= storage.values.size):
        raise _Refused(
            f"buffer {storage.key}: a tensor of shape {shape}, strides {strides}, offset {offset} "
            f"does not fit its {storage.values.size} elements"
        )
    if not count:
        return np.zeros(shape, storage.values.dtype)
    itemsize = storage.values.itemsize
    view = np.lib.stride_tricks.as_strided(
        storage.values[offset:], shape, [step * itemsize for step in strides], writeable=False
    )
    return np.array(view)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): _StorageType(np.dtype("<f4")),
    ("torch", "DoubleStorage"): _StorageType(np.dtype("<f8")),
    ("torch", "HalfStorage"): _StorageType(np.dtype("<f2")),
    ("torch", "LongStorage"): _StorageType(np.dtype("<i8")),
}


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler to which only the names in `_ADMITTED` exist."""

    def __init__(self, stream: io.BytesIO, archive: zipfile.ZipFile, prefix: str) -> None:
        super().__init__(stream)
        self._archive = archive
        self._prefix = prefix
        self._storages: dict[str, _Storage] = {}

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ADMITTED[module_name, global_name]
        except KeyError:
            raise _Refused(
                f"its pickle names `{module_name}.{global_name}`, which no file of weights needs; "
                "nothing of it was run"
            ) from None

    def persistent_load(self, pid: Any, /) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage"):
            raise _Refused(f"its pickle refers to {pid!r:.80}, not to a buffer")
        _, kind, key, _, count = pid
        if not (isinstance(kind, _StorageType) and isinstance(key, str) and _is_size(count)):
            raise _Refused(f"its pickle describes a buffer by {pid!r:.80}")
        if key not in self._storages:
            raw = self._archive.read(f"{self._prefix}data/{key}")
            if len(raw) != count * kind.dtype.itemsize:
                raise _Refused(
                    f"buffer {key} has {len(raw)} bytes where {count} elements of "
                    f"{kind.dtype.name} need {count * kind.dtype.itemsize}"
                )
            self._storages[key] = _Storage(key, np.frombuffer(raw, kind.dtype))
        storage = self._storages[key]
        if storage.values.size != count or storage.values.dtype != kind.dtype:
            raise _Refused(f"buffer {key} is described in two ways")
        return storage


def read(content: bytes, name: str, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read the tensors of a PyTorch weights file.

    Args:
        content: the file's bytes.
        name: what to call the file in an error.
        max_bytes: bound on the sum of the archive's members, in bytes.

    Returns:
        The tensors by name, in the file's order.

    Raises:
        InputError: the content is not such a file, is damaged, or holds anything but tensors.
    """
    return _read(content, name, max_bytes, _dictionary)


def read_tensor(content: bytes, name: str, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read a file of one tensor, as `torch.save(tensor, ...)` writes it.

    Args:
        content: the file's bytes.
        name: what to call the file in an error.
        max_bytes: bound on the sum of the archive's members, in bytes.

    Raises:
        InputError: the content is not such a file, is damaged, or holds anything but one tensor.
    """
    return _read(content, name, max_bytes, _one_tensor)


def _read(content: bytes, name: str, max_bytes: int, checked: Callable[[Any], Any]) -> Any:
    """Read an archive, and return what `checked` makes of the object in it."""
    if content.startswith(_OLD_FORMAT):
        raise InputError(
            f"{name}: is in PyTorch's old format, a bare pickle, which is not read here; expected "
            "the zip archive that PyTorch has written since version 1.6: load the file there and "
            "save it again"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = checked(_read_archive(archive, max_bytes))
    except _Refused as error:
        raise InputError(f"{name}: refused: {error}") from error
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{name}: is damaged or no PyTorch weights file ({error}); fetch it again"
        ) from error
    except KeyError as error:
        raise InputError(f"{name}: is incomplete ({error.args[0]}); fetch it again") from error
    # What the unpickler and zipfile raise on bytes that are no pickle or no archive member.
    except (
        pickle.UnpicklingError,
        AttributeError,
        EOFError,
        IndexError,
        MemoryError,
        NotImplementedError,
        OverflowError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise InputError(
            f"{name}: is not a readable PyTorch weights file ({type(error).__name__}: {error}); "
            "fetch it again"
        ) from error
    return found


def _read_archive(archive: zipfile.ZipFile, max_bytes: int) -> Any:
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise _Refused(f"its members have {total} bytes, more than the {max_bytes} admitted")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise _Refused("it is compressed, which PyTorch's files never are")
    pickles = [m.filename for m in members if m.filename.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise _Refused(f"it holds {len(pickles)} members `*/data.pkl` instead of one")
    prefix = pickles[0].removesuffix("data.pkl")
    if f"{prefix}byteorder" in archive.namelist():
        order = archive.read(f"{prefix}byteorder")
        if order != b"little":
            raise _Refused(f"its byte order is {order!r:.20}, not little")
    return _TensorUnpickler(io.BytesIO(archive.read(pickles[0])), archive, prefix).load()


def _dictionary(loaded: Any) -> dict[str, np.ndarray]:
    """Return the tensors by name of what a file of weights holds."""
    if not isinstance(loaded, dict):
        raise _Refused(f"it holds a {type(loaded).__name__}, not a dictionary of tensors")
    for key, value in loaded.items():
        if not (isinstance(key, str) and isinstance(value, np.ndarray)):
            raise _Refused(f"its entry {key!r:.80} is a {type(value).__name__}, not a tensor")
    return dict(loaded)


def _one_tensor(loaded: Any) -> np.ndarray:
    """Return the tensor that a file holds and nothing else."""
    if not isinstance(loaded, np.ndarray):
        raise _Refused(f"it holds a {type(loaded).__name__}, not a tensor")
    return loaded

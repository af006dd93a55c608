"""Files: whole or not there, and errors that name them."""

import contextlib
import errno
import json
import math
import os
import re
import resource
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2dual import records
from w2dual.archive import container
from w2dual.records import InputError


class Interrupt(BaseException):
    """In the place of KeyboardInterrupt and SystemExit, which are no `Exception` either."""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ---------------------------------------------------------------- atomic writes


def test_atomic_path_makes_folders_and_leaves_the_file_alone(tmp_path: Path):
    path = tmp_path / "a" / "b" / "points.npy"
    with records.atomic_path(path) as partial:
        assert partial.parent == path.parent
        assert partial.suffix == ".npy"
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == {"points.npy"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_atomic_path_leaves_nothing_behind_on_failure(
    tmp_path: Path, error: type[BaseException], old: str | None
):
    path = tmp_path / "metrics.json"
    if old is not None:
        path.write_text(old)
    with pytest.raises(error), records.atomic_path(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise error
    assert names(tmp_path) == (set() if old is None else {"metrics.json"})
    assert old is None or path.read_text() == old


def test_atomic_path_into_which_nothing_was_written_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError), records.atomic_path(tmp_path / "a.csv"):
        pass
    assert names(tmp_path) == set()


def test_two_writers_do_not_meet(tmp_path: Path):
    path = tmp_path / "a.txt"
    with records.atomic_path(path) as first, records.atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the last to finish
    assert names(tmp_path) == {"a.txt"}


@contextlib.contextmanager
def room_for(size: int):
    """No file may grow beyond so many bytes: the system refuses the write, as of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITERS = {
    "text": lambda path: records.write_text(path, "x" * 10_000),
    "json": lambda path: records.write_json(path, list(range(10_000))),
    "arrays": lambda path: records.save_arrays(path, {"a": np.zeros(10_000)}, {}),
    "table": lambda path: table(path),
    "archive": lambda path: container.write(
        path, {"a": container.Member(lambda: os.urandom(10_000))}
    ),
    "copy": lambda path: copied(path),
}


def table(path: Path) -> None:
    with records.atomic_path(path) as partial:
        pd.DataFrame({"a": np.arange(10_000)}).to_csv(partial)


def copied(path: Path) -> None:
    """The system's own way to copy names the file that is read first."""
    with records.atomic_path(path) as partial:
        shutil.copyfile(records.__file__, partial)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_file_for_which_there_is_no_room_is_named(tmp_path: Path, write: Any):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with room_for(1000), pytest.raises(InputError, match="cannot be written: File too large; r"):
        write(path)
    with room_for(1000), pytest.raises(OSError, match=re.escape(str(path))) as caught:
        write(path)
    assert caught.value.errno == errno.EFBIG
    assert names(tmp_path) == {"out.csv"}
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "No space left on device; free space there"),
        (errno.EDQUOT, "Disk quota exceeded; free space in your quota"),
    ],
)
def test_of_two_files_the_one_that_has_no_room_is_named(tmp_path: Path, code: int, said: str):
    first, second = tmp_path / "a.csv", tmp_path / "a.tex"
    for full in (first, second):
        with pytest.raises(InputError) as caught:  # noqa: SIM117, PT012
            with records.atomic_path(first) as one, records.atomic_path(second) as two:
                one.write_text("1")
                if full == second:
                    two.write_text("2")
                raise OSError(code, os.strerror(code))
        assert str(caught.value).startswith(f"{full}: cannot be written: {said}")
        assert names(tmp_path) == set()


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "out", tmp_path / "file" / "a.csv"):
        with pytest.raises(InputError, match=f"{path}: cannot be written: "):
            records.write_text(path, "text")


def test_an_error_of_another_file_keeps_its_own_words(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="none"):  # noqa: SIM117
        with records.atomic_path(tmp_path / "a.csv"):
            (tmp_path / "none").read_text()


# ---------------------------------------------------------------- JSON


def test_json_goes_there_and_back(tmp_path: Path):
    value = {"a": [1, 2.5, None, True], "b": {"c": "n\N{LATIN SMALL LETTER A WITH DIAERESIS}"}}
    records.write_json(tmp_path / "a.json", value)
    assert records.read_json(tmp_path / "a.json") == value


def test_numbers_that_are_not_finite_become_null_at_any_depth(tmp_path: Path):
    value = {"a": math.nan, "b": [math.inf, {"c": (-math.inf, 1.0)}], "d": np.float32("nan")}
    records.write_json(tmp_path / "a.json", value)
    read = records.read_json(tmp_path / "a.json")
    assert read == {"a": None, "b": [None, {"c": [None, 1.0]}], "d": None}


def test_numpy_scalars_are_numbers():
    found = records.finite({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)})
    assert found == {"a": 0.5, "b": 3, "c": True}
    assert [type(item) for item in found.values()] == [float, int, bool]


def test_json_that_cannot_be_written_leaves_the_old_record(tmp_path: Path):
    path = tmp_path / "a.json"
    records.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        records.write_json(path, {"a": object()})
    assert records.read_json(path) == {"a": 1}
    assert names(tmp_path) == {"a.json"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b'{"a": 1', "is not a JSON record .line 1"),
        (b"", "is not a JSON record"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
    ids=["missing", "truncated", "empty", "binary"],
)
def test_unreadable_json_is_named(tmp_path: Path, content: bytes | None, message: str):
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        records.read_json(path)
    assert str(path) in str(caught.value)


def test_folder_in_the_place_of_a_record_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        records.read_json(tmp_path)


def test_json_argument_is_json_or_a_file(tmp_path: Path):
    records.write_json(tmp_path / "a.json", {"a": 1})
    assert records.json_argument(' {"a": 1}') == {"a": 1}
    assert records.json_argument("[1]") == [1]
    assert records.json_argument(str(tmp_path / "a.json")) == {"a": 1}
    with pytest.raises(InputError, match="is not JSON"):
        records.json_argument('{"a": ')
    with pytest.raises(InputError, match="no such file"):
        records.json_argument(str(tmp_path / "b.json"))


# ---------------------------------------------------------------- hashes


def test_hash_is_of_the_content_and_not_of_the_order():
    assert records.short_hash({"a": 1, "b": 2}) == records.short_hash({"b": 2, "a": 1})
    assert records.short_hash({"a": 1}) != records.short_hash({"a": 2})
    assert records.short_hash([1, 2]) != records.short_hash([2, 1])
    # SHA-256 of the two bytes `{}`: the same on every machine.
    assert records.short_hash({}) == "44136fa355b3"
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.short_hash({"a": math.nan})


def test_file_sha256(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"{}")
    assert records.file_sha256(tmp_path / "a").startswith("44136fa355b3")


# ---------------------------------------------------------------- arrays

ARRAYS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "scalar": np.asarray(0.4, np.float32),
    "count": np.asarray([3], np.int32),
}
METADATA: dict[str, Any] = {"format": 1, "pair": "hd2", "files": {"a": "b"}, "generated": None}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "pair.safetensors"
    records.save_arrays(path, ARRAYS, METADATA)
    return path


def test_arrays_go_there_and_back(stored: Path):
    arrays, metadata = records.load_arrays(stored)
    assert metadata == METADATA
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        np.testing.assert_array_equal(arrays[name], array)


def test_equal_arrays_are_equal_bytes(stored: Path):
    content = stored.read_bytes()
    for order in (list(METADATA), list(METADATA)[::-1]):
        records.save_arrays(stored, ARRAYS, {key: METADATA[key] for key in order})
        assert stored.read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:4],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:20] + b"\x00" + content[21:],
        lambda content: b"PK\x03\x04" + content,
    ],
    ids=["empty", "4-bytes", "half", "all-but-one-byte", "length", "header", "other-format"],
)
def test_damaged_arrays_are_named(stored: Path, damage: Any):
    stored.write_bytes(damage(stored.read_bytes()))
    with pytest.raises(InputError, match="truncated or no safetensors file") as caught:
        records.load_arrays(stored)
    assert str(stored) in str(caught.value)


def test_a_digit_that_no_number_needs_is_missed_by_json_and_found(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    records.save_arrays(path, ARRAYS, {"seconds": 0.0013966842500394705})
    content = path.read_bytes()
    changed = content.replace(b"0.0013966842500394705", b"0.0013966842500394704")
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(InputError, match=f"{path}: is damaged"):
        records.load_arrays(path)


def test_missing_arrays_are_named(tmp_path: Path):
    for path, said in ((tmp_path / "none.safetensors", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(InputError, match=said) as caught:
            records.load_arrays(path)
        assert str(path) in str(caught.value)


def test_arrays_that_cannot_be_written_leave_nothing(tmp_path: Path):
    with pytest.raises(TypeError):
        records.save_arrays(tmp_path / "a.safetensors", ARRAYS, {"a": object()})
    assert names(tmp_path) == set()


def test_metadata_is_json_in_one_key(stored: Path):
    """What another program sees: one text, since the library orders several keys at random."""
    size = int.from_bytes(stored.read_bytes()[:8], "little")
    header = json.loads(stored.read_bytes()[8 : 8 + size])
    (text,) = header["__metadata__"].values()
    assert json.loads(text) == METADATA


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"b": 1, "b": 2}}', "duplicate key `b`"),
        ('{"a": NaN}', "NaN is not a finite number"),
        ('{"a": [-Infinity]}', "-Infinity is not a finite number"),
        ('{"a": 1e400}', "1e400 is not a finite number"),
    ],
)
def test_an_argument_in_json_hides_nothing(
    tmp_path: Path, text: str, message: str, as_file: bool
) -> None:
    path = tmp_path / "given.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        records.json_argument(str(path) if as_file else text)

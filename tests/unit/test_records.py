"""Files: whole or not there, and errors that name them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from w2dual import records
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
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(InputError, match="no such file") as caught:
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
        ('{"a": NaN}', "NaN is no finite number"),
        ('{"a": [-Infinity]}', "-Infinity is no finite number"),
        ('{"a": 1e400}', "1e400 is no finite number"),
    ],
)
def test_an_argument_in_json_hides_nothing(
    tmp_path: Path, text: str, message: str, as_file: bool
) -> None:
    path = tmp_path / "given.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        records.json_argument(str(path) if as_file else text)

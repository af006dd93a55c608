"""CSV files as frames: what is wanted is there, or it is said what is wrong with which file."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2dual.records import InputError
from w2dual.results.frames import read_csv


def test_columns_and_options_arrive(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("name,value,more\nnone,1,\nNA,2,x\n", encoding="utf-8")
    frame = read_csv(path, ("value", "name"), keep_default_na=False, na_values=[""])
    assert frame["name"].tolist() == ["none", "NA"]
    assert frame["more"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"", "is not a readable CSV file: No columns"),
        (b"value\n1,2\n3,4,5\n", "is not a readable CSV file: "),
        (b"value,name\n1,\xff\n", "is not a readable CSV file: "),
        (b"other,name\n1,a\n", "lacks the columns value, unit"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, said: str):
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: {said}"):
        read_csv(path, ("value", "name", "unit"))


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(InputError, match="is a folder, expected a file"):
        read_csv(tmp_path, ())

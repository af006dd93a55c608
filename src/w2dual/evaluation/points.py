"""Files of points, one a row: .npy, .csv and .png, with what was taken for what.

A .csv says nothing about itself. What it is taken for goes to the log, and what cannot be told is
refused with the ways to say it.
"""

from __future__ import annotations

import csv
import io
import logging
import math
import re
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from w2dual.decimals import is_number, number, taken_by_python
from w2dual.evaluation import image_points
from w2dual.records import InputError, atomic_path

log = logging.getLogger(__name__)

SUFFIXES = (".npy", ".csv", ".png")
KINDS = "a .npy, a .csv or a .png file"
Header = Literal["auto", "yes", "no"]
HEADERS: tuple[Header, ...] = ("auto", "yes", "no")

_LABEL = re.compile(r"[0-9]+")
_DIGITS_FIRST = re.compile(r"\W*\d")
_MARK_AND_DIGIT = re.compile(r"\s*[^\w\s]+\s*\d")
"""A number that is misspelt, such as (1), $1 or one with a typographic minus; hardly a name."""
_MISSING = re.compile(
    r"\W*|<?#?(na|n/a|nan|null|none|nil|missing|true|false)>?|#[\w/]+[!?]|\W*nan.*", re.IGNORECASE
)
"""What programs write where a value is missing, or in place of a number."""
_LARGEST = float(np.finfo(np.float32).max)
_BEGINNINGS = {
    b"PK\x03\x04": "an archive of arrays (.npz); write the one array of points with np.save",
    b"\x80": "a pickle; write the array of points with np.save",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
}
_KINDS = {
    "O": "Python objects",
    "V": "records",
    "U": "text",
    "S": "text",
    "c": "complex numbers",
    "b": "truth values",
    "M": "dates",
    "m": "spans of time",
}


class _Row(NamedTuple):
    line: int
    fields: list[str]


def read_points(path: Path, header: Header = "auto") -> Float[np.ndarray, "points n"]:
    """Read points, one a row, from .npy or .csv; or images, each a point, from .png.

    Args:
        path: the file.
        header: of a .csv, whether its first line is names and no point; `auto` takes a line
            without any number for names.

    Raises:
        InputError: the file is missing, of another kind, holds no table of finite numbers, or it
            cannot be told whether its first line is a point.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected {KINDS}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    kind = path.suffix.lower()
    try:
        if kind == ".npy":
            if header != "auto":
                raise InputError(f"{path}: a .npy file has no header; leave --header out")
            points, taken = _read_npy(path), ".npy"
        elif kind == ".csv":
            points, taken = _read_csv(path, header)
        elif kind == ".png":
            if header != "auto":
                raise InputError(f"{path}: a .png file has no header; leave --header out")
            points, taken = image_points.read(path)
        else:
            raise InputError(f"{path}: expected {KINDS}")
    except (EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a table of numbers: {error}") from error
    with np.errstate(over="ignore"):
        wrong = np.argwhere(~(np.abs(points.astype(np.float64)) <= _LARGEST))
    if wrong.size:
        point, coordinate = wrong[0]
        value = points[point, coordinate]
        raise InputError(
            f"{path}: point {point} (counted from 0) has a coordinate not finite in single "
            f"precision: {value} at {coordinate}"
        )
    log.info("%s: %d points of %d coordinates; %s", path, *points.shape, taken)
    return points.astype(np.float32)


def write_points(
    path: Path, points: Float[np.ndarray, "points n"], names: Sequence[str] = ()
) -> None:
    """Write points in the format that the name's ending says, .npy, .csv or .png, atomically.

    Args:
        path: the file to write.
        points: one a row.
        names: of a .csv's columns; none for x0, x1, ...

    Raises:
        InputError: the points are no images, which a .png holds.
    """
    if path.suffix == ".png":
        image_points.write(path, points)
        return
    with atomic_path(path) as partial:
        if path.suffix == ".npy":
            np.save(partial, points)
        else:
            header = ",".join(names or (f"x{i}" for i in range(points.shape[1])))
            np.savetxt(partial, points, fmt="%.9g", delimiter=",", header=header, comments="")


# ---------------------------------------------------------------- .npy


def _read_npy(path: Path) -> np.ndarray:
    """Read an array, after comparing what its header announces with what the file holds."""
    with path.open("rb") as stream:
        beginning = stream.read(6)
        for magic, words in _BEGINNINGS.items():
            if beginning.startswith(magic):
                raise InputError(f"{path}: cannot be read: it is {words}")
        stream.seek(0)
        try:
            version = np.lib.format.read_magic(stream)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read is None:
                raise ValueError(f"format {version[0]}.{version[1]}, which is for records")
            shape, _, dtype = read(stream)
        # The header is a Python literal, which NumPy takes apart by Python's own tools.
        except (
            ValueError,
            TypeError,
            SyntaxError,
            MemoryError,
            RecursionError,
            tokenize.TokenError,
        ) as error:
            raise InputError(f"{path}: cannot be read as a .npy file: {error}") from error
        _check_array(path, shape, dtype)
        held = path.stat().st_size - stream.tell()
        announced = math.prod(shape) * dtype.itemsize
        if announced != held:
            what = "truncated or damaged" if announced > held else "several arrays, or damaged"
            raise InputError(
                f"{path}: cannot be read: its header announces shape {shape} of {dtype}, "
                f"{announced:,} bytes, and {held:,} follow; it is {what}"
            )
        stream.seek(0)
        # Not np.load, which takes archives and pickles too.
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iuf":
        fields = f" with the fields {', '.join(dtype.names)}" if dtype.names else ""
        kind = _KINDS.get(dtype.kind, "no numbers")
        raise InputError(
            f"{path}: cannot be read as points: it holds {kind}{fields} (type {dtype}); expected "
            "an array of integers or floats, of shape (points, n)"
        )
    remedy = ""
    if len(shape) == 1 and shape[0] > 0:
        remedy = "; write a.reshape(1, -1) for one point, a.reshape(-1, 1) for points of R^1"
    whole = all(type(length) is int for length in shape)  # True is an int, and no length
    if len(shape) != 2 or min(shape) < 1 or not whole:
        raise InputError(
            f"{path}: holds an array of shape {shape} and type {dtype}; "
            f"expected numbers of shape (points, n), at least one point{remedy}"
        )


# ---------------------------------------------------------------- .csv


def _read_csv(path: Path, header: Header) -> tuple[np.ndarray, str]:
    """Read a .csv; return its points, and in words what was taken for what."""
    rows = _rows(path)
    if not rows:
        raise InputError(f"{path}: holds no points: it is empty")
    _check_delimiter(path, rows)
    if header != "no":
        _check_index(path, rows[0])
    named = header == "yes" or (header == "auto" and _is_header(path, rows))
    taken = "commas between them; no header"
    if named:
        shown = ", ".join(rows[0].fields[:6]) + (", ..." if len(rows[0].fields) > 6 else "")
        taken = f"commas between them; line {rows[0].line} is the header: {shown}"
    first, body = rows[0], rows[1:] if named else rows
    if not body:
        raise InputError(f"{path}: holds no points: line {first.line} is its header, and no more")
    for row in body:
        if len(row.fields) != len(first.fields):
            raise InputError(
                f"{path}, line {row.line}: cannot be read as a table: expected "
                f"{len(first.fields)} fields, as in line {first.line}, found {len(row.fields)}"
            )
    return np.array([_numbers(path, row) for row in body]), taken


def _rows(path: Path) -> list[_Row]:
    """Read the lines that are not blank."""
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:4096]:
        raise InputError(f"{path}: is not UTF-8 text (UTF-16, or binary); save it as CSV UTF-8")
    try:
        text = content.decode("utf-8-sig")  # spreadsheets write a BOM
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: is not UTF-8 text (byte {content[error.start]:#04x}); save it "
            "as CSV UTF-8"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [_Row(reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is not CSV: {error}") from error
    return [row for row in rows if len(row.fields) > 1 or "".join(row.fields).strip()]


def _check_delimiter(path: Path, rows: Sequence[_Row]) -> None:
    """Refuse what other characters than commas separate."""
    first = rows[0].fields
    names = {";": "semicolons", "\t": "tabs", "|": "bars"}
    for mark, name in names.items():
        if any(mark in field for field in rows[-1].fields) or any(mark in item for item in first):
            raise InputError(
                f"{path}, line {rows[0].line}: has {name}; expected commas between the numbers, "
                "and decimal points in them, as pandas' `to_csv(sep=',', decimal='.', "
                "index=False)` writes"
            )
    blanks = rows[-1].fields[0].split()
    if len(rows[-1].fields) == 1 and len(blanks) > 1 and all(map(is_number, blanks)):
        raise InputError(
            f"{path}, line {rows[-1].line}: has blanks between its numbers; expected commas"
        )


def _is_header(path: Path, rows: Sequence[_Row]) -> bool:
    """Say whether the first line is names.

    Raises:
        InputError: it cannot be told.
    """
    line, fields = rows[0]
    where = f"{path}, line {line}"
    say = "say --header yes if it is names, --header no if it is a point"
    numbers = [is_number(field) for field in fields]
    if all(numbers):
        values = [number(field) for field in fields]
        if values == list(range(len(fields))):
            raise InputError(
                f"{where}: {','.join(fields)} is what pandas writes as the names of columns "
                f"without names, and may be a point; {say}"
            )
        whole = [all(map(_LABEL.fullmatch, map(str.strip, row.fields))) for row in rows]
        if len(rows) > 1 and whole[0] and not any(whole[1:]) and len(set(values)) == len(values):
            raise InputError(
                f"{where}: {','.join(fields)} may be names of columns or a point, since no other "
                f"line has only whole numbers; {say}"
            )
        counted = values == list(range(1, len(fields) + 1))
        if counted and len(rows) > 1 and len(rows[1].fields) == len(fields):
            raise InputError(
                f"{where}: {','.join(fields)} may be the columns' numbers or a point; {say}"
            )
        return False
    # A line with numbers in it is a point; one that is misspelt is not a header.
    if any(numbers) or any(taken_by_python(field) for field in fields):
        _numbers(path, rows[0], f"; {say}")
    if all(map(_DIGITS_FIRST.match, fields)) or any(map(_MARK_AND_DIGIT.match, fields)):
        raise InputError(f"{where}: {','.join(fields)} is neither a point nor names; {say}")
    if len(rows) > 1 and any(field.strip() and _MISSING.fullmatch(field) for field in fields):
        raise InputError(
            f"{where}: {','.join(fields)} may be a point whose values are missing; take the line "
            "out if it is, or say --header yes if it is names"
        )
    empty = [place for place, field in enumerate(fields, 1) if not field.strip()]
    if empty:
        raise InputError(
            f"{where}: column {empty[0]} has no name; take the comma out if there is no such column"
        )
    return True


def _check_index(path: Path, row: _Row) -> None:
    """Refuse pandas' header with a column for its index in front."""
    first = row.fields[0]
    if len(row.fields) > 1 and (not first.strip() or first.startswith("Unnamed: ")):
        raise InputError(
            f"{path}, line {row.line}: the first column has no name, as when pandas writes its "
            "index; write `to_csv(index=False)`, so that only the coordinates are left"
        )


def _numbers(path: Path, row: _Row, remedy: str = "") -> list[float]:
    found = []
    for place, field in enumerate(row.fields, 1):
        try:
            found.append(number(field))
        except ValueError as error:
            comma = place == len(row.fields) > 1 and not field.strip()
            hint = "; take out the comma at the end of the line" if comma else remedy
            raise InputError(f"{path}, line {row.line}, column {place}: {error}{hint}") from error
    return found

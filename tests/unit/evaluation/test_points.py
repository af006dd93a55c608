"""Files of points: what is read, what is taken for what, and what is refused with the way out."""

import logging
import os
import re
from pathlib import Path

import numpy as np
import pytest

from w2dual.evaluation.points import Header, read_points, write_points
from w2dual.records import InputError

POINTS = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
THREE = "0.5,-1.0\n1.5,0.25\n-2.0,0.75\n"
BOTH_WAYS = "say --header yes if it is names, --header no if it is a point"


def as_npy(folder: Path, points: np.ndarray = POINTS) -> Path:
    np.save(folder / "points.npy", points)
    return folder / "points.npy"


def as_text(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "points.csv"
    path.write_bytes(text.encode(encoding))
    return path


def lines(points: np.ndarray) -> str:
    return "".join(",".join(str(value) for value in row) + "\n" for row in points)


def refusal(path: Path, header: Header = "auto") -> str:
    with pytest.raises(InputError) as caught:
        read_points(path, header)
    said = str(caught.value)
    assert said.startswith(str(path))
    return said.removeprefix(str(path))


# ---------------------------------------------------------------- .csv, what is read


@pytest.mark.parametrize("header", ["", "x0,x1\n", '"the first","2nd"\n', "# x0,x1\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_reads_csv_with_and_without_a_header(tmp_path: Path, header: str, encoding: str, end: str):
    text = (header + "\n" + lines(POINTS) + "  \n\n").replace("\n", end)
    np.testing.assert_array_equal(read_points(as_text(tmp_path, text, encoding)), POINTS)


def test_reads_quoted_fields_blanks_and_one_column(tmp_path: Path):
    path = as_text(tmp_path, 'x\r\n1\r\n 2.5e-1 \r\n"-.5"\r\n+3.\r\n')
    np.testing.assert_array_equal(read_points(path), [[1.0], [0.25], [-0.5], [3.0]])


def test_the_ending_may_be_in_capitals(tmp_path: Path):
    path = tmp_path / "POINTS.CSV"
    path.write_text(THREE)
    assert len(read_points(path)) == 3


@pytest.mark.parametrize(
    ("text", "header", "count", "said"),
    [
        ("0,1\n" + THREE, "yes", 3, "line 1 is the header: 0, 1"),
        ("0,1\n" + THREE, "no", 4, "no header"),
        ("\n1.5,x\n" + THREE, "yes", 3, "line 2 is the header: 1.5, x"),
        ("a,b\n" + THREE, "auto", 3, "line 1 is the header: a, b"),
        (THREE, "auto", 3, "no header"),
        (THREE, "yes", 2, "line 1 is the header: 0.5, -1.0"),
    ],
)
def test_what_was_taken_for_what_is_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    text: str,
    header: Header,
    count: int,
    said: str,
):
    path = as_text(tmp_path, text)
    with caplog.at_level(logging.INFO):
        points = read_points(path, header)
    assert len(points) == count
    assert f"{path}: {count} points of 2 coordinates; commas between them; {said}" in caplog.text


# ---------------------------------------------------------------- .csv, what cannot be told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1\n" + THREE, "0,1 is what pandas writes as the names of columns without names"),
        ("0,1\n1,0\n3,2\n", "0,1 is what pandas writes"),
        ("0.0,1.0\n" + THREE, "0.0,1.0 is what pandas writes"),
        ("0\n1.5\n", "0 is what pandas writes"),
        ("1,2\n" + THREE, "1,2 may be names of columns or a point"),
        ("2019,2020\n" + THREE, "2019,2020 may be names of columns or a point"),
        ("1x,2x\n" + THREE, "1x,2x is neither a point nor names"),
        ("1,2\n3,4\n5,6\n", "1,2 may be the columns' numbers or a point"),
        ("\u22121,\u22122\n" + THREE, "is neither a point nor names"),
        ("(1),(2)\n" + THREE, "(1),(2) is neither a point nor names"),
        ("$1,$2\n" + THREE, "is neither a point nor names"),
        ("'1','2'\n" + THREE, "is neither a point nor names"),
        ("x,\u22121\n" + THREE, "is neither a point nor names"),
        ("x,1\n" + THREE, "column 1: 'x' is not a number"),
        ("1.0,O\n" + THREE, "column 2: 'O' is not a number"),
        ("nan,nan\n" + THREE, "column 1: 'nan' is not finite"),
    ],
)
def test_a_first_line_that_may_be_a_header_is_refused(tmp_path: Path, text: str, message: str):
    said = refusal(as_text(tmp_path, text))
    assert said.startswith(", line 1")
    assert message in said
    assert BOTH_WAYS in said


@pytest.mark.parametrize(
    "fields",
    ["NA,NA", "null,null", "x,None", "#N/A,#N/A", "#DIV/0!,#NUM!", "-,-", "?,?", "<NA>,y"]
    + ["True,False", "n/a, missing"],
)
def test_a_first_point_whose_values_are_missing_is_not_taken_for_names(tmp_path: Path, fields: str):
    said = refusal(as_text(tmp_path, f"{fields}\n{THREE}"))
    assert said.startswith(f", line 1: {fields} may be a point whose values are missing")
    assert len(read_points(tmp_path / "points.csv", "yes")) == 3


@pytest.mark.parametrize(
    "fields", ["e1,e2", "x_1,x_2", "lat [deg],lon [deg]", "na_x,nulls", "_,$x$"]
)
def test_names_are_names(tmp_path: Path, fields: str):
    assert len(read_points(as_text(tmp_path, f"{fields}\n{THREE}"))) == 3


@pytest.mark.parametrize("header", ["auto", "yes"])
@pytest.mark.parametrize("name", ["", " ", "Unnamed: 0"])
@pytest.mark.parametrize("names", ["0,1", "x0,x1"])
def test_the_index_of_pandas_is_refused(tmp_path: Path, header: Header, name: str, names: str):
    rows = "".join(f"{i},{line}\n" for i, line in enumerate(THREE.split()))
    said = refusal(as_text(tmp_path, f"{name},{names}\n{rows}"), header)
    assert said.startswith(", line 1: the first column has no name, as when pandas writes its")
    assert "to_csv(index=False)" in said


def test_points_of_whole_numbers_are_points(tmp_path: Path):
    """As long as others are of whole numbers alone too, or the first is no row of labels."""
    for text in ("3,4\n1,2\n0.5,1\n", "-1,2\n" + THREE, "2,2\n" + THREE, "1,2\n"):
        path = as_text(tmp_path, text)
        np.testing.assert_array_equal(read_points(path), read_points(path, "no"))


# ---------------------------------------------------------------- .csv, what is refused


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("1_000", "'1_000' is not a plain decimal number"),
        ("\u0661\u0662", "is not a plain decimal number"),
        ("\u00a01", "is not a plain decimal number"),  # a space that does not break the line
        ("nan", "'nan' is not finite"),
        ("-inf", "'-inf' is not finite"),
        ("Infinity", "'Infinity' is not finite"),
        ("1e400", "'1e400' is too large"),
        ('"0,5"', "'0,5' has a comma; write 0.5 with a point"),
        ('"1,000.5"', "'1,000.5' has a comma"),
        ("0x10", "'0x10' is not a number"),
        ("1 000", "'1 000' is not a number"),
        ("1+2j", "'1+2j' is not a number"),
        ("50%", "'50%' is not a number"),
        ("four", "'four' is not a number"),
        ("", "is empty; take out the comma at the end of the line"),
    ],
)
@pytest.mark.parametrize("header", ["x0,x1\n", "7.5,8\n"])
def test_numbers_as_nobody_means_them(tmp_path: Path, field: str, message: str, header: str):
    said = refusal(as_text(tmp_path, f"{header}1,2\n\n3.5,{field}\n"))
    assert said.startswith(", line 4, column 2: ")
    assert message in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": holds no points: it is empty"),
        ("\n \n", ": holds no points: it is empty"),
        ("x0,x1\n", ": holds no points: line 1 is its header"),
        (
            "1,2\n3\n",
            ", line 2: cannot be read as a table: expected 2 fields, as in line 1, found 1",
        ),
        ("1.5,2\nx0,x1\n", ", line 2, column 1: 'x0' is not a number"),
        ("a,b\n1.5,2,\n", ", line 2: cannot be read as a table: expected 2 fields"),
        ("1.5,2,\n3,4,\n", ", line 1, column 3: is empty; take out the comma"),
        ("a,b,\n1.5,2,\n", ", line 1: column 3 has no name"),
        ("1.5,2\n,\n", ", line 2, column 1: is empty"),
        ("1.5;2\n3;4\n", ", line 1: has semicolons; expected commas"),
        ("0,5;1,5\n2,5;3,5\n", ", line 1: has semicolons; expected commas"),
        ("x0;x1\n0,5;1,5\n", ", line 1: has semicolons"),
        ("1.5\t2\n", ", line 1: has tabs"),
        ("1.5 2\n3 4\n", "has blanks between its numbers; expected commas"),
        ('1.5,"2\n', "is not CSV: unexpected end of data"),
        ("1e39,2\n", ": point 0 (counted from 0) has a coordinate not finite in single precision"),
    ],
)
def test_csv_that_is_no_table_is_named(tmp_path: Path, text: str, message: str):
    assert message in refusal(as_text(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (THREE.encode("utf-16"), "is not UTF-8 text (UTF-16, or binary); save it as CSV UTF-8"),
        (b"1,2\n3,\0\n", "is not UTF-8 text"),
        ("x,\u00e9\n1,2\n".encode("latin-1"), ", line 1: is not UTF-8 text (byte 0xe9)"),
    ],
)
def test_csv_of_another_encoding_is_named(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    assert message in refusal(path)


# ---------------------------------------------------------------- .npy


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f8", "<f2", "<i8", ">i4", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_npy(tmp_path: Path, dtype: str, order: str):
    points = np.asarray(np.abs(10 * POINTS).astype(dtype), order=order)  # type: ignore[arg-type]
    read = read_points(as_npy(tmp_path, points))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, points.astype(np.float32))


def test_reads_npy_of_format_2(tmp_path: Path):
    with (tmp_path / "points.npy").open("wb") as stream:
        np.lib.format.write_array(stream, POINTS, version=(2, 0))
    np.testing.assert_array_equal(read_points(tmp_path / "points.npy"), POINTS)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(3), "shape (3,) and type float64; expected numbers of shape (points, n)"),
        (np.zeros(3), "write a.reshape(1, -1) for one point"),
        (np.float64(1.0), "shape ()"),
        (np.zeros((2, 2, 2)), "shape (2, 2, 2)"),
        (np.zeros((0, 2)), "shape (0, 2) and type float64; expected numbers of shape (points, n)"),
        (np.zeros((2, 0)), "shape (2, 0)"),
        (np.array([["a", "b"]]), "it holds text (type <U1)"),
        (np.array([[b"a"]]), "it holds text"),
        (np.zeros((2, 2), complex), "it holds complex numbers (type complex128)"),
        (np.zeros((2, 2), bool), "it holds truth values"),
        (np.zeros((2, 2), "M8[D]"), "it holds dates"),
        (np.zeros(3, [("x", "f8"), ("y", "f8")]), "it holds records with the fields x, y"),
        (np.zeros(3, [("\u03b1", "f8")]), "which is for records"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), "point 1 (counted from 0) has a coordinate not"),
        (np.array([[0.0, 1e39]]), "point 0 (counted from 0) has a coordinate not finite in single"),
    ],
)
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_npy_that_is_no_table_is_named(tmp_path: Path, points: np.ndarray, message: str):
    assert message in refusal(as_npy(tmp_path, points))


def claiming(shape: str, dtype: str = "<f8", fortran: bool = False) -> bytes:
    """A .npy with 32 bytes of data, whose header announces what it likes."""
    header = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    header += " " * (117 - len(header)) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(32)


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("shape", ["(103079215104, 2)", "(10**9, 10**9)", "(3, 2)"])
def test_an_array_larger_than_its_file_is_named(tmp_path: Path, shape: str, fortran: bool):
    path = tmp_path / "points.npy"
    written = "(1000000000, 1000000000)" if "**" in shape else shape
    path.write_bytes(claiming(written, fortran=fortran))
    said = refusal(path)
    assert f"its header announces shape {written} of float64" in said
    assert "and 32 follow; it is truncated or damaged" in said


@pytest.mark.parametrize("shape", ["(-1, 2)", "(2.0, 2)", "2", "'ab'", "(2, 'x')", "(True, 4)"])
def test_a_shape_that_is_none_is_named(tmp_path: Path, shape: str):
    path = tmp_path / "points.npy"
    path.write_bytes(claiming(shape))
    refusal(path)


def test_further_arrays_in_the_file_are_named(tmp_path: Path):
    with (tmp_path / "points.npy").open("wb") as stream:
        np.save(stream, POINTS)
        np.save(stream, POINTS)
    assert "several arrays, or damaged" in refusal(tmp_path / "points.npy")


def test_npy_of_objects_is_not_unpickled(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "points.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    assert "it holds Python objects (type object)" in refusal(tmp_path / "points.npy")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "it is truncated or damaged"),
        ("empty", "cannot be read"),
        ("text", "cannot be read"),
        ("archive", "it is an archive of arrays (.npz)"),
        ("pickle", "it is a pickle"),
        ("header", "cannot be read"),
    ],
)
def test_damaged_npy_is_named(tmp_path: Path, kind: str, message: str):
    path = as_npy(tmp_path)
    content = path.read_bytes()
    if kind == "archive":
        with path.open("wb") as stream:
            np.savez(stream, POINTS)
    elif kind == "pickle":
        path.write_bytes(POINTS.dumps())
    else:
        damaged = {
            "truncated": content[:-3],
            "empty": b"",
            "text": b"1,2\n",
            "header": content[:40],
        }
        path.write_bytes(damaged[kind])
    assert message in refusal(path)


def test_no_flipped_bit_gives_another_error(tmp_path: Path):
    path = as_npy(tmp_path)
    content = path.read_bytes()
    for place in range(128):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            try:
                assert read_points(path).size == POINTS.size
            except InputError as error:
                assert str(error).startswith(str(path))  # noqa: PT017


# ---------------------------------------------------------------- other files, and writing


def test_other_files_are_named(tmp_path: Path):
    (tmp_path / "points.txt").write_text("1,2\n")
    assert "expected a .npy, a .csv or a .png file" in refusal(tmp_path / "points.txt")
    assert "no such file" in refusal(tmp_path / "none.npy")
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.csv")


def test_a_npy_has_no_header(tmp_path: Path):
    assert "leave --header out" in refusal(as_npy(tmp_path), "yes")


@pytest.mark.parametrize("name", ["out.npy", "out.csv"])
@pytest.mark.parametrize("count", [1, 7])
def test_written_points_are_read_again(tmp_path: Path, name: str, count: int):
    write_points(tmp_path / "new" / name, POINTS[:count])
    # %.9g tells any two numbers of single precision apart.
    np.testing.assert_array_equal(read_points(tmp_path / "new" / name), POINTS[:count])


def test_a_refused_value_is_shown_as_it_was_written(tmp_path: Path):
    said = refusal(as_text(tmp_path, "1.5,2\n3, 1_0\n"))
    assert re.fullmatch(r", line 2, column 2: ' 1_0' is not a plain decimal number; .*", said)

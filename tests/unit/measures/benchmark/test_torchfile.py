"""The reader of PyTorch files: what it reads, and all that it must refuse."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from w2dual.measures.benchmark import torchfile
from w2dual.records import InputError

# Pickle opcodes by hand, so that a file can say what no honest writer would.


def word(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def name_of(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def storage(key: str, count: int, kind: bytes | None = None) -> bytes:
    kind = name_of("torch", "FloatStorage") if kind is None else kind
    return tuple_of(word("storage"), kind, word(key), word("cpu"), number(count)) + b"Q"


def tensor(
    stored: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> bytes:
    return (
        name_of("torch._utils", "_rebuild_tensor_v2")
        + tuple_of(
            stored,
            number(offset),
            tuple_of(*map(number, shape)),
            tuple_of(*map(number, strides)),
            b"\x89",
            name_of("collections", "OrderedDict") + b")R",
        )
        + b"R"
    )


def dictionary(**entries: bytes) -> bytes:
    pairs = b"".join(word(key) + value for key, value in entries.items())
    return b"\x80\x02" + name_of("collections", "OrderedDict") + b")R(" + pairs + b"u."


def archive(
    pickled: bytes,
    buffers: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    extra: dict[str, bytes] | None = None,
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as zipped:
        zipped.writestr("archive/data.pkl", pickled)
        for key, raw in (buffers or {}).items():
            zipped.writestr(f"archive/data/{key}", raw)
        for key, raw in (extra or {}).items():
            zipped.writestr(f"archive/{key}", raw)
    return stream.getvalue()


SIX = np.arange(6, dtype="<f4")


def honest() -> bytes:
    return archive(
        dictionary(
            rows=tensor(storage("0", 6), (2, 3), (3, 1)),
            columns=tensor(storage("0", 6), (3, 2), (1, 3)),
            tail=tensor(storage("0", 6), (2,), (1,), offset=4),
            scalar=tensor(storage("0", 6), (), (), offset=5),
            empty=tensor(storage("0", 6), (0, 4), (4, 1)),
            double=tensor(storage("1", 2, name_of("torch", "DoubleStorage")), (2,), (1,)),
        ),
        {"0": SIX.tobytes(), "1": np.array([0.5, -0.25]).tobytes()},
    )


def test_reads_shapes_strides_offsets_and_types():
    tensors = torchfile.read(honest(), "w.pt")
    assert list(tensors) == ["rows", "columns", "tail", "scalar", "empty", "double"]
    np.testing.assert_array_equal(tensors["rows"], SIX.reshape(2, 3))
    np.testing.assert_array_equal(tensors["columns"], SIX.reshape(2, 3).T)
    np.testing.assert_array_equal(tensors["tail"], SIX[4:])
    assert tensors["scalar"].shape == ()
    assert tensors["scalar"] == 5.0
    assert tensors["empty"].shape == (0, 4)
    np.testing.assert_array_equal(tensors["double"], [0.5, -0.25])
    assert tensors["rows"].dtype == np.float32
    assert tensors["double"].dtype == np.float64
    tensors["rows"][0, 0] = 9.0  # a copy of its own, not a view of the file
    assert tensors["columns"][0, 0] == 0.0


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("collections", "OrderedDict.fromkeys"),
        ("w2dual.measures.benchmark.torchfile", "InputError"),
    ],
)
def test_foreign_name_is_refused_and_not_run(module: str, name: str, tmp_path: Path):
    witness = tmp_path / "was_run"
    call = name_of(module, name) + tuple_of(word(f"touch {witness}")) + b"R"
    with pytest.raises(InputError, match=rf"w\.pt: refused.*`{module}\.{name}`"):
        torchfile.read(archive(b"\x80\x02" + call + b"."), "w.pt")
    assert not witness.exists()


def test_admitted_names_cannot_be_called_with_other_things():
    for called in (
        name_of("torch", "FloatStorage") + tuple_of(number(1)) + b"R",
        name_of("torch._utils", "_rebuild_tensor_v2") + tuple_of(word("x")) + b"R",
        tensor(number(3), (2,), (1,)),
    ):
        with pytest.raises(InputError, match=r"w\.pt"):
            torchfile.read(archive(dictionary(a=called), {"0": SIX.tobytes()}), "w.pt")


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((7,), (1,), 0),  # more elements than the buffer has
        ((2,), (1,), 5),  # runs over its end
        ((2, 3), (4, 1), 0),  # strides run over its end
        ((1000, 1000), (0, 0), 0),  # a small buffer repeated without end
        ((2,), (1,), -1),
        ((-2,), (1,), 0),
        ((2, 3), (1,), 0),
    ],
)
def test_layout_outside_the_buffer_is_refused(shape, strides, offset):
    content = archive(
        dictionary(a=tensor(storage("0", 6), shape, strides, offset)), {"0": SIX.tobytes()}
    )
    with pytest.raises(InputError, match=r"w\.pt: refused: buffer 0"):
        torchfile.read(content, "w.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (archive(dictionary(a=tensor(storage("0", 6), (6,), (1,))), {"0": b"1234"}), "4 bytes"),
        (archive(dictionary(a=tensor(storage("0", 6), (6,), (1,)))), "incomplete"),
        (archive(b"\x80\x02" + word("just a word") + b"."), "a str, not a dictionary"),
        (archive(dictionary(a=number(3))), "'a' is a int"),
        (archive(b"\x80\x02" + tuple_of(word("module"), word("x")) + b"Q."), "not to a buffer"),
        (archive(b"no pickle"), "not a readable"),
        (archive(b""), "not a readable"),
        (archive(dictionary(), compression=zipfile.ZIP_DEFLATED), "compressed"),
        (archive(dictionary(), extra={"byteorder": b"big"}), "byte order"),
        (archive(dictionary(), extra={"sub/data.pkl": b""}), ""),
        (b"", "damaged or no PyTorch"),
        (b"just text", "damaged or no PyTorch"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(content: bytes, said: str):
    if not said:
        assert torchfile.read(content, "w.pt") == {}
        return
    with pytest.raises(InputError, match=said) as caught:
        torchfile.read(content, "w.pt")
    assert str(caught.value).startswith("w.pt: ")


def test_the_old_format_is_named():
    """Before version 1.6 PyTorch wrote pickles, one after the other: of a magic number first."""
    old = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + b"\x80\x02M\xe9\x03." + bytes(100)
    with pytest.raises(InputError, match=r"^w\.pt: is in PyTorch's old format.*save it again"):
        torchfile.read(old, "w.pt")


def test_total_size_is_bounded():
    with pytest.raises(InputError, match="more than the 100 admitted"):
        torchfile.read(honest(), "w.pt", max_bytes=100)


def test_truncation_anywhere_is_an_error():
    content = honest()
    for kept in range(0, len(content), 7):
        with pytest.raises(InputError, match=r"^w\.pt: "):
            torchfile.read(content[:kept], "w.pt")


def test_an_altered_byte_in_a_buffer_is_an_error():
    content = bytearray(honest())
    content[bytes(content).index(SIX.tobytes()) + 5] ^= 1
    with pytest.raises(InputError, match=r"w\.pt: is damaged"):
        torchfile.read(bytes(content), "w.pt")


def test_an_altered_byte_anywhere_never_escapes():
    """Each byte flipped in turn: either an `InputError`, or the same names come out."""
    content = honest()
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 0x5A
        try:
            tensors = torchfile.read(bytes(altered), "w.pt")
        except InputError:
            continue
        assert set(tensors) == {"rows", "columns", "tail", "scalar", "empty", "double"}


@pytest.mark.benchmark_weights
def test_reads_a_published_file(mirror: Path):
    tensors = torchfile.read((mirror / "Mix3toMix10" / "4_v2.pt").read_bytes(), "4_v2.pt")
    assert tensors["quadratic_layers.0.quadratic_decomposed"].shape == (4, 1, 64)
    assert tensors["final_layer.weight"].shape == (1, 32)
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())
    assert min(tensors[f"convex_layers.{i}.weight"].min() for i in range(2)) >= 0.0

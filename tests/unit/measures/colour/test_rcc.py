"""Reading a Qt resource, on small ones that are written here by its format."""

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from w2dual.measures.colour.paintings import read_paintings
from w2dual.measures.colour.rcc import read_rcc
from w2dual.records import InputError

Tree = Mapping[str, "bytes | Tree"]
HEADER = 24


def written(tree: Tree, version: int = 3, compressed: tuple[str, ...] = ()) -> bytes:
    """A resource: folders are mappings, files bytes; breadth first, as Qt's compiler writes it."""
    names, data, entries = bytearray(), bytearray(), bytearray()
    queue, following = [("", tree)], 1
    while queue:
        name, node = queue.pop(0)
        at = len(names)
        if name:
            names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        if isinstance(node, bytes):
            flags, payload = 0, node
            if name in compressed:
                flags, payload = 1, struct.pack(">I", len(node)) + zlib.compress(node)
            entries += struct.pack(">IHHHI", at, flags, 0, 0, len(data))
            data += struct.pack(">I", len(payload)) + payload
        else:
            entries += struct.pack(">IHII", at, 2, len(node), following)
            following += len(node)
            queue += list(node.items())
        entries += b"\0" * 8 if version > 1 else b""
    places = HEADER, HEADER + len(data), HEADER + len(data) + len(names)
    head = b"qres" + struct.pack(">4i", version, places[2], places[0], places[1])
    return head.ljust(HEADER, b"\0") + bytes(data) + bytes(names) + bytes(entries)


@pytest.mark.parametrize("version", [1, 3])
def test_files_of_folders_are_read(tmp_path: Path, version: int):
    path = tmp_path / "small.rcc"
    tree = {"one": {"deep": {"a.txt": b"text", "b": b""}, "ä.bin": b"\1\2"}, "c": b"long" * 99}
    path.write_bytes(written(tree, version, compressed=("c",)))
    assert read_rcc(path) == {
        "one/deep/a.txt": b"text",
        "one/deep/b": b"",
        "one/ä.bin": b"\1\2",
        "c": b"long" * 99,
    }


@pytest.mark.parametrize("keep", [3, 30, 60, 100])
def test_a_resource_that_is_cut_short_is_refused(tmp_path: Path, keep: int):
    path = tmp_path / "short.rcc"
    path.write_bytes(written({"folder": {"file": b"x" * 50}})[:keep])
    with pytest.raises(InputError, match="damaged or cut short"):
        read_rcc(path)


def test_another_file_is_refused(tmp_path: Path):
    (tmp_path / "other").write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(InputError, match="begins with b'PK"):
        read_rcc(tmp_path / "other")
    with pytest.raises(InputError, match="no such file"):
        read_rcc(tmp_path / "absent.rcc")


def tile(colour: tuple[int, int, int], hole: bool) -> bytes:
    pixels = np.full((4, 4, 4), (*colour, 255), np.uint8)
    if hole:
        pixels[0, 0, 3] = 0
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, format="WEBP", lossless=True, exact=True)
    return stream.getvalue()


BOARD = """QtObject {
   property string instruction: qsTr("Somebody, Something - 1900")
   property var levels : [
      {"pixmapfile" : "image/bg.svg", "type" : "SHAPE", "width": 20, "height": 10},
      {"pixmapfile" : "image/x_a1.webp", "x" : "0.2", "y" : "0.5"},
      {"pixmapfile" : "image/x_b1.webp", "x" : "0.4", "y" : "0.5"}
   ]
}"""


def test_a_painting_is_put_together_from_its_tiles(tmp_path: Path):
    path = tmp_path / "paintings.rcc"
    tiles = {"x_a1.webp": tile((200, 10, 10), True), "x_b1.webp": tile((10, 10, 200), False)}
    content = {"board": {"board1_0.qml": BOARD.encode()}, "image": tiles}
    path.write_bytes(written({"resource": content}))
    (painting,) = read_paintings(path)
    assert painting.name == "Somebody, Something - 1900"
    assert painting.pixels.shape == (4, 8, 3)  # cropped to what is painted
    assert len(painting.colours) == 4 * 8 - 1
    assert tuple(painting.pixels[2, 1]) == (200, 10, 10)
    assert tuple(painting.pixels[2, 6]) == (10, 10, 200)


def test_a_resource_without_paintings_is_refused(tmp_path: Path):
    path = tmp_path / "empty.rcc"
    path.write_bytes(written({"resource": {"readme": b"nothing"}}))
    with pytest.raises(InputError, match="no boards of paintings"):
        read_paintings(path)
    path.write_bytes(written({"resource": {"board": {"board1_0.qml": BOARD.encode()}}}))
    with pytest.raises(InputError, match="not as in version"):
        read_paintings(path)

"""Finding the published weights: mirror, download, and what is said where they fail."""

import contextlib
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from w2dual.measures.benchmark import files as benchmark_files
from w2dual.measures.benchmark.files import Unavailable
from w2dual.records import InputError

TWO = benchmark_files.weight_paths(2)


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("W2BENCHMARK_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(scope="session")
def copy(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable mirror with n = 2 only."""
    folder = tmp_path_factory.mktemp("mirror")
    (folder / "Mix3toMix10").mkdir()
    for version in ("v1", "v2"):
        content = (mirror / "Mix3toMix10" / f"2_{version}.pt").read_bytes()
        (folder / "Mix3toMix10" / f"2_{version}.pt").write_bytes(content)
    return folder


class _Answer(http.server.BaseHTTPRequestHandler):
    """Serves what `contents` holds; announces `announced` more bytes than it sends."""

    contents: dict[str, bytes] = {}  # noqa: RUF012 -- replaced by each test's subclass
    announced = 0

    def do_GET(self) -> None:
        content = self.contents.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + self.announced))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(contents: dict[str, bytes], announced: int = 0) -> Iterator[str]:
    handler = type("Answer", (_Answer,), {"contents": contents, "announced": announced})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_git_blob_hash_is_gits():
    # `printf 'hello\n' | git hash-object --stdin`
    hashed = benchmark_files.git_blob_sha1(b"hello\n")
    assert hashed == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_every_published_file_has_its_hash():
    blobs = benchmark_files.published_blobs()
    assert len(blobs) == 52
    for n in (2, 4, 8, 16, 32, 64, 128, 256):
        assert set(benchmark_files.weight_paths(n)) <= set(blobs)


def test_no_mirror_says_how_to_name_one():
    with pytest.raises(Unavailable, match=r"measures\.benchmark\.mirror.*W2BENCHMARK_MIRROR"):
        benchmark_files.read_mirror(TWO, None)


def weights(folder: Path, *names: str) -> Path:
    """A mirror that holds files of these names, with anything in them."""
    (folder / "Mix3toMix10").mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / "Mix3toMix10" / f"{name}.pt").write_bytes(b"anything")
    return folder


def test_a_mirror_that_is_named_and_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("W2BENCHMARK_MIRROR", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"gone \(named by W2BENCHMARK_MIRROR\): there is no such"):
        benchmark_files.read_mirror(TWO, None)
    with pytest.raises(InputError, match=r"other \(named by measures\.benchmark\.mirror\)"):
        benchmark_files.read_mirror(TWO, str(tmp_path / "other"))


def test_a_mirror_that_is_none_is_an_error(tmp_path: Path):
    def refusal(folder: Path) -> str:
        with pytest.raises(InputError) as caught:
            benchmark_files.read_mirror(TWO, str(folder))
        return str(caught.value)

    assert "holds no weights of the benchmark" in refusal(tmp_path)
    (tmp_path / "Mix3toMix10").mkdir()
    (tmp_path / "Mix3toMix10" / "README").touch()
    assert "holds no weights of the benchmark" in refusal(tmp_path)
    (tmp_path / "file").touch()
    assert "is a file" in refusal(tmp_path / "file")
    folder = weights(tmp_path / "mirror", "2_v1", "2_v2")
    assert "is the folder Mix3toMix10 itself" in refusal(folder / "Mix3toMix10")


def test_a_mirror_may_hold_images_alone(tmp_path: Path):
    folder = tmp_path / "mirror" / "CelebA64"
    folder.mkdir(parents=True)
    (folder / "Final_G.pt").write_bytes(b"anything")
    with pytest.raises(Unavailable, match=r"2_v1\.pt is missing"):
        benchmark_files.read_mirror(TWO, str(folder.parent))
    with pytest.raises(InputError, match=r"Final_G\.pt: is not the published file"):
        benchmark_files.read_mirror([benchmark_files.GENERATOR_PATH], str(folder.parent))
    with pytest.raises(InputError, match="is the folder CelebA64 itself"):
        benchmark_files.read_mirror(TWO, str(folder))


def test_half_a_pair_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match=r"2_v2\.pt is missing, and .*2_v1\.pt is there"):
        benchmark_files.read_mirror(TWO, str(weights(tmp_path, "2_v1")))


def test_a_mirror_of_other_dimensions_leaves_it_to_the_next_source(tmp_path: Path):
    with pytest.raises(Unavailable, match=r"2_v1\.pt is missing \(mirror named by"):
        benchmark_files.read_mirror(TWO, str(weights(tmp_path, "4_v1", "4_v2")))


def test_a_mirror_with_something_else_in_its_place_is_an_error(tmp_path: Path):
    weights(tmp_path, "2_v1", "2_v2")
    with pytest.raises(InputError, match=r"2_v1\.pt: is not the published file"):
        benchmark_files.read_mirror(TWO, str(tmp_path))


@pytest.mark.benchmark_weights
def test_mirror_gives_verified_files(copy: Path, monkeypatch: pytest.MonkeyPatch):
    files = benchmark_files.read_mirror(TWO, str(copy))
    assert [item.name for item in files] == ["2_v1.pt", "2_v2.pt"]
    assert files[0].git_blob_sha1 == "3b548155b0d710c5762d03707404a263de1bae7c"
    monkeypatch.setenv("W2BENCHMARK_MIRROR", str(copy))
    assert benchmark_files.read_mirror(TWO, None) == files


@pytest.mark.benchmark_weights
def test_a_clone_of_the_published_repository_is_a_mirror(copy: Path, tmp_path: Path):
    shutil.copytree(copy, tmp_path / "clone" / "benchmarks")
    assert len(benchmark_files.read_mirror(TWO, str(tmp_path / "clone"))) == 2


@pytest.mark.benchmark_weights
@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_file_in_the_mirror_is_an_error(copy: Path, tmp_path: Path, damage: str):
    shutil.copytree(copy, tmp_path / "mirror")
    path = tmp_path / "mirror" / "Mix3toMix10" / "2_v2.pt"
    content = bytearray(path.read_bytes())
    if damage == "altered":
        content[20_000] ^= 1
    path.write_bytes(content if damage == "altered" else content[:-100])
    with pytest.raises(InputError, match=r"2_v2\.pt: is not the published file.*altered"):
        benchmark_files.read_mirror(TWO, str(tmp_path / "mirror"))


@pytest.mark.benchmark_weights
def test_download_gives_verified_files(copy: Path):
    contents = {
        f"/at/benchmarks/Mix3toMix10/{path.name}": path.read_bytes()
        for path in (copy / "Mix3toMix10").iterdir()
    }
    with serving(contents) as address:
        files = benchmark_files.download(TWO, f"{address}/at/")
    assert files == benchmark_files.read_mirror(TWO, str(copy))


def test_download_of_something_else_is_an_error():
    with (
        serving({"/benchmarks/Mix3toMix10/2_v1.pt": b"a login page"}) as address,
        pytest.raises(InputError, match="is not the published file"),
    ):
        benchmark_files.download(TWO, address)


def test_a_download_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(benchmark_files, "MAX_BYTES", 8)
    with (
        serving({f"/{benchmark_files.GENERATOR_PATH}": bytes(9)}) as address,
        pytest.raises(InputError, match=r"Final_G\.pt: larger than the .* bytes of any published"),
    ):
        benchmark_files.download([benchmark_files.GENERATOR_PATH], address)


def test_download_that_the_server_refuses_leaves_it_to_the_next_source():
    with serving({}) as address, pytest.raises(Unavailable, match="answers 404"):
        benchmark_files.download(TWO, address)


def test_download_that_breaks_off_leaves_it_to_the_next_source():
    with (
        serving({"/benchmarks/Mix3toMix10/2_v1.pt": b"half"}, announced=4) as address,
        pytest.raises(Unavailable, match="broke off after 4 of 8 bytes"),
    ):
        benchmark_files.download(TWO, address)


def test_no_network_leaves_it_to_the_next_source():
    with pytest.raises(Unavailable, match="no connection"):
        benchmark_files.download(TWO, "http://127.0.0.1:9", timeout_s=2.0)


def test_an_address_that_is_no_web_address_is_an_error():
    with pytest.raises(InputError, match=r"measures\.benchmark\.url"):
        benchmark_files.download(TWO, "file:///etc")

"""The published weights of the Wasserstein-2 benchmark: finding, fetching and verifying them.

Whatever a file comes from, its content is compared with the git blob hash that the published
repository has for it (`git-blobs.csv`), before anything in it is read.
Source: Korotin et al., NeurIPS 2021, repository Wasserstein2Benchmark, commit 647a1ac.
"""

from __future__ import annotations

import csv
import hashlib
import http.client
import logging
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from w2dual.config.places import (
    IMAGE_WEIGHTS,
    MIRROR_KEY,
    MIRROR_VARIABLE,
    WEIGHTS,
    mirror_folder,
)
from w2dual.measures.benchmark.icnn_dense import VERSIONS
from w2dual.records import InputError

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT_S = 20.0
MAX_BYTES = 128 * 2**20
"""No published file is larger: the largest, a generator of images, has 96 million bytes."""


class Unavailable(Exception):
    """A source does not have the files; the next one may."""


@dataclass(frozen=True)
class BenchmarkFile:
    """One verified file of the published repository."""

    name: str
    content: bytes
    git_blob_sha1: str


def git_blob_sha1(content: bytes) -> str:
    """Return git's hash of a file: the SHA-1 of `blob <size>`, a zero byte, and the content."""
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


@cache
def published_blobs() -> dict[str, str]:
    """Return the git blob SHA-1 of every file of the published repository, by its path there."""
    text = (
        resources.files("w2dual.measures.benchmark")
        .joinpath("git-blobs.csv")
        .read_text(encoding="utf-8")
    )
    return {row["path"]: row["git_blob_sha1"] for row in csv.DictReader(text.splitlines())}


def weight_paths(dimension: int) -> list[str]:
    """Return the paths, in the published repository, of the two potentials of dimension n."""
    return [f"benchmarks/{WEIGHTS}/{dimension}_{version}.pt" for version in VERSIONS]


def image_weight_paths(which: str) -> list[str]:
    """Return the paths there of the two potentials of a pair of images: early, mid or late."""
    return [f"benchmarks/{IMAGE_WEIGHTS}/{which.title()}_{version}.pt" for version in VERSIONS]


GENERATOR_PATH = f"benchmarks/{IMAGE_WEIGHTS}/Final_G.pt"
"""The path there of the generator that is the source of all pairs of images."""


def verify(content: bytes, path: str, where: str) -> BenchmarkFile:
    """Compare a file's content with the hash it is published with.

    Raises:
        InputError: they differ, or no such file is published.
    """
    expected = published_blobs().get(path)
    if expected is None:
        raise InputError(f"{where}: the published repository has no file {path}")
    found = git_blob_sha1(content)
    if found != expected:
        raise InputError(
            f"{where}: is not the published file: its git blob hash is {found} where "
            f"{path} has {expected}; it is truncated or altered ({len(content)} bytes). "
            "Fetch it again from the published repository"
        )
    return BenchmarkFile(Path(path).name, content, found)


def search(
    label: str,
    paths: Sequence[str],
    sources: Sequence[str],
    mirror: str | None,
    url: str,
    section: str,
) -> tuple[str, list[BenchmarkFile]] | None:
    """Return files from the first source that has them, and its name.

    Args:
        label: what they are of, for messages.
        paths: of the files in the published repository.
        sources: `mirror`, `download` or `generated`, in the order in which they are tried.
        mirror: folder that holds the files, or None for the environment's.
        url: where they are downloaded from.
        section: the part of the config that has `sources`, for messages.

    Returns:
        The source and its files; None where it is the turn of `generated`.

    Raises:
        InputError: no source has them, with what was tried; or a source's file is not the
            published one.
    """
    tried = []
    for source in sources:
        if source == "generated":
            return None
        try:
            found = read_mirror(paths, mirror) if source == "mirror" else download(paths, url)
        except Unavailable as reason:
            log.warning("%s: no weights from %s: %s", label, source, reason)
            tried.append(f"  {source}: {reason}")
        else:
            log.info("%s: weights from %s, verified", label, source)
            return source, found
    raise InputError(
        f"{label}: no source has the benchmark's weights\n"
        + "\n".join(tried)
        + f"\n  What would help: a mirror (environment variable {MIRROR_VARIABLE}"
        f" or {MIRROR_KEY}), a network, or `generated` in {section}.sources,"
        " which trains a new pair and marks every table as not made from the published weights"
    )


def read_mirror(paths: Sequence[str], configured: str | None) -> list[BenchmarkFile]:
    """Read published files from a local folder.

    The folder holds `Mix3toMix10/*.pt` or `CelebA64/*.pt`, or is a clone of the published
    repository, which holds them below `benchmarks/`.

    Args:
        paths: of the files in the published repository.
        configured: the folder, or None for the environment's.

    Raises:
        Unavailable: no mirror is named, or it has none of these files.
        InputError: the one that is named is not there, or holds no weights or some of these files
            only; or a file is there and is not the published one.
    """
    named = mirror_folder(configured)
    if named is None:
        raise Unavailable(
            f"none is configured; set {MIRROR_KEY} or the environment variable "
            f"{MIRROR_VARIABLE} to a folder that holds {Path(paths[0]).parent.name}/*.pt"
        )
    folder, named_by = named
    found: dict[str, Path] = {}
    lacking: list[Path] = []
    for path in paths:
        candidates = [folder / path.removeprefix("benchmarks/"), folder / path]
        there = next((item for item in candidates if item.is_file()), None)
        if there is None:
            lacking.append(candidates[0])
        else:
            found[path] = there
    if lacking and found:
        raise InputError(
            f"{lacking[0]} is missing, and {next(iter(found.values()))} is there (mirror named by "
            f"{named_by}); a pair is both, so fetch the missing one"
        )
    if lacking:
        raise Unavailable(f"{lacking[0]} is missing (mirror named by {named_by})")
    return [_read(place, path) for path, place in found.items()]


def _read(place: Path, path: str) -> BenchmarkFile:
    try:
        if (size := place.stat().st_size) > MAX_BYTES:
            raise InputError(f"{place}: has {size} bytes, {_TOO_LARGE}")
        content = place.read_bytes()
    except OSError as error:
        raise InputError(f"{place}: cannot be read: {error}") from error
    return verify(content, path, str(place))


_TOO_LARGE = f"larger than the {MAX_BYTES} bytes of any published file, so no weights file"


def download(
    paths: Sequence[str], url: str, timeout_s: float = DOWNLOAD_TIMEOUT_S
) -> list[BenchmarkFile]:
    """Download published files into memory.

    Raises:
        Unavailable: the network or the server does not give them.
        InputError: what came is not the published file, or the address is not a web address.
    """
    if not url.startswith(("https://", "http://")):
        raise InputError(f"measures.benchmark.url: {url!r} does not start with https://")
    files = []
    for path in paths:
        address = f"{url.rstrip('/')}/{path}"
        files.append(verify(fetch(address, timeout_s), path, address))
    return files


def fetch(address: str, timeout_s: float) -> bytes:
    """Download a file into memory.

    Raises:
        Unavailable: the network or the server does not give it.
        InputError: it is larger than any published file.
    """
    log.info("downloading %s", address)
    try:
        # S310: the scheme has been checked by the caller.
        with urllib.request.urlopen(address, timeout=timeout_s) as response:  # noqa: S310
            content = response.read(MAX_BYTES + 1)
            announced = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise Unavailable(f"{address}: the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise Unavailable(f"{address}: no connection ({reason})") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{address}: {_TOO_LARGE}")
    if announced is not None and announced.isdecimal() and int(announced) != len(content):
        raise Unavailable(f"{address}: broke off after {len(content)} of {announced} bytes")
    return content

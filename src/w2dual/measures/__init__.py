"""Pairs of measures: with a known optimal map (the benchmark, Gaussians), and on the plane.

A prepared file holds one pair; its metadata names the kind, a module of `w2dual.measures.pairs`,
which is loaded where it is needed and not before.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from w2dual import closure
from w2dual.measures import own
from w2dual.measures.base import FORMAT, Moments, Pair, SolvedPair
from w2dual.records import InputError, load_arrays

__all__ = ["FORMAT", "Pair", "Moments", "SolvedPair", "load", "load_solved"]


def load(path: str | os.PathLike[str]) -> Pair:
    """Read a prepared pair.

    Raises:
        InputError: the file is missing, damaged, of another format, or lacks a part.
    """
    arrays, metadata = load_arrays(path)
    kind = metadata.get("kind")
    module = own if kind == own.KIND else _reader(kind)
    if metadata.get("format") != FORMAT or module is None:
        raise InputError(
            f"{path}: is not a prepared pair of format {FORMAT} "
            f"(format {metadata.get('format')!r}, kind {kind!r}, known kinds "
            f"{[*readers(), own.KIND]}); remove it, and `prepare` makes it again"
        )
    return module.from_arrays(arrays, metadata, str(path))


def readers() -> list[str]:
    """Return the kinds whose prepared files have a reader of their own."""
    return closure.modules_with("measures.pairs", "from_arrays")


def _reader(kind: Any) -> Any:
    if not isinstance(kind, str) or kind not in readers():
        return None
    return importlib.import_module(f"w2dual.measures.pairs.{kind}")


def load_solved(path: str | os.PathLike[str]) -> SolvedPair:
    """Read a prepared pair whose optimal map is known.

    Raises:
        InputError: as for `load`; or the optimal map is not known.
    """
    pair = load(path)
    if not isinstance(pair, SolvedPair):
        raise InputError(
            f"{path}: the optimal map of this pair is not known, so there is no ground truth; "
            "expected a pair of the benchmark, such as hd2.safetensors"
        )
    return pair

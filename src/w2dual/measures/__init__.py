"""Pairs of measures: with a known optimal map (the benchmark, Gaussians), and on the plane.

A prepared file holds one pair; its metadata names the kind, and each kind is one module with
`KIND` and `from_arrays(arrays, metadata, name)`. A pair of your own is one module of
`w2dual.measures.pairs`.
"""

from __future__ import annotations

import os

from w2dual.measures import gaussian, hd, images, own, synthetic
from w2dual.measures.base import FORMAT, Measures, Moments, Pair
from w2dual.records import InputError, load_arrays

__all__ = ["FORMAT", "Measures", "Moments", "Pair", "load", "load_pair"]

_KINDS = {module.KIND: module.from_arrays for module in (hd, gaussian, synthetic, images, own)}


def load(path: str | os.PathLike[str]) -> Measures:
    """Read a prepared pair.

    Raises:
        InputError: the file is missing, damaged, of another format, or lacks a part.
    """
    arrays, metadata = load_arrays(path)
    if metadata.get("format") != FORMAT or metadata.get("kind") not in _KINDS:
        raise InputError(
            f"{path}: is not a prepared pair of format {FORMAT} "
            f"(format {metadata.get('format')!r}, kind {metadata.get('kind')!r}, "
            f"known kinds {sorted(_KINDS)}); remove it, and `prepare` makes it again"
        )
    return _KINDS[metadata["kind"]](arrays, metadata, str(path))


def load_pair(path: str | os.PathLike[str]) -> Pair:
    """Read a prepared pair whose optimal map is known.

    Raises:
        InputError: as for `load`; or the optimal map is not known.
    """
    pair = load(path)
    if not isinstance(pair, Pair):
        raise InputError(
            f"{path}: the optimal map of this pair is not known, so there is no ground truth; "
            "expected a pair of the benchmark, such as hd2.safetensors"
        )
    return pair

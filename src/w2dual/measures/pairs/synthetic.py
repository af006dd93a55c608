"""Pairs of laws on the plane, with no optimal map known (Amos 2023, section 6)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.measures.base import Pair
from w2dual.measures.synthetic.laws import LAWS, Law
from w2dual.records import InputError

KIND = "synthetic"


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class SyntheticPair(Pair):
    """Two laws of `laws.LAWS`; both are static under `jit`."""

    source: Law = field(metadata={"static": True})
    target: Law = field(metadata={"static": True})

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} 2"]:
        """Draw points of the source law."""
        return self.source.sample(key, size)

    def sample_target(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} 2"]:
        """Draw points of the target law."""
        return self.target.sample(key, size)


def law(name: Any, where: str) -> Law:
    """Find a law by name.

    Raises:
        InputError: there is none; the message begins with `where`.
    """
    if not isinstance(name, str) or name not in LAWS:
        close = difflib.get_close_matches(str(name), LAWS, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise InputError(f"{where}: no law {name!r}{hint}; there are {', '.join(LAWS)}")
    return LAWS[name]


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> SyntheticPair:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: it names no two known laws.
    """
    del arrays
    laws = metadata.get("laws")
    if not isinstance(laws, list) or len(laws) != 2:
        raise InputError(f"{name}: metadata `laws` is {laws!r}, not the names of two laws")
    source, target = (law(item, name) for item in laws)
    return SyntheticPair(dimension=2, source=source, target=target)

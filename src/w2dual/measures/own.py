"""Pairs of measures on the plane from a module of `w2dual.measures.pairs`: a pair of your own.

The prepared file holds no arrays: it names the module and its settings, and the pair is made from
them where it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from w2dual import extensions
from w2dual.config import kinds
from w2dual.measures import pairs
from w2dual.measures.base import FORMAT, Pair, SolvedPair
from w2dual.records import InputError

KIND = "own"
PLANE = 2
"""Dimension of such a pair."""


def make(kind: str, settings: Mapping[str, Any]) -> Pair:
    """Make the pair that a module gives for some settings, and check it.

    Raises:
        InputError: there is no such module, its settings do not fit, or what it returns is not a
            pair of measures on the plane.
    """
    pair = extensions.make(
        pairs.__name__,
        "pair of measures",
        "make(settings)",
        "a `Pair`, such as a `SyntheticPair` of two laws",
        kind,
        dict(settings),
        known=lambda: kinds.of("measures.synthetic"),
    )

    def refuse(reason: str, remedy: str) -> None:
        extensions.refuse("pair of measures", kind, reason, remedy)

    lacking = [
        name
        for name in ("sample_source", "sample_target")
        if not callable(getattr(pair, name, None))
    ]
    if lacking or not isinstance(pair, Pair):
        without = f" lacks {' and '.join(f'`{name}`' for name in lacking)}" if lacking else ""
        refuse(
            f"`make` gives {extensions.described(pair)}, which{without or ' is not a `Pair`'}",
            "expected a `w2dual.measures.Pair`, such as "
            "`SyntheticPair(dimension=2, source=LAW, target=LAW)`",
        )
    if isinstance(pair, SolvedPair):
        refuse("has a known optimal map", "pairs on the plane are evaluated by samples alone")
    if pair.dimension != PLANE:
        refuse(f"has the dimension {pair.dimension!r}", "expected 2: such pairs are on the plane")
    if any(leaf is pair for leaf in jax.tree.leaves(pair)):
        refuse(
            f"{type(pair).__name__} is unknown to JAX",
            "decorate the class with `jax.tree_util.register_dataclass`",
        )
    size = 5
    for end in ("source", "target"):
        found = extensions.shapes(
            lambda key, end=end: getattr(pair, f"sample_{end}")(key, size),
            jax.random.key(0),
            message=f"pair of measures kind {kind!r}: `sample_{end}(key, size)` does not work",
        )
        if not extensions.is_array(found, (size, PLANE)):
            refuse(
                f"`sample_{end}(key, {size})` gives {extensions.described(found)}",
                f"expected floats of shape ({size}, {PLANE}), one point a row",
            )
    return pair


def prepare(
    name: str, kind: str, settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays and metadata.

    Args:
        name: of the pair.
        kind: its module.
        settings: what goes to the module's `make`.

    Raises:
        InputError: as for `make`.
    """
    make(kind, settings)
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "pair": name,
        "dimension": PLANE,
        "source": "closed form",
        "module": kind,
        "settings": dict(settings),
    }
    return {}, metadata


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> Pair:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: it names no module that gives a pair.
    """
    del arrays
    module, settings = metadata.get("module"), metadata.get("settings")
    if not isinstance(module, str) or not isinstance(settings, dict):
        raise InputError(f"{name}: metadata `module` is {module!r}, not the name of a module")
    return make(module, settings)

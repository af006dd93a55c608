"""Kinds of encoders: what of an image a hyper-network sees; one module a kind.

A kind is one module with `make(features)`, which returns a flax module from encodings (batch, m) to
features (batch, features), called with `train`; and with `ENCODING`, the encoding of
`measures.pairs.palettes` that it takes. A module that keeps statistics, as of BatchNorm, keeps them
in the collection `batch_stats`, and `make` takes `axis`, the mapped axis that they are averaged over.
"""

from __future__ import annotations

import importlib

from flax import linen as nn

from w2dual import code, extensions

ROOM = "amortization.encoders"


def kinds() -> list[str]:
    """Return the kinds of encoders that there are."""
    return code.modules_with(ROOM, "make")


def encoding_of(kind: str) -> str:
    """Return the encoding that a kind takes, read without importing its module.

    Raises:
        InputError: there is no such kind.
    """
    if kind not in kinds():
        extensions.refuse("encoder", kind, "unknown", f"expected one of {', '.join(kinds())}")
    return code.constant(f"{ROOM}.{kind}", "ENCODING")


def make(kind: str, features: int, axis: str | None = None) -> nn.Module:
    """Build an encoder.

    Args:
        kind: of encoder.
        features: that it gives.
        axis: name of a mapped axis whose devices share a batch.

    Raises:
        InputError: there is no such kind.
    """
    encoding_of(kind)
    return importlib.import_module(f"{__name__}.{kind}").make(features, axis)

"""Kinds of encoders: what of an image a hyper-network sees; one module a kind.

A kind is one module with `make(features)`, which returns a flax module from encodings (batch, m) to
features (batch, features), called with `train`; and with `ENCODING`, the encoding of
`measures.pairs.palettes` that it takes. A module that keeps statistics, as of BatchNorm, keeps them
in the collection `batch_stats`; `axis` of `make` is the mapped axis that they are averaged over.
"""

from __future__ import annotations

import importlib

from flax import linen as nn

from w2dual.config.cells import encoding_of


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

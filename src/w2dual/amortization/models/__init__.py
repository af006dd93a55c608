"""Kinds of amortization models x_tilde: R^n -> R^n: a module each, `make(settings, dimension)`.

One that has `start_from_potential(params)` starts from the parameters that this makes of the
potential's, once those are pre-trained; any other is drawn and pre-trained to the identity itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flax import linen as nn

from w2dual import extensions
from w2dual.config import kinds


def make_model(settings: Mapping[str, Any], dimension: int) -> nn.Module:
    """Build the amortization model that the settings describe, for points in R^dimension.

    Raises:
        InputError: the kind is unknown, or its settings do not fit.
    """
    return extensions.make(
        __name__,
        "amortization model",
        "make(settings, dimension)",
        "a flax module from (batch, n) to (batch, n)",
        settings["kind"],
        extensions.without_kind(settings),
        dimension,
        known=lambda: kinds.of("amortization_model"),
    )

"""Preparing a pair of laws on the plane: their names are all that its file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from w2dual.measures.base import FORMAT
from w2dual.measures.pairs.synthetic import KIND, law
from w2dual.measures.preparation.keys import check_keys

SECTION = "measures.synthetic"
"""Of the config, which has such pairs."""
KEYS = ("source", "target")
"""Of the settings, besides the kind."""


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays and metadata.

    Args:
        name: of the pair.
        settings: of the config's `measures.synthetic.NAME`: `source` and `target`, names of laws.

    Raises:
        InputError: a law is unknown.
    """
    check_keys(f"{SECTION}.{name}", settings, KEYS)
    for end in ("source", "target"):
        law(settings[end], f"{SECTION}.{name}.{end}")
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "pair": name,
        "dimension": 2,
        "source": "closed form",
        "laws": [settings["source"], settings["target"]],
    }
    return {}, metadata

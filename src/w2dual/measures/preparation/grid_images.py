"""Preparing a law over images: read once, checked, and kept as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from w2dual.measures.base import FORMAT
from w2dual.measures.discrete import digits
from w2dual.measures.pairs.grid_images import KIND
from w2dual.measures.preparation.keys import check_keys

SECTION = "measures.discrete"
"""Of the config, which has such pairs."""
KEYS = ("sources", "folder", "url", "side", "epsilon")
"""Of the settings, besides the kind."""


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a prepared file's arrays and metadata.

    Args:
        name: of the pair.
        settings: of the config's `measures.discrete.NAME`: `sources`, `folder`, `url`, `side` in
            pixels and `epsilon`, in squares of the image's side.

    Raises:
        InputError: no source has the images, or a setting or a file cannot be used.
    """
    check_keys(f"{SECTION}.{name}", settings, KEYS)
    side = settings["side"]
    found = digits.obtain(list(settings["sources"]), settings["folder"], str(settings["url"]), side)
    metadata = {
        "format": FORMAT,
        "kind": KIND,
        "pair": name,
        "dimension": side**2,
        "side": side,
        "epsilon": float(settings["epsilon"]),
        "source": found.source,
        "label": found.label,
        "files": found.files,
    }
    return {"train": found.train, "held_out": found.held_out}, metadata


def at_hand(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return which source `prepare` would take, and what is there (`preparation.at_hand`)."""
    keys = ("folder", "url", "side")
    return digits.at_hand(list(settings["sources"]), *(settings[key] for key in keys))

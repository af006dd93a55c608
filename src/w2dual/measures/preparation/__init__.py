"""Preparing a pair of measures: the file that everything after reads.

A kind whose file takes work has one module here with `prepare(name, settings)`, which returns the
file's arrays and metadata; where that reads files of people's, `at_hand(settings)` says which
source it would take. Its module in `w2dual.measures.pairs` reads them. A kind that is only
`make(settings)` there has no module here: its file names the kind and its settings.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2dual import closure
from w2dual.measures import own
from w2dual.records import save_arrays

log = logging.getLogger(__name__)

DEFAULT_KIND = "benchmark"


def prepare(name: str, settings: Mapping[str, Any], out: Path) -> None:
    """Prepare one pair of measures and write its file.

    Args:
        name: of the pair, such as `hd2`.
        settings: of the config: `kind`, `benchmark` where it is left out, and those of the kind.
        out: the file to write.

    Raises:
        InputError: the kind is unknown, or its settings cannot be used.
    """
    rest = dict(settings)
    kind = str(rest.pop("kind", DEFAULT_KIND))
    module = _module(kind)
    made = own.prepare(name, kind, rest) if module is None else module.prepare(name, rest)
    arrays, metadata = made
    save_arrays(out, arrays, metadata)
    log.info("%s: %s written, from %s", name, out, metadata["source"])


def at_hand(settings: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return which source a pair's data would be taken from, and what is there, in words.

    Nothing is downloaded, written or made. None of a kind whose module does not say, as one that
    needs no data.

    Args:
        settings: as of `prepare`.

    Raises:
        InputError: no source has the data, or what is there cannot be used.
    """
    look = getattr(_module(str(settings.get("kind", DEFAULT_KIND))), "at_hand", None)
    return None if look is None else look(settings)


def _module(kind: str) -> Any:
    """Return the module of a kind; None where it has none."""
    if kind.isidentifier() and closure.exists(f"measures.preparation.{kind}"):
        return importlib.import_module(f"{__name__}.{kind}")
    return None

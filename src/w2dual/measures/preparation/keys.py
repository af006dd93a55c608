"""Whether a pair's settings have the keys that its preparation takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from w2dual.records import InputError


def check_keys(where: str, mapping: Mapping[str, Any], wanted: Iterable[str]) -> None:
    """Check that settings have all wanted keys and no other.

    Raises:
        InputError: they do not; the message begins with `where`, their key in the config.
    """
    known = list(wanted)
    if missing := sorted(set(known) - set(mapping)):
        raise InputError(f"{where}: lacks {missing}")
    if unknown := sorted(set(mapping) - set(known)):
        raise InputError(f"{where}: unknown {unknown}; known are {known}")

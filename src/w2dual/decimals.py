"""Numbers as text: the way people write them, and no other that Python takes."""

from __future__ import annotations

import math
import re

_DECIMAL = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"[-+]?[0-9]+")
_BLANKS = " \t"
_COMMA = re.compile(r"[-+]?[0-9]*(,[0-9]+)+(\.[0-9]*)?([eE][-+]?[0-9]+)?")


def number(text: str) -> float:
    """Read a finite decimal number, such as -1, 2.5 or 1e-3; blanks around it are left out.

    Raises:
        ValueError: it is none, or too large; the message says what it is and what would be right.
    """
    plain = text.strip(_BLANKS)
    if _DECIMAL.fullmatch(plain):
        value = float(plain)
        if not math.isfinite(value):
            raise ValueError(f"{text!r} is too large for a number")
        return value
    if not plain:
        raise ValueError("is empty")
    if _COMMA.fullmatch(plain):
        raise ValueError(
            f"{text!r} has a comma; write 0.5 with a point, and no commas for thousands"
        )
    if re.fullmatch(r"[-+]?(nan|inf|infinity)", plain, re.IGNORECASE):
        raise ValueError(f"{text!r} is not finite")
    if taken_by_python(plain):
        raise ValueError(
            f"{text!r} is not a plain decimal number; write it in digits, such as 1000.5"
        )
    raise ValueError(f"{text!r} is not a number")


def whole_number(text: str) -> int:
    """Read a whole number in decimal digits; blanks around it are left out.

    Raises:
        ValueError: it is none; the message says what it is and what would be right.
    """
    plain = text.strip(_BLANKS)
    if not _WHOLE.fullmatch(plain):
        number(text)
        raise ValueError(f"{text!r} is not a whole number written only in digits")
    return int(plain)


def is_number(text: str) -> bool:
    """Say whether `number` takes a text."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def taken_by_python(text: str) -> bool:
    """Say whether Python's `float` takes a text, such as nan, 1_000 or digits of other scripts."""
    try:
        float(text)
    except ValueError:
        return False
    return True

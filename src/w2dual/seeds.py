"""What a seed may be: a whole number of 32 bits, the same for every generator that takes one.

JAX cuts a larger one to its last 32 bits without a word, so that 0 and 2^32 train the same network
twice; NumPy's legacy generator refuses it. Light: JAX is not imported.
"""

from __future__ import annotations

import argparse
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2dual.records import InputError

LARGEST = 2**32 - 1
EXPECTED = f"a whole number from 0 to {LARGEST}"


def checked(seed: Any, what: str = "seed") -> int:
    """Return a seed as an int; NumPy's integers pass, truth values and floats do not.

    Args:
        seed: what was given.
        what: how the message names it.

    Raises:
        InputError: it is not a whole number, negative, or has more than 32 bits.
    """
    try:
        if isinstance(seed, bool):
            raise TypeError
        number = operator.index(seed)
    except TypeError:
        raise InputError(f"{what}: {seed!r} is not a seed; expected {EXPECTED}") from None
    if not 0 <= number <= LARGEST:
        cut = number % 2**32
        raise InputError(
            f"{what}: {number} is out of range; expected {EXPECTED} (it would be cut to 32 bits, "
            f"and draw what {cut} draws)"
        )
    return number


def checked_list(given: Any, what: str = "seeds") -> list[int]:
    """Return a list of different seeds.

    Raises:
        InputError: it is not a list, is empty, has a duplicate, or something that is not a seed.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Sequence) or not given:
        raise InputError(
            f"{what}: {given!r:.60} is not a list of seeds; expected such as [0, 1, 2]"
        )
    found = [checked(seed, what) for seed in given]
    twice = sorted({seed for seed in found if found.count(seed) > 1})
    if twice:
        raise InputError(
            f"{what}: duplicate {', '.join(map(str, twice))}; each would train the same network "
            "again"
        )
    return found


def place_of(seed: int, seeds: Sequence[int], path: Path, named_by: Path) -> int:
    """Return the place of a seed among those of a file of parameters.

    Args:
        seed: that is looked for.
        seeds: of the file.
        path: the file.
        named_by: the file that says there is such a seed.

    Raises:
        InputError: the file lacks it.
    """
    if seed not in seeds:
        raise InputError(
            f"{path}: has no seed {seed}, which {named_by} names; it has "
            f"{', '.join(map(str, seeds))}"
        )
    return seeds.index(seed)


def argument(text: str) -> int:
    """Read a seed from a command line.

    Raises:
        ArgumentTypeError: it is none; `argparse` says so and names the option.
    """
    try:
        if not (text.isascii() and text.isdigit()):
            raise InputError(f"{text!r} is not a seed; expected {EXPECTED}")
        return checked(int(text))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

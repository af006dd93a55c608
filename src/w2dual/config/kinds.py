"""Which kinds there are, by the modules that there are, none of which is imported."""

from __future__ import annotations

from typing import NamedTuple

from w2dual import closure
from w2dual.records import InputError

NONE = "none"


class Room(NamedTuple):
    """Where the kinds of a section of the config are.

    Attributes:
        package: with a module for each kind, which defines `make`.
        part: what a cell's settings call it, where it is a part that a method may be made of.
        optional: whether `none` is a kind, which is no module.
        prepared: package of the modules that prepare some more kinds; each says in `SECTION` which
            section of the config it is for.
    """

    package: str
    part: str = ""
    optional: bool = False
    prepared: str = ""


ROOMS = {
    "potentials": Room("potentials", "potential"),
    "amortization_model": Room("amortization.models", "amortization_model"),
    "amortizations": Room("amortization", "amortization", optional=True),
    "solvers": Room("conjugate", "solver", optional=True),
    "methods": Room("training.methods"),
    "obstacles": Room("paths.obstacles"),
    "measures.synthetic": Room("measures.pairs", prepared="measures.preparation"),
}
"""Section of the config -> where its kinds are."""
PARTS = {room.part: section for section, room in ROOMS.items() if room.part}
"""Part of a cell's settings -> section of the config, which has entries by name; or, where both
have one name, the settings of the only one."""
GIVEN = {"obstacle": "obstacles"}
"""The same of parts that a cell's grid gives, and not its method."""


def of(section: str) -> list[str]:
    """Return the kinds that a section of the config may name; `none`, if it may, comes first."""
    room = ROOMS[section]
    found = set(closure.modules_with(room.package, "make"))
    if room.prepared:
        found |= {
            kind
            for kind in closure.modules_with(room.prepared, "prepare")
            if closure.constant(f"{room.prepared}.{kind}", "SECTION") == section
        }
    return [*([NONE] if room.optional else []), *sorted(found)]


def check(section: str, key: str, kind: str) -> None:
    """Check that there is a kind: files are looked at, not imported, which would import JAX.

    Args:
        section: one of `ROOMS`.
        key: of the config, that has the `kind`, for the message.
        kind: to look for.

    Raises:
        InputError: there is not.
    """
    known = of(section)
    if kind not in known:
        room = ROOMS[section].package
        raise InputError(
            f"config key `{key}.kind`: there is no module w2dual.{room}.{kind} of "
            f"that kind; add src/w2dual/{room.replace('.', '/')}/{kind}.py (docs/extending.md), "
            f"or name a known one: {', '.join(known)}"
        )

"""A cell: one entry of a table and one training job. Light: neither JAX nor pandas is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2dual import code, seeds
from w2dual.records import InputError, short_hash


@dataclass(frozen=True)
class Cell:
    """One entry of a table: names for people, and every setting that its training job needs."""

    name: str
    pair: str
    dimension: int
    potential: str
    amortization: str
    solver: str
    settings: dict[str, Any]

    @property
    def hash(self) -> str:
        """12 hex digits over everything that defines the cell."""
        return short_hash([self.name, self.settings])

    def to_json(self) -> dict[str, Any]:
        """Give the record of the cell as it stands in a command line and in a metrics file."""
        return {
            "name": self.name,
            "pair": self.pair,
            "dimension": self.dimension,
            "potential": self.potential,
            "amortization": self.amortization,
            "solver": self.solver,
            "hash": self.hash,
            "settings": self.settings,
        }

    @staticmethod
    def from_json(record: dict[str, Any]) -> Cell:
        """Read what `to_json` gave.

        Raises:
            InputError: a field is missing, the hash is not that of the settings, or the seeds are
                no seeds or not different.
        """
        try:
            fields = {key: record[key] for key in Cell.__dataclass_fields__}
            cell = Cell(**fields)
        except (KeyError, TypeError) as error:
            raise InputError(
                f"cell record lacks {error}; `w2dual cells` prints valid ones"
            ) from error
        if record.get("hash", cell.hash) != cell.hash:
            raise InputError(
                f"cell {cell.name}: its hash {record['hash']} is not that of its settings "
                f"({cell.hash}); leave the hash out of a record changed by hand"
            )
        seeds.checked_list(cell.settings.get("seeds"), f"cell {cell.name}: `settings.seeds`")
        return cell


def method_kind(settings: Mapping[str, Any]) -> str:
    """Return the kind of method that trains a cell: `dual` where its settings name none."""
    return settings.get("method", {"kind": "dual"})["kind"]


def modules(cell: Cell, package: Path = code.PACKAGE) -> list[str]:
    """Return the modules of the kinds that a cell is made of, those of its measures aside.

    They are named for `code.digest`: imported at run time by the names that the settings have.
    Kinds of which there is no module are left out; whoever makes them says so.
    """
    named = [f"training.methods.{method_kind(cell.settings)}"]
    for section, room in ROOMS.items():
        kind = cell.settings.get(section, {}).get("kind", "none")
        named += [] if kind == "none" else [f"{room}.{kind}"]
    return [name for name in named if code.exists(name, package)]


ROOMS = {
    "potential": "potentials",
    "amortization_model": "amortization.models",
    "amortization": "amortization",
    "solver": "conjugate",
}
"""Part of a cell's settings -> room of the modules that its kind names."""


def pair_modules(kind: str, package: Path = code.PACKAGE) -> list[str]:
    """Return the module that reads a pair of a kind, for `code.digest`."""
    return [name for name in [f"measures.pairs.{kind}"] if code.exists(name, package)]


def preparation_modules(kind: str) -> list[str]:
    """Return the modules that prepare a pair of a kind, for `code.digest`."""
    named = [f"measures.preparation.{kind}"]
    return pair_modules(kind) + [name for name in named if code.exists(name)]

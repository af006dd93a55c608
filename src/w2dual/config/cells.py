"""A cell: one entry of a table and one training job. Light: neither JAX nor pandas is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2dual import closure, seeds
from w2dual.config.kinds import GIVEN, PARTS, ROOMS
from w2dual.config.settings import (
    CellSettings,
    CubePretrainingSettings,
    EvaluationSettings,
    LoggingSettings,
    NormalPretrainingSettings,
    PretrainingSettings,
    TrainingSettings,
)
from w2dual.decoding import decode
from w2dual.records import InputError, short_hash

DUAL = "dual"
"""The method of a cell whose settings name none."""
REVERSED = "reversed"
"""Key of a cell's `method`, whatever its kind: train with source and target swapped."""


@dataclass(frozen=True)
class Cell:
    """One entry of a table: names for people, and every setting that its training job needs.

    Attributes:
        name: of the cell, from the names of its parts.
        pair: of measures.
        dimension: of the points.
        potential, amortization, solver: what its row in a table is told apart by, as
            `rows.Row` has them.
        settings: as the record has them; the modules of the kinds read theirs from here.
        typed: the same, checked.

    Raises:
        InputError: a setting is missing, unknown or of a wrong type; the message names it.
    """

    name: str
    pair: str
    dimension: int
    potential: str
    amortization: str
    solver: str
    settings: dict[str, Any]
    typed: CellSettings = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings."""
        source = f"cell {self.name}"
        seeds.checked_list(self.settings.get("seeds"), f"{source}: `settings.seeds`")
        typed = decode(CellSettings, self.settings, source, "settings")
        for name in [*PARTS, *GIVEN, "method"]:
            if name in self.settings and not isinstance(self.settings[name].get("kind"), str):
                raise InputError(f"{source}: `settings.{name}` lacks `kind`, the name of one")
        kind = method_kind(self.settings)
        if missing := [name for name in needs(kind) if name not in self.settings]:
            raise InputError(
                f"{source}: `settings` lacks {', '.join(f'`{name}`' for name in missing)}, "
                f"of which the method `{kind}` is made"
            )
        object.__setattr__(self, "typed", typed)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, all trained in one job."""
        return self.typed.seeds

    @property
    def training(self) -> TrainingSettings:
        """How its networks are trained."""
        return self.typed.training

    @property
    def pretraining(
        self,
    ) -> PretrainingSettings | NormalPretrainingSettings | CubePretrainingSettings:
        """How they become the identity first."""
        return self.typed.pretraining

    @property
    def evaluation(self) -> EvaluationSettings:
        """On how many points its maps are evaluated, and when."""
        return self.typed.evaluation

    @property
    def logging(self) -> LoggingSettings:
        """How often training says how it goes."""
        return self.typed.logging

    @property
    def hash(self) -> str:
        """12 hex digits over everything that defines the cell."""
        return short_hash([self.name, self.settings])

    def to_json(self) -> dict[str, Any]:
        """Return the record of the cell, as it is in its file and in a metrics file."""
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
        """Read what `to_json` returned.

        Raises:
            InputError: a field or a setting is missing, unknown or of a wrong type, the hash is
                not that of the settings, or the seeds are no seeds or not different.
        """
        named = isinstance(record, Mapping)
        try:
            given = {key: record[key] for key in record if key != "hash"} if named else record
            cell = decode(Cell, given, "cell record")
        except InputError as error:
            raise InputError(
                f"{error}; `w2dual cells NAME` prints a valid record, and a record that another "
                "version of this project made needs that version"
            ) from error
        if record.get("hash", cell.hash) != cell.hash:
            raise InputError(
                f"cell {cell.name}: its hash {record['hash']} is not that of its settings "
                f"({cell.hash}); leave the hash out of a record changed by hand"
            )
        return cell


def method_kind(settings: Mapping[str, Any]) -> str:
    """Return the kind of method that trains a cell: `dual` where its settings name none."""
    return settings.get("method", {"kind": DUAL})["kind"]


def conjugates(settings: Mapping[str, Any]) -> bool:
    """Return whether figures draw and studies look at a cell's conjugates.

    Those of the method `dual` they do, unless it is trained with source and target swapped: its
    conjugates are then not of points of the target.
    """
    backwards = settings.get("method", {}).get(REVERSED, False)
    return method_kind(settings) == DUAL and not backwards


def needs(kind: str, package: Path = closure.PACKAGE) -> tuple[str, ...]:
    """Return the parts of a cell's settings that a kind of method is made of.

    Its module says them, as `NEEDS = ("potential", "solver")`, which is read without importing it.
    Of a kind without a module there are none; whoever makes it says so.

    Raises:
        InputError: the module does not say them, or names something that is not in `kinds.PARTS`.
    """
    module = f"{METHODS}.{kind}"
    if not closure.exists(module, package):
        return ()
    try:
        found = closure.constant(module, "NEEDS", package)
    except ValueError:
        found = None
    if not isinstance(found, tuple | list) or not all(name in PARTS for name in found):
        said = "has no such line" if found is None else f"has {found!r:.60}"
        raise InputError(
            f"src/w2dual/{module.replace('.', '/')}.py {said}; expected `NEEDS = (...)`, written "
            f"out, with the parts of a cell's settings that the method is made of, out of "
            f"{', '.join(PARTS)}; `NEEDS = ()` for none"
        )
    return tuple(name for name in PARTS if name in found)


def random_map(kind: str, package: Path = closure.PACKAGE) -> bool:
    """Return whether a kind of method has a random map: `RANDOM = True` in its module, if there."""
    return closure.constant(f"{METHODS}.{kind}", "RANDOM", package) is True


def encoding_of(kind: str, package: Path = closure.PACKAGE) -> str:
    """Return what a kind of encoder takes of an image: `ENCODING` of its module, which is read.

    Raises:
        InputError: there is no such kind.
    """
    known = closure.modules_with(ENCODERS, "make", package)
    if kind not in known:
        raise InputError(f"encoder {kind!r}: unknown; expected one of {', '.join(known)}")
    return closure.constant(f"{ENCODERS}.{kind}", "ENCODING", package)


def modules(cell: Cell, package: Path = closure.PACKAGE) -> list[str]:
    """Return the modules of the kinds that a cell is made of, those of its measures aside.

    They are named for `closure.digest`: imported at run time by the names that the settings have.
    Kinds of which there is no module are left out; whoever makes them says so.
    """
    named = [f"{METHODS}.{method_kind(cell.settings)}"]
    if evaluation := method_evaluation(cell.settings, package):
        named.append(f"{EVALUATIONS}.{evaluation}")
    if encoder := cell.settings.get("method", {}).get("encoder"):
        named.append(f"{ENCODERS}.{encoder}")
    for part, section in (PARTS | GIVEN).items():
        kind, room = cell.settings.get(part, {}).get("kind", "none"), ROOMS[section].package
        named += [] if kind == "none" else [f"{room}.{kind}", f"{room}.kernels.{kind}"]
    return [name for name in named if closure.exists(name, package)]


METHODS = ROOMS["methods"].package
"""Room of the modules of methods."""
EVALUATIONS = "evaluation.kinds"
"""Room of the modules of evaluations that a method or a pair asks for."""
ENCODERS = "amortization.encoders"
"""Room of the modules of encoders, which a method that encodes its measures names."""
EVALUATION = "EVALUATION"
"""Constant of a method's or a pair's module: the evaluation that it asks for."""


def method_evaluation(settings: Mapping[str, Any], package: Path = closure.PACKAGE) -> str | None:
    """Return the kind of evaluation that the method of a cell's settings asks for, or None."""
    return _evaluation(f"{METHODS}.{method_kind(settings)}", package)


def _evaluation(module: str, package: Path) -> str | None:
    """Return the kind of evaluation that a module asks for, or None.

    Raises:
        InputError: it is not written out, or there is no such kind.
    """
    try:
        kind = closure.constant(module, EVALUATION, package)
    except ValueError:
        kind = ...
    if kind is None or (isinstance(kind, str) and closure.exists(f"{EVALUATIONS}.{kind}", package)):
        return kind
    known = ", ".join(closure.modules_with(EVALUATIONS, "make", package)) or "none"
    said = "which is computed" if kind is ... else f"which is {kind!r:.60}"
    raise InputError(
        f"src/w2dual/{module.replace('.', '/')}.py: `{EVALUATION}`, {said}, is not the name of a "
        f"module of w2dual.{EVALUATIONS}, written out; known: {known}"
    )


def pair_modules(kind: str, package: Path = closure.PACKAGE) -> list[str]:
    """Return the modules that read and evaluate a pair of a kind, for `closure.digest`."""
    reader = f"measures.pairs.{kind}"
    if not closure.exists(reader, package):
        return []
    evaluation = _evaluation(reader, package)
    return [reader, *([f"{EVALUATIONS}.{evaluation}"] if evaluation else [])]


def preparation_modules(kind: str) -> list[str]:
    """Return the modules that prepare a pair of a kind, for `closure.digest`."""
    named = [f"measures.preparation.{kind}"]
    return pair_modules(kind) + [name for name in named if closure.exists(name)]

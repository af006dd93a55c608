"""The rows of a grid: how a cell is trained, and with what. Light: JAX is not imported.

An entry of a grid's `methods` names an amortization loss and a conjugate solver, which the method
`dual` is made of; or an entry of the config's `methods`, and those of its parts that are not named
there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from w2dual.config import kinds
from w2dual.config.cells import DUAL, REVERSED, needs
from w2dual.config.kinds import PARTS
from w2dual.records import InputError

NONE = "none"
OWN = "own"
"""Stands for the potential in cells of a method that takes none of the config's."""
_ROW = ("amortization", "solver")
_ENTRY = (*PARTS, "training", "pretraining")
"""Keys of an entry of `methods` that are not the method's own settings."""


@dataclass(frozen=True)
class Row:
    """An entry of a grid's `methods`, with all that it stands for.

    Attributes:
        kind: of the method.
        method: name in the config's `methods`; empty where the row names parts alone.
        potentials: names of those it is trained with; `OWN` where it takes none.
        parts: `amortization` and `solver` -> names in the config, those that the method is made of.
        named: of these, the ones that the row itself names.
        reversed: whether it is trained with source and target swapped.
    """

    kind: str
    method: str
    potentials: tuple[str, ...]
    parts: Mapping[str, str]
    named: tuple[str, ...]
    reversed: bool

    @property
    def amortization(self) -> str:
        """What tables have in the column of losses: the method's name comes first, if it has one.

        A loss that `methods` names is left out, since the method's name stands for it.
        """
        parts = [self.method] if self.method else []
        if "amortization" in self.named:
            parts.append(self.parts["amortization"])
        return "-".join(parts)

    @property
    def solver(self) -> str:
        """What tables have in the column of solvers; `none` for a method that takes none."""
        return self.parts.get("solver", NONE)

    @property
    def conjugates(self) -> bool:
        """Whether its cells have conjugates to draw and to study, as `cells.conjugates` says."""
        return self.kind == DUAL and not self.reversed

    def cell_name(self, pair: str, potential: str) -> str:
        """Return the name of a cell: pair, potential, method, loss and solver, as far as named."""
        parts = [pair, *([] if potential == OWN else [potential]), self.amortization]
        return "-".join([*parts, *([self.solver] if "solver" in self.named else [])])


def methods(grid: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the entries of a grid of the config: its `methods`, then its `more_methods`.

    The second is for presets, in which a list replaces that of the files before.
    """
    return [*grid["methods"], *grid.get("more_methods", [])]


def rows(config: Mapping[str, Any], grid: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a grid of a valid config, in order."""
    return [resolve(config, grid, entry, "methods") for entry in methods(grid)]


def potentials(config: Mapping[str, Any], grid: Mapping[str, Any]) -> list[str]:
    """Return the potentials of a grid, then those that its methods bring."""
    brought = (name for row in rows(config, grid) for name in row.potentials)
    return list(dict.fromkeys([*grid.get("potentials", ()), *brought]))


def resolve(
    config: Mapping[str, Any], grid: Mapping[str, Any], entry: Mapping[str, str], key: str
) -> Row:
    """Return what an entry of a grid's `methods` stands for.

    Args:
        config: the whole, which has been checked against the schema.
        grid: whose `potentials` those cells have whose method names none.
        entry: of `methods`.
        key: of the entry in the config, for messages.

    Raises:
        InputError: a name is unknown; or a part is missing, named twice, or not one of the method;
            or neither the method nor the grid names a potential, and it needs one.
    """
    method = entry.get("method", "")
    if method:
        check_known(config, f"{key}.method", method, "methods")
    settings = config["methods"][method] if method else {"kind": DUAL}
    kind = settings["kind"]
    needed = needs(kind)
    parts: dict[str, str] = {}
    for part in _ROW:
        if part in entry:
            check_known(config, f"{key}.{part}", entry[part], PARTS[part])
            if part not in needed:
                raise InputError(f"config key `{key}.{part}`: {_takes(method, kind, needed)}")
            if part in settings:
                raise InputError(
                    f"config key `{key}.{part}`: `methods.{method}.{part}` names one already; "
                    "leave out one of them"
                )
        if part in needed:
            if part not in {*entry, *settings}:
                raise InputError(
                    f"config key `{key}` lacks `{part}`, of which the method `{method or kind}` is "
                    "made" + (f"; name one here or in `methods.{method}`" if method else "")
                )
            parts[part] = entry[part] if part in entry else settings[part]
    own = (settings["potential"],) if "potential" in settings else tuple(grid.get("potentials", ()))
    if "potential" in needed and not own:
        raise InputError(
            f"config key `{key}` lacks a potential, of which the method `{method or kind}` is "
            f"made; name one in `methods.{method or 'NAME'}.potential`, or `potentials` in its grid"
        )
    named = tuple(part for part in parts if part in entry)
    trained = own if "potential" in needed else (OWN,)
    return Row(kind, method, trained, parts, named, bool(settings.get(REVERSED)))


def check_methods(config: Mapping[str, Any]) -> None:
    """Check the parts that each entry of the config's `methods` names.

    Raises:
        InputError: a name or a kind is unknown, or a part is not one of the method; or the entry
            has the name of something else that names cells.
    """
    for method, settings in config.get("methods", {}).items():
        where = f"methods.{method}"
        needed = needs(settings["kind"])
        for part in PARTS:
            if part in settings and part not in needed:
                words = _takes(method, settings["kind"], needed)
                raise InputError(f"config key `{where}.{part}`: {words}")
        for part, section in PARTS.items():
            if part == section:
                if part in settings:
                    kinds.check(section, f"{where}.{part}", settings[part]["kind"])
                continue
            if part in settings:
                check_known(config, f"{where}.{part}", settings[part], section)
            if method in config[section]:
                raise InputError(
                    f"config key `{where}`: `{section}` has the same name, and names of cells "
                    "would not tell them apart; name the method otherwise"
                )


def check_rows(config: Mapping[str, Any], section: str, grid: Mapping[str, Any]) -> list[Row]:
    """Check the rows of a grid, and return them.

    Args:
        config: the whole, which has been checked against the schema.
        section: key of the grid in the config, for messages.
        grid: of rows.

    Raises:
        InputError: a row cannot be resolved or is a duplicate, its loss and solver do not go
            together, or its method sets what the grid does not have.
    """
    for potential in grid.get("potentials", ()):
        check_known(config, f"{section}.potentials", potential, "potentials")
    named = [
        (f"{section}.{part}.{index}", entry)
        for part in ("methods", "more_methods")
        for index, entry in enumerate(grid.get(part, []))
    ]
    found: dict[tuple[str, str], Row] = {}
    for key, entry in named:
        row = resolve(config, grid, entry, key)
        where = f"config key `{key}`"
        if row.kind == DUAL:
            _check_dual(config, where, row.parts)
        _check_budget(config, section.partition(".")[0], row.method)
        label = (row.amortization, row.solver)
        if label in found:
            raise InputError(f"{where}: duplicate method {label[0]} + {label[1]}")
        found[label] = row
    return list(found.values())


def _check_budget(config: Mapping[str, Any], section: str, method: str) -> None:
    """Check that what a method sets of its budget is what its grid's is made of."""
    grid, entry = config[section], config["methods"][method] if method else {}
    widths = "hidden" in grid["training"] or any("hidden" in part for part in grid.get("grids", []))
    if "hidden" in entry.get("training", {}) and not widths:
        raise InputError(
            f"config key `methods.{method}.training.hidden`: the networks of `{section}` have no "
            "hidden widths to set; leave it out"
        )
    known = grid.get("pretraining", {})
    if other := [key for key in entry.get("pretraining", {}) if key not in known]:
        raise InputError(
            f"config key `methods.{method}.pretraining.{other[0]}`: `{section}.pretraining`, which "
            f"it would change, has no such key; it has {', '.join(known)}"
        )


def _check_dual(config: Mapping[str, Any], where: str, parts: Mapping[str, str]) -> None:
    amortization = config["amortizations"][parts["amortization"]]["kind"]
    solver = config["solvers"][parts["solver"]]["kind"]
    if amortization == "regression" and solver == "none":
        raise InputError(
            f"{where}: a regression loss needs a conjugate solver to regress on; "
            "give `solver`, or take objective or cycle"
        )
    if amortization == "none" and solver == "none":
        raise InputError(
            f"{where}: with neither an amortization loss nor a solver nothing computes the "
            "conjugate; give one of them"
        )


def cell_names(pair: str, found: Iterable[Row]) -> list[str]:
    """Return the names that the cells of rows have on a pair."""
    return [row.cell_name(pair, potential) for row in found for potential in row.potentials]


def check_known(
    config: Mapping[str, Any], key: str, name: str, section: str, under: str = ""
) -> None:
    """Check that a section of the config has a name.

    Args:
        config: the part of the config that has the section.
        key: where the name is, for the message.
        name: to look for.
        section: of names.
        under: what the section is under, with a dot, for the message.

    Raises:
        InputError: it has not.
    """
    known: Iterable[str] = config.get(section, {})
    if name not in known:
        raise InputError(
            f"config key `{key}`: unknown name `{name}`; `{under}{section}` "
            f"has {', '.join(known) or 'none so far'}"
        )


def settings_of(config: Mapping[str, Any], row: Row, potential: str, n: int) -> dict[str, Any]:
    """Return the parts of a cell's settings that its method is made of, and its own settings.

    Args:
        config: valid.
        row: of the grid.
        potential: one of `row.potentials`.
        n: dimension of the points; where a setting is `dimension`, it means this.
    """
    entry = config["methods"][row.method] if row.method else {}
    found: dict[str, Any] = {}
    for part in needs(row.kind):
        if part == "potential":
            found[part] = dict(config["potentials"][potential])
        elif part == "amortization_model":
            found[part] = dict(entry.get(part, config[part]))
        else:
            found[part] = at_dimension(config[PARTS[part]][row.parts[part]], n)
    if entry:
        own = {key: value for key, value in entry.items() if key not in _ENTRY}
        found["method"] = at_dimension(own, n)
    return found


def budget_of(config: Mapping[str, Any], row: Row, grid: Mapping[str, Any], key: str) -> Any:
    """Return a grid's `training` or `pretraining` with what a method sets otherwise."""
    entry = config["methods"][row.method] if row.method else {}
    return {**grid[key], **entry.get(key, {})}


def for_name(settings: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    """Return a method's settings, of which what `key` says of a name goes before the others."""
    rest = {other: value for other, value in settings.items() if other != key}
    return rest | settings.get(key, {}).get(name, {})


def at_dimension(settings: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Return settings in which a value `dimension` has become the number n."""
    return {key: float(n) if value == "dimension" else value for key, value in settings.items()}


def _takes(method: str, kind: str, needed: tuple[str, ...]) -> str:
    taken = ", ".join(needed) or "nothing of the config"
    return f"the method `{method or kind}`, of the kind `{kind}`, takes none; it takes {taken}"

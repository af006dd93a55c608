"""What is examined: the module of a kind with settings, its own or those that a config has."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from w2dual import closure
from w2dual.config import kinds, studies
from w2dual.config.cells import method_kind
from w2dual.config.grid import cells_in
from w2dual.config.kinds import GIVEN, PARTS
from w2dual.config.places import CELEBA64_GENERATOR
from w2dual.config.reader import Config, pairs
from w2dual.config.rows import at_dimension, rows, settings_of
from w2dual.conformance.base import Verdict
from w2dual.records import InputError

SECTIONS = {
    "conjugate": "solvers",
    "potential": "potentials",
    "amortization": "amortizations",
    "method": "methods",
    "pair": "measures.synthetic",
}
"""What `w2dual check` examines -> section of the config that has its settings."""
DIMENSION = 3
"""Of the suites' points, which a weight `dimension` means."""


class Subject(NamedTuple):
    """A module to examine, with its settings.

    Attributes:
        what: a key of `SECTIONS`.
        kind: the module.
        name: of its entry in the config, or of the module.
        settings: of `make`, without the kind.
    """

    what: str
    kind: str
    name: str
    settings: dict[str, Any]


def subjects(what: str, name: str, config: Config) -> list[Subject]:
    """Return a kind with the settings that a config has for it; each entry of the kind is one.

    Args:
        what: a key of `SECTIONS`.
        name: of a module; or of one entry of the config's section.
        config: a valid config.

    Raises:
        InputError: the config has no such entry.
    """
    entries = _entries(what, name, config)
    chosen = {key: entry for key, entry in entries.items() if entry["kind"] == name != "none"}
    if not chosen and entries.get(name, {"kind": "none"})["kind"] != "none":
        chosen = {name: entries[name]}
    if not chosen:
        section = SECTIONS[what]
        named = {name, *(key for key, entry in config["methods"].items() if entry["kind"] == name)}
        if what == "method" and named & config["methods"].keys():
            raise InputError(
                f"method {name!r}: no row of `hd`, `baselines` or `lagrangian` has it; a method is "
                "examined with the parts of such a row, on points of few numbers, which those of "
                "images, of measures and of snapshots cannot take"
            )
        if what == "pair" and _has_its_own_section(name):
            own = closure.constant(f"measures.preparation.{name}", "SECTION")
            raise InputError(
                f"pair {name!r}: no cell of the config is of a pair of that kind, which `{own}` "
                "has the settings of; give by --configfile a config with such a cell, and with "
                "the data that it needs"
            )
        raise InputError(
            f"{what} {name!r}: no entry of the config's `{section}` has that name or kind; give "
            "its settings by --settings JSON, or by --configfile a config that has an entry. "
            f"Modules: {', '.join(kinds.of(section))}"
        )
    found = []
    for key, entry in chosen.items():
        settings = at_dimension(entry, DIMENSION)
        found.append(Subject(what, settings.pop("kind"), key, settings))
    return found


def _entries(what: str, name: str, config: Config) -> dict[str, Mapping[str, Any]]:
    """Return the entries of a config by name, each with its kind."""
    if what == "method":
        return _methods(config)
    if what == "pair" and _has_its_own_section(name):
        used = pairs(config).items()
        whole = {key: entry for key, entry in used if key != CELEBA64_GENERATOR}
        return dict(next(([item] for item in whole.items() if item[1]["kind"] == name), []))
    entries: Any = config
    for key in SECTIONS[what].split("."):
        entries = entries[key]
    return entries


def _has_its_own_section(kind: str) -> bool:
    """Whether pairs of a kind share a section of the config, and have no entry each."""
    section = closure.constant(f"measures.preparation.{kind}", "SECTION")
    return section not in (None, SECTIONS["pair"])


def _methods(config: Config) -> dict[str, Mapping[str, Any]]:
    """Return the methods of the benchmark's rows, and of Lagrangian costs, with their settings.

    Of each the first row; rows without a name are one, those that studies take.
    """
    studied = studies.method(config)
    found: dict[str, Mapping[str, Any]] = {}
    for row in [*rows(config, config["hd"]), *rows(config, config["baselines"])]:
        name = row.method or row.kind
        if name in found or (not row.method and (row.amortization, row.solver) != studied):
            continue
        settings = settings_of(config, row, row.potentials[0], DIMENSION)
        found[name] = {"kind": row.kind, **settings}
    for cell in cells_in("lagrangian", config):  # of each method in its first setting
        parts = {
            key: cell.settings[key] for key in [*PARTS, *GIVEN, "method"] if key in cell.settings
        }
        found.setdefault(cell.amortization, {"kind": method_kind(cell.settings), **parts})
    return found


def examine(subject: Subject) -> list[Verdict]:
    """Run the suite for a subject and return the verdict of each check.

    Raises:
        InputError: there is no such module, or `make` cannot be called.
    """
    if subject.what == "pair":
        from w2dual.conformance import pair
        from w2dual.measures.preparation import prepare

        settings: Mapping[str, Any] = {**subject.settings, "kind": subject.kind}
        return pair.verdicts(partial(prepare, subject.name, settings))
    suite = importlib.import_module(f"{__package__}.{_SUITES.get(subject.what, subject.what)}")
    return suite.verdicts(subject.kind, subject.settings)


_SUITES = {
    "conjugate": "solver",
    "potential": "potential",
    "amortization": "loss",
    "method": "method",
}

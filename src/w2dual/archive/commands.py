"""Whether the recorded commands of an archive are those of its config, over its raw metrics.

A forger may keep a table from being checked by what its command says of itself: by other settings,
by metrics that lie elsewhere, by a file in between that nobody makes again. So all that a command
reads must be raw, or made by a command that is run again as well.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from w2dual.archive import steps as rendering
from w2dual.archive.steps import Step
from w2dual.config import arguments
from w2dual.config.grid import grid
from w2dual.config.systems import ADDITIONS
from w2dual.records import InputError

STUDY = re.compile(r"results/conjugation/[^/]+\.json")
"""What `line-search-tables` sets: times, which are raw."""
ADDED = {job: adds for adds in ADDITIONS.values() for job in adds.settings}
"""Job that makes tables of a system beside the paper's own -> what that adds.

It sets what the system's studies have found, which is raw: values of trained networks, counts and
times, and scores of weights that a user has and that no archive holds.
"""
OF_COMPUTED = ("trivial-table", "table-page")
"""Jobs that set what was computed from measures, besides what follows from metrics."""


def problems(
    steps: Sequence[Step], folder: str, config: Mapping[str, Any], members: Collection[str]
) -> list[str]:
    """Say what is wrong with the recorded commands, a line each.

    Args:
        steps: the commands.
        folder: of the outputs, relative to the archive's root.
        config: resolved.
        members: paths of the archive's files.
    """
    found, sound = [], []
    for step in steps:
        try:
            rendering.check(step, folder)
            sound.append(step)
        except InputError as error:
            found.append(str(error))
    made = Counter(name for step in sound for name in step.outputs)
    found += [f"{name}: several steps write it" for name, count in made.items() if count > 1]
    exact = {name for step in sound if step.compared for name in step.outputs}
    inside = {posixpath.relpath(name, folder) for name in members} | set(made)
    expected = {cell.name: cell.hash for cell in grid(dict(config))}
    aggregated: set[str] = set()
    for step in sound:
        found += _of_other_settings(step, config)
        if step.arguments[0] == "aggregate":
            listed, faults = _aggregated(step, expected)
            aggregated |= listed
            found += faults
        elif step.compared:
            raw = _raw(step.arguments[0], config, inside)
            found += _unmade(step, exact | raw, set(made) - exact, inside)
    if not found and aggregated != expected.keys():
        lacking = ", ".join(sorted(expected.keys() - aggregated))
        found.append(f"no command gathers the metrics of {lacking}")
    return found


def _aggregated(step: Step, expected: Mapping[str, str]) -> tuple[set[str], list[str]]:
    """Return the cells that a step gathers, and what is wrong with them."""
    options = step.options()
    cells = [cell for word in options.get("--cells", ()) for cell in json.loads(word)]
    if not all(isinstance(cell, Mapping) and {"name", "hash"} <= cell.keys() for cell in cells):
        return set(), [f"step {step.rule}: --cells: expected records with name and hash"]
    found = [
        f"{cell['name']} is not a cell of the config"
        for cell in cells
        if not isinstance(cell["name"], str) or expected.get(cell["name"]) != cell["hash"]
    ]
    if found:
        return set(), found
    names = {cell["name"] for cell in cells}
    wanted = {f"results/train/{name}/metrics.json" for name in names}
    if other := sorted(wanted ^ set(map(posixpath.normpath, options.get("--metrics", ())))):
        found.append(f"step {step.rule}: {other[0]}: expected the metrics of its cells")
    return names, found


def _raw(job: str, config: Mapping[str, Any], inside: Collection[str]) -> set[str]:
    """Return the raw files that a job sets, besides metrics."""
    if job in ADDED:
        return set(ADDED[job].studies(dict(config)))
    return {name for name in inside if job == "line-search-tables" and STUDY.fullmatch(name)}


def _unmade(step: Step, sound: set[str], computed: set[str], inside: set[str]) -> list[str]:
    """Say which files a step reads that are neither raw nor made again, which `sound` ones are."""
    found = []
    for option, values in step.options().items():
        if option in rendering.SOURCES or option in rendering.INLINE:
            continue
        for word in map(posixpath.normpath, values):
            if word not in inside or word in step.outputs or word in sound:
                continue
            if not (step.arguments[0] in OF_COMPUTED and word in computed):
                found.append(
                    f"step {step.rule}: reads {word}, which is not made again from metrics"
                )
    return found


def _of_other_settings(step: Step, config: Mapping[str, Any]) -> list[str]:
    """Say which settings of a step are not those of the config."""
    found = []
    for record in rendering.settings_of(step):
        wanted = _settings(step.arguments[0], config, images="generators" in record)
        for key in record.keys() & wanted.keys():
            if record[key] != wanted[key]:
                what = "preset" if key == "preset" else f"`{key}`"
                found.append(f"step {step.rule} is of another {what} than the config")
    return found


def _settings(job: str, config: Mapping[str, Any], images: bool) -> dict[str, Any]:
    """Return what a job's settings have to be, where the config says it.

    Args:
        job: of the step.
        config: resolved.
        images: whether its settings are those of CelebA64, which name generators.
    """
    if job == "hyperparameters":
        hidden = "figures"
        return {
            key: {k: v for k, v in part.items() if k != hidden} if isinstance(part, dict) else part
            for key, part in config.items()
        }
    if job == "baselines-table":
        return arguments.baselines_table(dict(config))
    if job == "synthetic-table":
        return arguments.synthetic_table(dict(config))
    if job in ADDED:
        return ADDED[job].settings[job](dict(config))
    if images:
        return arguments.celeba64_table(dict(config))
    return arguments.verdict(dict(config))

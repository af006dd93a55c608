"""The recorded commands that made tables and figures, so that an archive can make them again.

A step is what a rule ran: a job of `python -m w2dual` with its arguments, paths relative to the
folder of outputs. Steps are data of an archive, which may come from anybody: only jobs that say of
themselves that they render are run (`Job.writes`), only on paths inside the archive, and they write
nothing but tables and figures.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2dual.decoding import decode
from w2dual.records import InputError
from w2dual.subcommands import JOBS

PREFIX = ("python", "-m", "w2dual")
RENDERED = ("tables/", "figures/", "results/metrics/")
"""Where steps write, from the folder of outputs."""
PUBLISHED = "tables/published"
"""Below the first of those in the paper's own preset, and source."""
SOURCES = {"--published": PUBLISHED, "--base": "config.yaml"}
"""Options that name the source's files, from the archive's root."""
INLINE = ("--settings", "--cells", "--config")
"""Options that take a JSON text, or a file of one, which would hide it."""
Runner = Callable[[Sequence[str]], None]
"""Runs a job in this process, given the words of its command after `python -m w2dual`."""
_SHORT = re.compile(r"-[^-\d.]")
_OPTION = re.compile(r"--[a-z][a-z-]*")


@dataclass(frozen=True)
class Step:
    """A job as a rule ran it.

    Attributes:
        rule: its name.
        arguments: of `python -m w2dual`, the job's name first.
        inputs, outputs: files relative to the folder of outputs; the code is not an input.
    """

    rule: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def compared(self) -> bool:
        """Whether its outputs are text that follows from text: the same bytes on any machine.

        The job decides it, and nothing else that an archive says of the step.
        """
        job = JOBS.get(self.arguments[0]) if self.arguments else None
        return job is not None and job.exact

    def options(self) -> dict[str, list[str]]:
        """Return the values of each option; those before the first are of the empty name.

        Raises:
            InputError: an option is given twice, or is none.
        """
        found: dict[str, list[str]] = {"": []}
        values = found[""]
        for word in self.arguments[1:]:
            if not word.startswith("--"):
                values.append(word)
                continue
            if not _OPTION.fullmatch(word):
                raise InputError(
                    f"step {self.rule}: {word[:40]}: expected an option of a whole word, its value "
                    "apart"
                )
            if word in found:
                raise InputError(f"step {self.rule}: {word} is given twice")
            values = found[word] = []
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in an archive."""
        return {
            "rule": self.rule,
            "arguments": list(self.arguments),
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
        }

    @staticmethod
    def from_json(record: Any) -> Step:
        """Read what `to_json` returned.

        Raises:
            InputError: it is something else.
        """
        named = isinstance(record, dict) and isinstance(record.get("rule"), str)
        return decode(Step, record, f"step {record['rule']}" if named else "a step")


def of_command(rule: str, command: str, inputs: Iterable[str], outputs: Iterable[str]) -> Step:
    """Read a rule's shell command: `python -m w2dual JOB ... > LOG 2>&1`.

    Raises:
        InputError: it is another command.
    """
    words = shlex.split(command)
    if tuple(words[:3]) != PREFIX:
        raise InputError(f"rule {rule}: its command is not `{' '.join(PREFIX)}`: {command[:60]}")
    end = words.index(">") if ">" in words else len(words)
    return Step(rule, tuple(words[3:end]), tuple(inputs), tuple(outputs))


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Sort steps so that each comes after those whose outputs it reads; otherwise by rule and name.

    Raises:
        InputError: they wait for one another.
    """
    left = sorted(steps, key=lambda step: (step.rule, step.outputs))
    made = {name for step in steps for name in step.outputs}
    ordered: list[Step] = []
    while left:
        ready = [step for step in left if not made & set(step.inputs)]
        if not ready:
            raise InputError(f"steps wait for one another: {', '.join(s.rule for s in left)}")
        for step in ready:
            made -= set(step.outputs)
        ordered += ready
        left = [step for step in left if step not in ready]
    return ordered


def check(step: Step, folder: str) -> None:
    """Check that a step is one that may be run.

    Args:
        step: the step.
        folder: of outputs, relative to the archive's root.

    Raises:
        InputError: its job renders nothing, or a path leads out of the archive.
    """
    job = step.arguments[0] if step.arguments else ""
    if job not in JOBS or not JOBS[job].renders:
        raise InputError(f"step {step.rule}: {job!r} is not a job that renders")
    for word in (*step.arguments[1:], *step.inputs, *step.outputs):
        _check_word(step, folder, word)
    options = step.options()
    _check_outputs(step, options, JOBS[job].writes, folder)
    for option, source in SOURCES.items():
        for word in options.get(option, ()):
            if (named := posixpath.normpath(posixpath.join(folder, word))) != source:
                raise InputError(f"step {step.rule}: {option} is {named}, expected {source}")
    for option in INLINE:
        for word in options.get(option, ()):
            if not _is_json(word):
                raise InputError(
                    f"step {step.rule}: {option} {word[:40]}: expected the JSON text itself"
                )


def _check_outputs(
    step: Step, options: Mapping[str, list[str]], writes: Sequence[str], folder: str
) -> None:
    """Check that a step writes its outputs and no others, where tables and figures are.

    Else it could put a file of its making in the place of a metric, a source file, or of `.git`.
    """
    written = {word: option for option in writes for word in options.get(option, ())}
    if other := sorted(set(step.outputs) - written.keys()):
        raise InputError(f"step {step.rule}: its command does not name its output {other[0]}")
    if other := sorted(written.keys() - set(step.outputs)):
        raise InputError(f"step {step.rule}: writes {other[0]}, which is none of its outputs")
    for word, option in written.items():
        ending = ".csv" if option == "--out" else f".{option.removeprefix('--')}"
        inside = posixpath.normpath(posixpath.join(folder, word))
        if (
            posixpath.normpath(word) != word
            or not word.startswith(RENDERED)
            or inside.startswith(f"{PUBLISHED}/")
            or any(part.startswith(".") for part in word.split("/"))
            or not word.endswith(ending)
        ):
            raise InputError(
                f"step {step.rule}: writes {word}, expected a file *{ending} in one of "
                + ", ".join(RENDERED)
            )


def _check_word(step: Step, folder: str, word: str) -> None:
    # Any option may name a file to write, and JSON too is a path to an option that wants one.
    inside = posixpath.normpath(posixpath.join(folder, word))
    if posixpath.isabs(word) or inside.split("/")[0] == "..":
        raise InputError(f"step {step.rule}: {word} leads out of the archive")
    if _is_json(word):
        return
    if word.startswith("-") and "=" in word or _SHORT.match(word):  # would hide a path
        raise InputError(
            f"step {step.rule}: {word[:40]}: expected an option of a whole word, its value apart"
        )
    if "\\" in word or "://" in word or any(ord(character) < 32 for character in word):
        raise InputError(f"step {step.rule}: {word!r} is not a path in the archive")


def _is_json(word: str) -> bool:
    """Say whether an argument is a JSON object or list, and so no path."""
    if not word.startswith(("{", "[")):
        return False
    try:
        json.loads(word)
    except (ValueError, RecursionError):
        return False
    return True


def run(step: Step, root: Path, folder: str, job: Runner) -> None:
    """Run a step that `check` has passed, within `isolation.kept_from`.

    Args:
        step: the step.
        root: the archive's root on disk.
        folder: of outputs, relative to it.
        job: runs the step's command.

    Raises:
        InputError: a path leads out of the archive by a link, the job refused its arguments or
            inputs, or left out an output.
    """
    place = root / folder
    for word in (*step.arguments[1:], *step.outputs):
        _check_link(step, root, place / word)
    for name in step.outputs:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(place):
        try:
            job(step.arguments)
        except SystemExit as stopped:  # `--help`, or arguments that are none
            raise InputError(
                f"step {step.rule}: ended with code {stopped.code}; its arguments may not be those "
                f"of `w2dual {step.arguments[0]}`: {shlex.join(step.arguments)[:200]}"
            ) from stopped
        for name in step.outputs:
            if not os.path.isfile(name):
                raise InputError(f"step {step.rule}: has not written {name}")


def _check_link(step: Step, root: Path, path: Path) -> None:
    try:
        resolved = path.resolve()
    except (OSError, ValueError):  # longer than a path can be, as settings are: no file
        return
    if not resolved.is_relative_to(root.resolve()):
        raise InputError(
            f"step {step.rule}: {path} leads out of the archive, by a link to {resolved}"
        )


def settings_of(step: Step) -> list[Mapping[str, Any]]:
    """Return the JSON objects among a step's arguments."""
    found = [json.loads(word) for word in step.arguments if _is_json(word)]
    return [record for record in found if isinstance(record, Mapping)]

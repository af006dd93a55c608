"""The site file: the profile's lines with what the doctor found out, each with its reason.

It lies next to the profile as config.v9+.yaml, which Snakemake 9 takes in the place of config.yaml.
It is written from three sources: the profile; what was in the site file before and is the user's
own; and the doctor's settings. A line that the user has changed since the doctor wrote it is the
user's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2dual.cluster.doctor.checks import Setting
from w2dual.config import strict_yaml
from w2dual.records import InputError

NAME = "config.v9+.yaml"
BEFORE = NAME + ".before"
_MARK = "# doctor wrote: "

Path = tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A value of the file, and the comment above it."""

    value: Any
    comment: str = ""


def flatten(tree: Mapping[str, Any], prefix: Path = ()) -> dict[Path, Any]:
    """Return every leaf of nested mappings by its path; lists are leaves."""
    leaves: dict[Path, Any] = {}
    for key, value in tree.items():
        path = (*prefix, str(key))
        if isinstance(value, Mapping):
            leaves |= flatten(value, path)
        else:
            leaves[path] = value
    return leaves


def parse(text: str, name: str) -> dict[Path, Any]:
    """Read a profile file.

    Raises:
        InputError: it is not a YAML mapping, or a value means something else than what is written.
    """
    return flatten(strict_yaml.parse(text, name, flags=True))


def written_before(text: str, name: str) -> dict[Path, Any]:
    """Return what the doctor wrote into a site file, as a line of the file itself records it.

    Raises:
        InputError: the record is damaged.
    """
    for line in text.splitlines():
        if line.startswith(_MARK):
            try:
                record = json.loads(line.removeprefix(_MARK))
                return {tuple(path): value for path, value in record}
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{name}: the line `{_MARK.strip()}` is damaged; move the file away"
                ) from error
    return {}


def compose(base: str, before: str | None, settings: Sequence[Setting], heading: str) -> str:
    """Return the text of the site file.

    Args:
        base: text of the profile.
        before: text of the site file that is there; None where there is none.
        settings: the doctor's; where two have one path, the last counts.
        heading: lines for the top, without `#`.

    Raises:
        InputError: one of the texts cannot be read.
    """
    shipped = parse(base, "slurm/config.yaml")
    lines = {path: Line(value) for path, value in shipped.items()}
    doctors = {setting.path: setting for setting in settings}
    lines |= {s.path: Line(s.value, f"doctor: {s.reason}") for s in doctors.values()}
    if before is not None:
        old, record = parse(before, NAME), written_before(before, NAME)
        for path, value in old.items():
            doctors_own = path in record and record[path] == value
            if doctors_own or shipped.get(path, _NOTHING) == value:
                continue
            comment = "yours, from this file as it was"
            if path in doctors and doctors[path].value != value:
                comment += f"; the doctor would write {doctors[path].value!r}, since "
                comment += doctors[path].reason
            lines[path] = Line(value, comment)
    record = [[list(s.path), s.value] for s in doctors.values() if lines[s.path].value == s.value]
    head = [f"# {line}" for line in heading.splitlines()]
    return "\n".join([*head, _MARK + json.dumps(record), "", *_render(lines), ""])


_NOTHING = object()


def _render(lines: Mapping[Path, Line]) -> list[str]:
    """Return YAML, with each comment above its line; keys of one mapping stand together."""
    text: list[str] = []
    tops = list(dict.fromkeys(path[0] for path in lines))
    for top in tops:
        text += _render_key(top, {p[1:]: line for p, line in lines.items() if p[0] == top}, "")
    return text


def _render_key(key: str, inner: Mapping[Path, Line], indent: str) -> list[str]:
    if () in inner:
        line = inner[()]
        comment = [f"{indent}# {line.comment}"] if line.comment else []
        return [*comment, f"{indent}{key}: {json.dumps(line.value)}"]
    text = [f"{indent}{key}:"]
    for child in dict.fromkeys(path[0] for path in inner):
        of_child = {p[1:]: line for p, line in inner.items() if p[0] == child}
        text += _render_key(child, of_child, indent + "  ")
    return text

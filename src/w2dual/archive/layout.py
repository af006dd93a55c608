"""Where an archive says what its run was: the names that its writer and its readers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2dual.archive.steps import Step
from w2dual.records import InputError

FORMAT = 1
FOLDER = "archive"
CONFIG, RENDER, MACHINE, LEFT_OUT, README = (
    f"{FOLDER}/{name}"
    for name in ("config.yaml", "render.json", "machine.json", "left_out.json", "README.md")
)


def commands_record(folder: str, steps: Sequence[Step]) -> dict[str, Any]:
    """Return the content of `RENDER`: the folder of the outputs, and the recorded commands."""
    return {"format": FORMAT, "folder": folder, "steps": [step.to_json() for step in steps]}


def read_commands(record: Any, name: object) -> tuple[str, list[Step]]:
    """Return the folder of the outputs and the recorded commands, from the content of `RENDER`.

    Args:
        record: what the file holds.
        name: of the file, for messages.

    Raises:
        InputError: it is of another format, lacks something, or a step cannot be read.
    """
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{name}: is not of format {FORMAT}")
    folder, steps = record.get("folder"), record.get("steps")
    if not isinstance(folder, str) or not isinstance(steps, list):
        raise InputError(f"{name}: lacks `folder` or `steps`")
    return folder, [Step.from_json(step) for step in steps]

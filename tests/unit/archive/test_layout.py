"""The record of commands in an archive: read back as it was written, or refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from w2dual.archive import layout
from w2dual.archive.steps import Step
from w2dual.records import InputError

STEP = Step("cost_table", ("cost-table", "--out", "a.tex"), ("a.csv",), ("a.tex",))


def test_what_is_written_is_read():
    record = layout.commands_record("runs/smoke", [STEP])
    assert layout.read_commands(record, layout.RENDER) == ("runs/smoke", [STEP])


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([], "is not of format 1"),
        ({"format": 2, "folder": ".", "steps": []}, "is not of format 1"),
        ({"format": 1, "steps": []}, "lacks `folder` or `steps`"),
        ({"format": 1, "folder": ".", "steps": {}}, "lacks `folder` or `steps`"),
    ],
)
def test_another_record_is_refused(record: Any, said: str):
    with pytest.raises(InputError, match=f"^render.json: {said}"):
        layout.read_commands(record, "render.json")

"""Systems are found by their modules, in the order of the schema's sections."""

from pathlib import Path

import pytest

from w2dual import closure
from w2dual.config import schema, systems
from w2dual.records import InputError

FOLDER = Path(systems.__file__).parent


def test_each_module_is_a_system_in_the_schemas_order():
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base"}
    assert list(systems.SYSTEMS) == [name for name in schema.read()["required"] if name in modules]
    assert modules == set(systems.SYSTEMS)


def test_a_digest_of_the_grid_is_of_all_systems():
    files = closure.closure(["config.grid"])
    assert {f"w2dual/config/systems/{name}.py" for name in systems.SYSTEMS} <= set(files)


def test_a_system_without_a_section_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closure, "every", lambda room: ["lagrangian", "transport"])
    with pytest.raises(InputError, match=r"systems/transport\.py: the config has no section"):
        systems._found()

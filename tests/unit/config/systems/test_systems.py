"""Systems are found by their modules, in the order of the schema's sections."""

from pathlib import Path

import pytest
from tests.unit.settings import PAPER

from w2dual import closure
from w2dual.config import reader, schema, systems
from w2dual.config.systems import SYSTEMS
from w2dual.records import InputError

WITH_ALL = {
    "measures": {
        "palettes": {"folder": "images"},
        "discrete": {"sphere": {"raster": "people.tif"}},
    },
}
"""What a user brings: images, and a raster of people."""
FOLDER = Path(systems.__file__).parent


def test_each_module_is_a_system_in_the_schemas_order():
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base"}
    assert list(systems.SYSTEMS) == [name for name in schema.read()["required"] if name in modules]
    assert modules == set(systems.SYSTEMS)


def test_a_digest_of_the_grid_is_of_all_systems():
    files = closure.closure(["config.grid"])
    assert {f"w2dual/config/systems/{name}.py" for name in systems.SYSTEMS} <= set(files)


@pytest.mark.parametrize("name", systems.ADDITIONS)
def test_what_a_system_adds_is_of_a_config_that_has_its_cells(name: str):
    added = systems.ADDITIONS[name]
    config = reader.merge(PAPER, WITH_ALL)
    assert SYSTEMS[name].cells(config)
    assert set(added.drawn(config)) == set(added.own_figures)
    assert all(
        settings(config)["preset"] == PAPER["preset"] for settings in added.settings.values()
    )
    assert all(name.startswith("results/") for name in added.studies(config))
    none = reader.merge(config, {name: {"methods": []}})
    assert not SYSTEMS[name].cells(none)
    assert not SYSTEMS[name].pairs(none)


def test_figures_are_of_the_tasks_that_there_are():
    drawn = systems.ADDITIONS["meta_sinkhorn"].drawn
    assert drawn(PAPER) == ["meta_errors", "meta_interpolation"]  # the sphere has no raster
    assert drawn(reader.merge(PAPER, {"meta_sinkhorn": {"tasks": ["sphere"]}})) == ["meta_errors"]


def test_a_system_without_a_section_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closure, "every", lambda room: ["lagrangian", "transport"])
    with pytest.raises(InputError, match=r"systems/transport\.py: the config has no section"):
        systems._found()

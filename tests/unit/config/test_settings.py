"""The typed settings of cells say what their records say, and move no hash."""

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.unit.settings import PAPER

from w2dual.config import reader
from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in, grid
from w2dual.config.settings import EvaluationSettings, SyntheticEvaluationSettings
from w2dual.records import InputError, read_json

ROOT = Path(__file__).parents[3]
RECORDS = sorted((ROOT / "reference" / "paper").glob("*.json"))
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


def test_typed_settings_are_those_of_the_record():
    for cell in grid(PAPER):
        for section in ("training", "pretraining", "evaluation", "logging"):
            typed = asdict(getattr(cell, section))
            assert typed.keys() >= cell.settings[section].keys()
            defaults = {"block": 2048, "shared_batches": False, "seeds_at_once": None}
            for key, value in typed.items():
                assert value == cell.settings[section].get(key, defaults.get(key))
        assert list(cell.seeds) == cell.settings["seeds"]
        for part in ("potential", "amortization_model", "amortization", "solver"):
            assert getattr(cell.typed, part) == cell.settings.get(part, {})


def test_cells_on_the_plane_have_settings_of_their_own():
    assert {type(cell.evaluation) for cell in cells_in("hd", PAPER)} == {EvaluationSettings}
    on_plane = {type(cell.evaluation) for cell in cells_in("synthetic", PAPER)}
    assert on_plane == {SyntheticEvaluationSettings}


@pytest.mark.parametrize("preset", [None, *PRESETS], ids=lambda path: path and path.stem)
def test_every_record_goes_there_and_back_to_the_same_bytes(preset: Path | None):
    files = [ROOT / "config.yaml", *([preset] if preset else [])]
    for cell in grid(reader.load(files)):
        text = json.dumps(cell.to_json())
        again = Cell.from_json(json.loads(text))
        assert json.dumps(again.to_json()) == text
        assert (again, again.hash) == (cell, cell.hash)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_hashes_of_trained_cells_stay(path: Path):
    """The hash was taken when the cell was trained."""
    record = read_json(path)["cell"]
    cell = Cell.from_json(record)
    assert cell.hash == record["hash"]
    assert json.dumps(cell.to_json()) == json.dumps(record)
    today = next(item for item in cells_in("hd", PAPER) if item.name == cell.name)
    seeds = {"seeds": record["settings"]["seeds"]}
    assert Cell.from_json(today.to_json() | {"settings": today.settings | seeds, "hash": cell.hash})


def changed(section: str | None, key: str, value: Any = None) -> dict[str, Any]:
    """The record of a cell with another value of a setting, or without it."""
    record = copy.deepcopy(grid(PAPER)[0].to_json())
    del record["hash"]
    node = record["settings"] if section is None else record["settings"][section]
    node.pop(key, None)
    if value is not None:
        node[key] = value
    return record


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (changed("training", "batch_size"), "`settings.training` lacks `batch_size`"),
        (changed("training", "batch_size", "64"), "`settings.training.batch_size` is '64'"),
        (changed("training", "batch_sise", 64), "`settings.training` has the unknown key"),
        (changed("evaluation", "samples", 1.5), "`settings.evaluation.samples` is 1.5"),
        (changed("evaluation", "epsilon", "x"), "`settings.evaluation.epsilon` is 'x'"),
        (changed("logging", "every"), "`settings.logging` lacks `every`"),
        (changed("pretraining", "bound", [5]), "`settings.pretraining.bound` is [5]"),
        (changed(None, "pretraining"), "`settings` lacks `pretraining`"),
        (changed(None, "solver"), "`settings` lacks `solver`"),
        (changed("solver", "kind"), "`settings.solver` lacks `kind`"),
        (changed("potential", "kind", 3), "`settings.potential` lacks `kind`"),
        (changed(None, "method", {"rate": 1}), "`settings.method` lacks `kind`"),
        (changed(None, "method", "dual"), "`settings.method` is 'dual'; expected a mapping"),
        (changed(None, "trainin", {}), "`settings` has the unknown key `trainin`"),
    ],
)
def test_a_wrong_setting_of_a_record_is_named(record: dict[str, Any], said: str):
    with pytest.raises(InputError) as caught:
        Cell.from_json(record)
    assert str(caught.value).startswith(f"cell {record['name']}: {said}")


def test_an_unknown_field_of_a_record_is_named():
    record = grid(PAPER)[0].to_json() | {"potentiall": "icnn"}
    with pytest.raises(InputError, match="`potentiall` .did you mean `potential`"):
        Cell.from_json(record)

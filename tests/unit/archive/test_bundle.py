"""What goes into an archive; that it passes its own verification is in `test_verify`."""

import json
import re
from pathlib import Path

import pytest
from tests.unit.settings import PAPER

from w2dual.archive import bundle, commands
from w2dual.config import arguments, reader, strict_yaml
from w2dual.config.systems import SYSTEMS

ROOT = Path(__file__).parents[3]

PATHS = {
    "metric_recovery": {"weights": {"circle": "/home/me/circle.pt"}},
    "measures": {
        "benchmark": {"mirror": "/data/mirror"},
        "palettes": {"folder": "~/pictures"},
        "discrete": {"sphere": {"raster": "/data/people.tif"}},
        "synthetic": {"images": {"source": "/data/one.png", "target": "pictures/two.png"}},
        "snapshots": {"circle": {"file": "/data/circle.pt"}},
    },
}


def test_the_config_of_an_archive_names_no_folder_of_this_machine():
    found = bundle._without_paths(reader.merge(PAPER, PATHS))
    named = {
        "metric_recovery": {"weights": {"circle": "circle.pt"}},
        "measures": {
            "benchmark": {"mirror": None},
            "palettes": {"folder": "pictures"},
            "discrete": {"sphere": {"raster": "people.tif"}},
            "synthetic": {"images": {"source": "one.png", "target": "pictures/two.png"}},
            "snapshots": {"circle": {"file": "circle.pt"}},
        },
    }
    assert found == json.loads(json.dumps(reader.merge(PAPER, named)))


@pytest.mark.parametrize("preset", [None, "smoke", "laptop"])
def test_the_config_of_an_archive_says_the_same_settings_in_the_same_order(preset: str | None):
    """What a table shows in the config's order is compared with what the archive's config says."""
    more = [ROOT / "presets" / f"{preset}.yaml"] if preset else []
    config = reader.load([ROOT / "config.yaml", *more])
    again = strict_yaml.parse(strict_yaml.dump(bundle._without_paths(config)), "config.yaml")
    assert commands.ADDED
    for job, adds in commands.ADDED.items():
        assert adds.settings[job](again) == adds.settings[job](config)


def test_no_command_of_an_archive_names_a_folder_of_this_machine():
    """Commands say settings as the archive's config does, which has no full paths."""
    config = reader.load([ROOT / "config.yaml"])
    named = reader.merge(config, PATHS)
    said = [adds.settings[job](named) for job, adds in commands.ADDED.items()]
    sections = [name for name in SYSTEMS if name in config]
    said += [arguments.settings_table(named, section) for section in sections]
    archived = bundle._without_paths(named)
    again = [arguments.settings_table(archived, section) for section in sections]
    assert said[-len(sections) :] == again
    assert "circle.pt" in json.dumps(said)
    assert not re.search(r'"[/~]', json.dumps(said))

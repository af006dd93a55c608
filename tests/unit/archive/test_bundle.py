"""What goes into an archive; that it passes its own verification is in `test_verify`."""

import json

from tests.unit.settings import PAPER

from w2dual.archive import bundle
from w2dual.config import reader

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

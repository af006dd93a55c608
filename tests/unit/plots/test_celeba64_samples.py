"""Which cells the figure of images shows, and that pixels are where they belong."""

from pathlib import Path
from typing import Any

import numpy as np

from w2dual.plots import celeba64_samples as figure
from w2dual.records import read_json, write_json

COLUMN = "l2_uvp_forward_percent"


def cell(folder: Path, pair: str, name: str, *errors: float | None) -> tuple[Path, Path, Path]:
    """The files of a cell; an error None is of a seed that diverged."""
    seeds: list[dict[str, Any]] = [
        {"seed": i, "status": "diverged" if error is None else "finished", COLUMN: error}
        for i, error in enumerate(errors)
    ]
    record = {"cell": {"pair": pair, "name": name}, "headline": {"column": COLUMN}, "seeds": seeds}
    path = folder / f"{pair}-{name}.json"
    write_json(path, record)
    return folder / name, path, folder / pair


def test_the_best_and_the_worst_of_each_pair_are_chosen(tmp_path: Path):
    files = [
        cell(tmp_path, "early", "middle", 2.0, 2.0),
        cell(tmp_path, "early", "worst", None, 3.0),
        cell(tmp_path, "early", "best", 1.0, 2.5),
        cell(tmp_path, "early", "gone", None, None),
        cell(tmp_path, "late", "only", 5.0),
    ]
    chosen = [paths[0].name for paths in figure.choose(files)]
    assert chosen == ["best", "worst", "only"]
    # Named by the figure, and not drawn.
    assert figure.choose(files[3:4]) == files[3:4]


def test_a_diverged_seed_makes_a_cell_worse_than_one_without(tmp_path: Path):
    sound = cell(tmp_path, "early", "sound", 0.5, 0.5, 0.5)
    mostly = cell(tmp_path, "early", "mostly", 0.1, None, None)
    one = cell(tmp_path, "early", "one", None, 0.2, 0.2)
    not_finite = cell(tmp_path, "early", "not_finite", 0.1, 0.1, 0.1)
    record = read_json(not_finite[1])
    record["seeds"][1][COLUMN] = None
    write_json(not_finite[1], record)

    def ends(*files: tuple[Path, Path, Path]) -> list[str]:
        return [paths[0].name for paths in figure.choose(files)]

    assert ends(mostly, one, sound) == ["sound", "mostly"]
    assert ends(mostly, one) == ["one", "mostly"]
    assert ends(not_finite, sound) == ["sound", "not_finite"]
    words = [figure.error_words(read_json(files[1])) for files in (sound, mostly)]
    assert words == ["0.5 % forward", "2 of 3 seeds diverged"]


def test_images_lie_side_by_side():
    images = np.full((2, 3, 4, 4), -1.0, np.float32)
    images[1, 2, 0, 3] = 1.0  # blue, first row, fourth column of the second
    images[0, 0, 3, 0] = 7.0  # red, beyond what can be shown
    strip = figure.strip(images.reshape(2, -1))
    assert strip.shape == (4, 8, 3)
    assert strip[0, 7].tolist() == [0, 0, 1]
    assert strip[3, 0].tolist() == [1, 0, 0]
    assert strip.sum() == 2

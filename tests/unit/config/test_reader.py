"""The config: what is merged, what is refused, and whether the message names the key."""

import math
from pathlib import Path

import pytest
import yaml
from tests.unit.config.changed import load, refusal

from w2dual.config import places, reader
from w2dual.config.grid import cells_in, grid
from w2dual.records import InputError
from w2dual.results.baselines import published_values

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "config.yaml"
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
KEPT_PRESETS = sorted((ROOT / "reference").glob("*/*.yaml"))

PARSED = reader.load([PAPER])


# ---------------------------------------------------------------- what is valid


def test_paper_is_valid_and_fills_the_root():
    paper = PARSED
    assert paper == yaml.safe_load(PAPER.read_text())
    assert not paper["preset"]["reduced"]
    assert reader.output_folder(paper) == "."
    published = ["hd2", "hd4", "hd8", "hd16", "hd32", "hd64", "hd128", "hd256"]
    images = [f"celeba64_{part}" for part in ("generator", "early", "mid", "late")]
    named = [*paper["measures"]["synthetic"], "mnist"]  # the sphere has no raster
    snapshots = ["circle", "mass_splitting", "x_paths"]
    assert sorted(reader.pairs(paper)) == sorted(published + images + named + snapshots)


def test_pairs_come_with_what_prepares_them():
    pairs = reader.pairs(PARSED)
    assert pairs["hd4"] == {"kind": "benchmark"} | PARSED["measures"]["benchmark"]
    assert pairs["circles"] == {
        "kind": "synthetic",
        "source": "circle_big",
        "target": "circle_small",
    }
    assert pairs["images"]["kind"] == "images"
    # One mirror and one URL for all published files.
    places = {key: PARSED["measures"]["benchmark"][key] for key in ("mirror", "url")}
    assert pairs["celeba64_mid"] == {"kind": "celeba64"} | PARSED["measures"]["celeba64"] | places


def test_measures_of_no_method_are_not_prepared():
    sections = ("lagrangian", "metric_recovery", "meta_sinkhorn", "meta_color")
    config = load(yaml.safe_dump({name: {"methods": []} for name in sections}))
    assert {cell.pair for cell in grid(config)} == {*reader.pairs(config)} - {
        places.CELEBA64_GENERATOR
    }
    gone = {*reader.pairs(PARSED)} - {*reader.pairs(config)}
    assert {"circle", "x_paths", "mnist"} <= gone


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_are_valid_and_shrink_budgets_alone(path: Path):
    paper, preset = PARSED, reader.load([PAPER, path])
    assert preset["preset"]["name"] == path.stem
    assert preset["preset"]["reduced"]
    assert reader.output_folder(preset) == f"runs/{path.stem}"
    for key in ("potentials", "methods"):  # a preset may have fewer, but none of its own
        assert [entry for entry in paper["hd"][key] if entry in preset["hd"][key]] == preset["hd"][
            key
        ]
    # The paper's own has no images and no raster of people, which the user brings.
    brought = {"palettes": {"folder": "images"}, "discrete": {"sphere": {"raster": "people.tif"}}}
    known = reader.pairs(reader.merge(paper, {"measures": brought}))
    added: set[str] = set()
    if path.stem == "plane":  # the one that says in its label what else it changes
        added = {"icnn_sharp"}
        assert "sharp softplus in place of leaky ReLU" in preset["preset"]["label"]
    elif path.stem == "smoke":
        assert preset["hd"]["potentials"] == paper["hd"]["potentials"]
        for part in ("amortization", "solver"):  # each once, not all their combinations
            assert {method[part] for method in preset["hd"]["methods"]} == {
                method[part] for method in paper["hd"]["methods"]
            }
        potentials = {cell.potential for cell in cells_in("synthetic", preset)}
        assert potentials == {cell.potential for cell in cells_in("synthetic", paper)}
        kinds = {settings["kind"] for settings in reader.pairs(preset).values()}
        assert kinds == {settings["kind"] for settings in known.values()} - {"sphere"}
    elif path.stem.startswith("ours"):  # studies of one method of the paper's, and of ours
        added = {"mlp_softplus"} if path.stem == "ours" else set()
        assert {"method": "ours"} in preset["hd"]["more_methods"]
        assert len(preset["hd"]["methods"]) == 1
    else:
        assert preset["hd"]["methods"] == paper["hd"]["methods"]
        assert preset["hd"]["potentials"] == paper["hd"]["potentials"]
    assert {k: v for k, v in preset["potentials"].items() if k not in added} == paper["potentials"]
    for key in ("amortization_model", "amortizations", "solvers"):
        assert preset[key] == paper[key]
    assert preset["measures"]["synthetic"] == paper["measures"]["synthetic"]
    assert preset["synthetic"]["figures"].keys() == paper["synthetic"]["figures"].keys()
    names = [
        {cell.name for cell in cells_in("synthetic", given) if cell.potential not in added}
        for given in (preset, paper)
    ]
    assert names[0] <= names[1]
    assert reader.pairs(preset).keys() <= known.keys()


def test_presets_are_found():
    assert {path.stem for path in PRESETS} >= {"smoke", "laptop"}


@pytest.mark.parametrize(
    "path",
    [path for path in (*PRESETS, *KEPT_PRESETS) if path.stem != "paper_budget"],
    ids=lambda path: path.stem,
)
def test_a_reduced_preset_leaves_no_cell_at_the_papers_steps(path: Path):
    """Nor of a method that was added after it was written. What has few by itself may stay."""
    steps = {cell.name: cell.training.iterations for cell in grid(PARSED)}
    preset = reader.load([PAPER, path])
    assert [
        cell.name
        for cell in grid(preset)
        if cell.training.iterations > 1000
        and cell.training.iterations >= steps.get(cell.name, math.inf)
    ] == []


def test_kept_runs_of_the_benchmarks_methods_train_those_alone():
    """Besides `hd` and `synthetic`, which cannot be empty."""
    published = {*published_values(ROOT / "tables" / "published")["method"]} - {""}
    for path in KEPT_PRESETS:
        preset = reader.load([PAPER, path])
        cells = cells_in("baselines", preset)
        assert {cell.amortization for cell in cells} == published
        kept = [*cells, *cells_in("hd", preset), *cells_in("synthetic", preset)]
        assert len(grid(preset)) == len(kept)


def test_merge_goes_into_mappings_and_replaces_all_else():
    base = {"a": {"b": 1, "c": [1, 2, 3]}, "d": {"e": 1}, "f": 1}
    over = {"a": {"c": [9]}, "d": None, "g": {"h": 1}}
    assert reader.merge(base, over) == {
        "a": {"b": 1, "c": [9]},
        "d": None,
        "f": 1,
        "g": {"h": 1},
    }
    assert base == {"a": {"b": 1, "c": [1, 2, 3]}, "d": {"e": 1}, "f": 1}


def test_empty_file_changes_nothing(tmp_path: Path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert reader.load([PAPER, path]) == PARSED


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("kind", ["hd", "synthetic"])
def test_history_between_log_lines(kind: str):
    message = refusal(f"{kind}: {{evaluation: {{history_every: 2500}}}}")
    assert f"`{kind}.evaluation.history_every`" in message
    assert f"2500 is not a multiple of `{kind}.logging.every` = 1000" in message
    load(f"{kind}: {{evaluation: {{history_every: 2500}}, logging: {{every: 500}}}}")


@pytest.mark.parametrize("kind", ["hd", "synthetic"])
def test_pretraining_that_could_not_stop_early(kind: str):
    message = refusal(f"{kind}: {{pretraining: {{iterations: 100, min_iterations: 101}}}}")
    assert f"`{kind}.pretraining.min_iterations`" in message


# ---------------------------------------------------------------- the files


def test_key_given_twice_in_a_file(tmp_path: Path):
    path = tmp_path / "over.yaml"
    path.write_text("tables: {decimals: 1}\nhd:\n  seeds: [0]\n  seeds: [1]\n")
    with pytest.raises(InputError, match=r"over\.yaml, line 4: duplicate key `seeds`"):
        reader.load([PAPER, path])


def test_files_are_merged_and_checked_together(tmp_path: Path):
    path = tmp_path / "over.yaml"
    path.write_text("hd: {dimensions: [2, 3]}\n")
    with pytest.raises(InputError, match="n = 3"):
        reader.load([PAPER, path])
    path.write_text("hd: {dimensions: [2]}\nbaselines: {dimensions: [2]}\n")
    found = reader.pairs(reader.load([PAPER, path]))
    assert [name for name in found if name.startswith("hd")] == ["hd2"]


@pytest.mark.parametrize(
    "content",
    [b"a: [1\n", b"- a\n", b"hello\n", b"preset: {label: \xff}\n", b"{[a]: 1}\n", b"\x00"],
    ids=["syntax", "list", "text", "not-utf-8", "list-as-key", "binary"],
)
def test_file_that_is_no_config_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        reader.load([PAPER, path])


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.yaml"):
        reader.load([tmp_path / "none.yaml"])

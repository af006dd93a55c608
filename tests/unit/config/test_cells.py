"""The grid: which cells there are, in which order, and that each setting reaches its cell."""

import copy
import csv
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2dual import amortization, conjugate, potentials
from w2dual.config.assembly import hidden_widths
from w2dual.config.cells import Cell
from w2dual.config.grid import cells_in, grid
from w2dual.config.reader import load
from w2dual.config.rows import OWN
from w2dual.config.schema import SCHEMA
from w2dual.config.settings import CubePretrainingSettings
from w2dual.records import InputError, short_hash
from w2dual.training import methods
from w2dual.training.methods.base import Reversed

ROOT = Path(__file__).parents[3]
Config = dict[str, Any]
Leaf = tuple[str, ...]

PAPER_METHODS = [  # rows of tables 2 and 3 of the paper
    "cycle-none",
    "objective-none",
    "cycle-lbfgs",
    "objective-lbfgs",
    "regression-lbfgs",
    "cycle-adam",
    "objective-adam",
    "regression-adam",
]
PAPER = load([ROOT / "config.yaml"])


def leaves(tree: Any, path: Leaf = ()) -> Iterator[Leaf]:
    """Paths to everything below that is no mapping."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def get(tree: Any, path: Leaf) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def with_leaf(config: Config, path: Leaf, value: Any) -> Config:
    changed = copy.deepcopy(config)
    get(changed, path[:-1])[path[-1]] = value
    return changed


def another(value: Any) -> Any:
    """A value that differs, and fits as far as the grid reads it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 + 1
    if value == "paper":
        return [5, 6]
    if isinstance(value, str):
        return value + "_other"
    if value is None:
        return 1
    return value[:-1]


# ---------------------------------------------------------------- which cells


@pytest.mark.parametrize(
    ("preset", "count", "dimensions"),
    [
        (None, 128, [2, 4, 8, 16, 32, 64, 128, 256]),
        ("smoke", 6, [2]),
        ("laptop", 48, [2, 4, 8]),
    ],
)
def test_names_are_the_tables_in_the_papers_order(
    preset: str | None, count: int, dimensions: list[int]
):
    files = [ROOT / "config.yaml"] + ([ROOT / "presets" / f"{preset}.yaml"] if preset else [])
    config = load(files)
    names = [cell.name for cell in cells_in("hd", config)]
    assert [cell.name for cell in grid(config)][:count] == names
    assert len(names) == count
    chosen = {f"{m['amortization']}-{m['solver']}" for m in config["hd"]["methods"]}
    assert names == [
        f"hd{n}-{potential}-{method}"
        for potential in ("icnn", "mlp")
        for method in PAPER_METHODS
        if method in chosen
        for n in dimensions
    ]


@pytest.mark.parametrize(
    ("preset", "count"),
    [(None, 21), ("smoke", 5), ("laptop", 21)],
    ids=["paper", "smoke", "laptop"],
)
def test_names_on_the_plane_are_in_the_order_of_the_grids(preset: str | None, count: int):
    files = [ROOT / "config.yaml"] + ([ROOT / "presets" / f"{preset}.yaml"] if preset else [])
    config = load(files)
    names = [cell.name for cell in cells_in("synthetic", config)]
    assert names == [
        f"{pair}-{potential}-{method['amortization']}-{method['solver']}"
        for part in config["synthetic"]["grids"]
        for pair in part["pairs"]
        for potential in part["potentials"]
        for method in part["methods"]
    ]
    assert len(names) == count
    assert [cell.name for cell in grid(config)] == [
        *(cell.name for cell in cells_in("hd", config)),
        *(cell.name for cell in cells_in("baselines", config)),
        *names,
        *(cell.name for cell in cells_in("celeba64", config)),
        *(cell.name for cell in cells_in("celeba64_baselines", config)),
        *(cell.name for cell in cells_in("meta_sinkhorn", config)),
        *(cell.name for cell in cells_in("meta_color", config)),
        *(cell.name for cell in cells_in("lagrangian", config)),
        *(cell.name for cell in cells_in("metric_recovery", config)),
    ]


@pytest.mark.parametrize(
    ("preset", "count"), [(None, 5), ("smoke", 1), ("laptop", 6), ("plane", 0)]
)
def test_names_of_starts_are_the_tasks_with_the_methods(preset: str | None, count: int):
    files = [ROOT / "config.yaml"] + ([ROOT / "presets" / f"{preset}.yaml"] if preset else [])
    config = load(files)
    cells = cells_in("meta_sinkhorn", config)
    named = config["meta_sinkhorn"]["methods"]
    tasks = config["meta_sinkhorn"]["tasks"] if preset else ["mnist"]  # there is no raster
    assert [cell.name for cell in cells] == [
        f"{task}-{entry['method']}" for task in tasks for entry in named
    ]
    assert len(cells) == count
    for cell in cells:
        law = config["measures"]["discrete"][cell.pair]
        ends = (law["side"] ** 2,) * 2 if "side" in law else (law["supply"], law["demand"])
        assert (cell.dimension, cell.settings["method"]["targets"]) == ends
        assert cell.training.batch_size == config["meta_sinkhorn"]["training"]["batch_size"]


@pytest.mark.parametrize(
    ("preset", "count"), [(None, 24), ("smoke", 1), ("laptop", 9), ("plane", 0)]
)
def test_names_on_images_are_the_tables_in_the_papers_order(preset: str | None, count: int):
    files = [ROOT / "config.yaml"] + ([ROOT / "presets" / f"{preset}.yaml"] if preset else [])
    config = load(files)
    names = [cell.name for cell in cells_in("celeba64", config)]
    assert len(names) == count
    text = (ROOT / "tables/published/celeba64.csv").read_text(encoding="utf-8")
    published = list(csv.DictReader(text.splitlines()))
    if preset is None:
        assert names == [
            f"celeba64_{row['generator']}-conv-{row['amortization']}-{row['solver']}"
            for row in published
            if row["source"] == "paper"
        ]


@pytest.mark.parametrize(
    ("preset", "count"), [(None, 9), ("smoke", 0), ("laptop", 3), ("plane", 0)]
)
def test_the_benchmarks_own_methods_on_images(preset: str | None, count: int):
    files = [ROOT / "config.yaml"] + ([ROOT / "presets" / f"{preset}.yaml"] if preset else [])
    config = load(files)
    cells = cells_in("celeba64_baselines", config)
    assert len(cells) == count
    for cell in cells:
        made: Any = methods.make(cell.settings, cell.dimension)
        assert isinstance(made, Reversed) == ("mm_r" in cell.name)
    if preset is None:
        assert [cell.amortization for cell in cells[::3]] == [
            *("w2_images", "mm_images", "mm_r_images"),
        ]
        w2, mm = cells[0], cells[3]
        assert w2.settings["method"] == {"kind": "w2gn_images", "weight": 10_000.0}
        assert (w2.training.iterations, mm.training.iterations) == (50_001, 15_001)
        assert mm.settings["amortization_model"] == {"kind": "unet", "base": 48}
        assert w2.training.weight_decay == 0
        assert isinstance(w2.pretraining, CubePretrainingSettings)


def test_an_image_cell_has_the_papers_settings():
    cell = next(c for c in cells_in("celeba64", PAPER) if c.amortization == "cycle")
    assert cell.settings["amortization_model"] == {
        "kind": "gradient",
        "potential": cell.settings["potential"],
    }
    assert cell.settings["amortization"]["weight"] == 10_000.0
    assert cell.seeds == tuple(range(10))
    assert not cell.training.shared_batches
    method = methods.make(cell.settings, cell.dimension)
    start = method.networks["model"].start_from
    assert start is not None
    assert start[0] == "potential"


def test_the_papers_cells_on_the_plane():
    """Both networks on each pair of the published data, one more for densities, and the images."""
    method = "regression-lbfgs_high_precision"
    pairs = ["gauss8", "gauss_sq", "circles", "moons", "s_curve", "swiss", "maf_moon", "rings"]
    pairs.append("moon_to_rings")
    assert [cell.name for cell in cells_in("synthetic", PAPER)] == [
        *(f"{pair}-{kind}_leaky-{method}" for pair in pairs for kind in ("icnn", "mlp")),
        *(f"{pair}-icnn_smooth-{method}" for pair in ("maf_moon", "rings")),
        f"images-mlp_image-{method}",
    ]


def test_cell_names_its_parts():
    for cell in grid(PAPER):
        on_the_plane = cell.pair in PAPER["measures"]["synthetic"]
        on_images = cell.pair in {f"celeba64_{g}" for g in PAPER["celeba64"]["generators"]}
        of_weights = cell.pair == "mnist"  # the paper's config names no raster for the sphere
        snapshots = PAPER["measures"]["snapshots"].get(cell.pair)
        assert (
            cell.pair == f"hd{cell.dimension}"
            or (on_the_plane and cell.dimension == 2)
            or (on_images and cell.dimension == 3 * 64 * 64)
            or (snapshots and cell.dimension == 2 * (snapshots["times"] - 1))
            or (of_weights and cell.dimension == 28 * 28)
        )
        setting = cell.name.partition("-")[0]  # of a Lagrangian cost, whose pair is that of all
        pair = setting if "obstacle" in cell.settings else cell.pair
        parts = [pair, cell.potential, cell.amortization, cell.solver]
        if cell.potential == OWN:
            parts.remove(OWN)
            assert cell.name == "-".join(parts[:2])
            continue
        # A method of `methods` that names its solver, or takes none, has no solver in its name.
        assert cell.name == "-".join(parts[:3] if "method" in cell.settings else parts)


@pytest.mark.parametrize(
    ("n", "expected"),
    [(2, [64, 64, 32]), (32, [64, 64, 32]), (64, [128, 128, 64]), (256, [512, 512, 256])],
)
def test_hidden_widths_of_the_paper(n: int, expected: list[int]):
    assert hidden_widths("paper", n) == expected
    for cell in cells_in("hd", PAPER):
        if cell.dimension == n:
            assert cell.settings["potential"]["hidden"] == expected
            assert cell.settings["amortization_model"]["hidden"] == expected


def test_hidden_widths_may_be_given():
    cell = grid(with_leaf(PAPER, ("hd", "training", "hidden"), [5, 6]))[0]
    assert cell.settings["potential"]["hidden"] == [5, 6]
    assert cell.settings["amortization_model"]["hidden"] == [5, 6]


def test_hidden_widths_on_the_plane_are_those_of_the_grid():
    widths = {
        cell.potential: cell.settings["potential"]["hidden"]
        for cell in cells_in("synthetic", PAPER)
    }
    leaky = [128, 128]
    assert widths == {
        "icnn_leaky": leaky,
        "mlp_leaky": leaky,
        "icnn_smooth": leaky,
        "mlp_image": [512, 512],
    }
    changed = copy.deepcopy(PAPER)
    changed["synthetic"]["grids"][1]["hidden"] = [7]
    for old, new in zip(cells_in("synthetic", PAPER), cells_in("synthetic", changed), strict=True):
        assert new.settings["amortization_model"]["hidden"] == [512, 512]
        assert (old.hash != new.hash) == (new.potential == "icnn_smooth")
        if old.hash != new.hash:
            assert new.settings["potential"]["hidden"] == [7]


def test_cycle_weight_is_the_dimension_or_a_number():
    weights = {
        c.dimension: c.settings["amortization"]["weight"]
        for c in cells_in("hd", PAPER)
        if c.amortization == "cycle"
    }
    assert weights == {n: float(n) for n in PAPER["hd"]["dimensions"]}
    fixed = with_leaf(PAPER, ("amortizations", "cycle", "weight"), 2.5)
    assert {
        c.settings["amortization"]["weight"]
        for c in cells_in("hd", fixed)
        if c.amortization == "cycle"
    } == {2.5}
    plane = copy.deepcopy(PAPER)
    plane["synthetic"]["grids"][0]["methods"] = [{"amortization": "cycle", "solver": "none"}]
    assert cells_in("synthetic", plane)[0].settings["amortization"]["weight"] == 2.0


def test_grid_leaves_the_config_alone():
    before = copy.deepcopy(PAPER)
    grid(PAPER)
    assert before == PAPER


# ---------------------------------------------------------------- what reaches a cell

# Grid axes become cells and names; the others stand for something that has one choice so far.
AXES = {("hd", "dimensions"), ("hd", "potentials"), ("hd", "methods"), ("synthetic", "grids")}
AXES |= {("celeba64", "generators"), ("celeba64", "potentials"), ("celeba64", "methods")}
ONE_CHOICE = {("hd", "measures", "kind"), ("hd", "seeds_per_job")}
ONE_CHOICE |= {("celeba64", "amortization_model", "kind"), ("celeba64", "dimension")}
# These move no number, so they are no settings of a cell.
NO_NUMBER = {("checkpoint", "every_s"), ("checkpoint", "keep")} | {
    ("synthetic", "figures", *path) for path in leaves(PAPER["synthetic"]["figures"])
}
HD_LEAVES, SYNTHETIC_LEAVES, IMAGE_LEAVES = (
    [p for p in leaves({section: PAPER[section]}) if p not in AXES | ONE_CHOICE | NO_NUMBER]
    for section in ("hd", "synthetic", "celeba64")
)
BASELINE_LEAVES = [
    path
    for section in ("baselines", "celeba64_baselines")
    for path in leaves({section: PAPER[section]})
    if ("hd", *path[1:]) not in AXES | ONE_CHOICE
]
LAGRANGIAN_LEAVES = [
    path
    for path in leaves({"lagrangian": PAPER["lagrangian"]})
    if path[1:] not in {("methods",), ("pair",)} and path[-1] != "kind"
]
SETS = PAPER["metric_recovery"]["sets"]
RECOVERY_LEAVES = [
    path
    for path in leaves({"metric_recovery": PAPER["metric_recovery"]})
    if path[1] not in {"methods", "sets", "weights"}
]
START_LEAVES = [
    path
    for path in leaves({"meta_sinkhorn": PAPER["meta_sinkhorn"]})
    if path[1] in ("seeds", "training", "evaluation")
]
METHOD_LEAVES = [
    path
    for section in ("potentials", "amortization_model", "amortizations", "solvers")
    for path in leaves({section: PAPER[section]})
]


@functools.cache
def every_method() -> Config:
    """The paper's config at n = 2 with cells of every potential, loss and solver it names."""
    config = copy.deepcopy(PAPER)
    config["hd"]["dimensions"], config["baselines"]["dimensions"] = [2], [2]
    config["hd"]["methods"] += [
        {"amortization": "none", "solver": "lbfgs"},
        {"amortization": "regression", "solver": "lbfgs_high_precision"},
    ]
    config["celeba64"]["potentials"] = ["conv", "conv_small"]
    for name, potential in (("w2", "conv_icnn_small"), ("mm", "resnet_small")):
        small = config["methods"][f"{name}_images"] | {"potential": potential}
        config["methods"][f"{name}_small"] = small
        config["celeba64_baselines"]["methods"].append({"method": f"{name}_small"})
    return config


@functools.cache
def its_cells() -> tuple[tuple[Cell, str], ...]:
    """The cells of `every_method`, each with its hash."""
    return tuple((cell, cell.hash) for cell in grid(every_method()))


@functools.cache
def names_of(section: str) -> set[str]:
    """Names of the cells of a section."""
    return {cell.name for cell in cells_in(section, every_method())}


def changed_cells(path: Leaf) -> set[str]:
    """Names of the cells whose settings another value of the leaf changes."""
    after = with_leaf(every_method(), path, another(get(every_method(), path)))
    changed = set()
    for (old, old_hash), new in zip(its_cells(), grid(after), strict=True):
        differs = old_hash != new.hash
        assert differs == (old.settings != new.settings)
        if differs:
            changed.add(old.name)
    return changed


@pytest.mark.parametrize("path", HD_LEAVES, ids=".".join)
def test_each_training_setting_reaches_every_cell_of_the_benchmark(path: Leaf):
    assert changed_cells(path) == names_of("hd")


@pytest.mark.parametrize("path", SYNTHETIC_LEAVES, ids=".".join)
def test_each_training_setting_reaches_every_cell_on_the_plane(path: Leaf):
    assert changed_cells(path) == names_of("synthetic")


@pytest.mark.parametrize("path", IMAGE_LEAVES, ids=".".join)
def test_each_training_setting_reaches_every_cell_on_images(path: Leaf):
    users = cells_in("celeba64", every_method())
    if path == ("celeba64", "cycle_weight"):
        users = [cell for cell in users if cell.amortization == "cycle"]
    assert changed_cells(path) == {cell.name for cell in users}


@pytest.mark.parametrize("path", BASELINE_LEAVES, ids=".".join)
def test_each_training_setting_reaches_the_benchmarks_own_methods(path: Leaf):
    """But for what a method sets itself."""
    own = {
        name
        for name, entry in every_method()["methods"].items()
        if path[1] == "training" and path[2] in entry.get("training", {})
    }
    cells = cells_in(path[0], every_method())
    assert changed_cells(path) == {cell.name for cell in cells if cell.amortization not in own}


@pytest.mark.parametrize("path", LAGRANGIAN_LEAVES, ids=".".join)
def test_each_training_setting_reaches_the_cells_of_lagrangian_costs(path: Leaf):
    """But for what a method sets itself, or has no use for: widths, and annealing."""
    own = {
        name
        for name, entry in PAPER["methods"].items()
        if (path[1] == "training" and path[2] in entry.get("training", {}))
        or (path[2:] == ("hidden",) and "potential" not in entry)
        or (path[-1].startswith("start_") and "action" not in entry)
    }
    cells = cells_in("lagrangian", every_method())
    users = {cell.name for cell in cells if cell.amortization not in own}
    if path[1] == "settings":
        users = {name for name in users if name.startswith(f"lagrangian_{path[2]}-")}
    assert users
    assert changed_cells(path) == users


def test_what_a_method_says_of_a_setting_goes_before_its_other_settings():
    cells = {cell.name: cell.settings["method"] for cell in cells_in("lagrangian", PAPER)}
    slit, well = cells["lagrangian_slit-nlsb"], cells["lagrangian_well-nlsb"]
    assert (slit["penalty"], slit["action_weight"], slit["strength"]) == (100.0, 0.001, 1.0)
    assert (well["penalty"], well["action_weight"], well["strength"]) == (2.5, 0.01, 0.01)
    assert not any("by_setting" in method for method in cells.values())


@pytest.mark.parametrize("path", RECOVERY_LEAVES, ids=".".join)
def test_each_training_setting_reaches_the_cells_that_recover_a_metric(path: Leaf):
    """But for what a method sets itself, or has no use for: widths."""
    own = {
        name
        for name, entry in PAPER["methods"].items()
        if path[1] == "training"
        and (path[2] in entry.get("training", {}) or (path[2] == "hidden" and "hidden" in entry))
    }
    cells = cells_in("metric_recovery", PAPER)
    assert len(cells) == 9
    users = {cell.name for cell in cells if cell.amortization not in own}
    assert users
    assert changed_cells(path) == users


def test_what_a_method_says_of_a_set_goes_before_its_other_settings_and_its_trainings():
    cells = {cell.name: cell.settings for cell in cells_in("metric_recovery", PAPER)}
    found = {
        name: (own["rounds"], own["groups"], own["first_penalty"], own["later_penalty"])
        for name, own in ((name, cells[f"{name}-scarvelis"]["method"]) for name in SETS)
    }
    assert found == {
        "circle": (1, 1, 1e-3, 1e-3),
        "mass_splitting": (1, 1, 2.0, 1e-2),
        "x_paths": (1, 2, 1e-2, 1e-3),
    }
    trainings = [cells[f"{name}-scarvelis"]["training"] for name in SETS]
    assert [training["weight_decay"] for training in trainings] == [5e-2, 5e-3, 2e-2]
    # 300 steps of the potentials, and 20,000 or 6,000 of the metric.
    steps = [20_300, 6_300, 20_300]
    assert [training["iterations"] for training in trainings] == steps
    assert not any(
        "by_set" in own["method"] or "training" in own["method"] for own in cells.values()
    )


def test_a_cell_that_recovers_a_metric_takes_all_samples_of_its_set():
    cells = cells_in("metric_recovery", PAPER)
    samples = {"circle": 100, "mass_splitting": 100, "x_paths": 200}
    assert len(cells) == 9
    assert all(cell.training.batch_size == samples[cell.pair] for cell in cells)
    assert {cell.dimension for cell in cells if cell.pair == "circle"} == {48}
    bounds = [[-2.5, 15.0], [-15.0, 15.0]]
    of_one = [cell for cell in cells if cell.pair == "mass_splitting"]
    assert all(cell.settings["method"]["bounds"] == bounds for cell in of_one)


@pytest.mark.parametrize("path", START_LEAVES, ids=".".join)
def test_each_training_setting_reaches_every_cell_of_starts(path: Leaf):
    assert changed_cells(path) == names_of("meta_sinkhorn")


def test_the_settings_of_both_kinds_of_cells_are_found():
    assert {path[1] for path in HD_LEAVES} == {path[1] for path in SYNTHETIC_LEAVES}
    assert ("synthetic", "evaluation", "epsilon") in SYNTHETIC_LEAVES


@pytest.mark.parametrize("path", METHOD_LEAVES, ids=".".join)
def test_each_setting_of_a_method_reaches_the_cells_that_use_it(path: Leaf):
    section = path[0]
    # Cells on images have a model and a cycle weight of their own.
    own = section == "amortization_model" or path == ("amortizations", "cycle", "weight")
    within = (
        names_of("hd") | names_of("synthetic") if own else {cell.name for cell, _ in its_cells()}
    )
    users = {
        cell.name
        for cell, _ in its_cells()
        if cell.name in within
        and section.rstrip("s") in cell.settings
        and (
            section == "amortization_model"
            or path[1]
            == {
                "potentials": cell.potential,
                "amortizations": cell.amortization,
                "solvers": cell.solver,
            }[section]
        )
    }
    assert users
    assert changed_cells(path) == users


@pytest.mark.parametrize("path", sorted(NO_NUMBER), ids=".".join)
def test_what_moves_no_number_is_no_setting_of_a_cell(path: Leaf):
    assert changed_cells(path) == set()


def test_what_reaches_no_cell_has_one_choice():
    properties = yaml.safe_load(SCHEMA.read_text())["properties"]["hd"]["properties"]
    assert properties["measures"]["properties"] == {"kind": {"enum": ["benchmark"]}}
    assert properties["seeds_per_job"]["type"] == "null"


@pytest.mark.parametrize("name", [name for name in PAPER["solvers"] if name != "none"])
def test_each_setting_reaches_its_solver(name: str):
    settings = PAPER["solvers"][name]
    cell = next(c for c in grid(every_method()) if c.solver == name)
    solver = conjugate.make(cell.settings["solver"])
    assert vars(solver) == {key: value for key, value in settings.items() if key != "kind"}


@pytest.mark.parametrize("name", PAPER["potentials"])
def test_each_setting_reaches_its_networks(name: str):
    cell = next(c for c in grid(every_method()) if c.potential == name)
    of_images = name.startswith(("conv", "resnet"))
    n = (3 * 16 * 16 if name.endswith("small") else 3 * 64 * 64) if of_images else 2
    networks = {"potential": potentials.make(cell.settings["potential"], n)}
    if model := cell.settings.get("amortization_model"):
        networks["amortization_model"] = amortization.make_model(model, n)
    for key, network in networks.items():
        for setting, value in cell.settings[key].items():
            if setting == "potential":  # the model's own is a network
                assert networks[key].inner == networks["potential"]
            elif setting != "kind":
                # flax keeps a list as a tuple
                assert short_hash(getattr(network, setting)) == short_hash(value), setting


# ---------------------------------------------------------------- its record


def test_hashes_tell_cells_apart_and_stay_the_same():
    hashes = [cell.hash for cell in grid(PAPER)]
    assert len(set(hashes)) == 128 + 80 + 32 + 21 + 24 + 9 + 5 + 12 + 9
    assert hashes == [cell.hash for cell in grid(copy.deepcopy(PAPER))]


def test_any_setting_in_the_record_moves_the_hash():
    cell = grid(every_method())[0]
    for path in leaves(cell.settings):
        settings = with_leaf(cell.settings, path, another(get(cell.settings, path)))
        assert dataclasses.replace(cell, settings=settings).hash != cell.hash, path


def test_record_goes_there_and_back():
    for cell in grid(every_method()):
        assert Cell.from_json(cell.to_json()) == cell


def test_record_whose_settings_were_changed_is_refused():
    record = copy.deepcopy(grid(PAPER)[0].to_json())
    record["settings"]["training"]["iterations"] = 5
    with pytest.raises(InputError, match="leave the hash out") as caught:
        Cell.from_json(record)
    assert record["name"] in str(caught.value)
    del record["hash"]
    assert Cell.from_json(record).settings["training"]["iterations"] == 5


@pytest.mark.parametrize("field", ["name", "pair", "dimension", "settings"])
def test_record_that_lacks_a_field_is_refused(field: str):
    record = grid(PAPER)[0].to_json()
    del record[field]
    with pytest.raises(InputError, match=field):
        Cell.from_json(record)


def test_record_that_is_no_mapping_is_refused():
    with pytest.raises(InputError, match="cell record"):
        Cell.from_json([1, 2])  # type: ignore[arg-type]

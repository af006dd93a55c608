"""Methods as an axis of the config: what a row stands for, and the cells that come of it."""

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.config import changed

from w2dual import closure
from w2dual.config import arguments, cells, reader, rows, studies
from w2dual.config.grid import benchmark_grid, cells_in, grid
from w2dual.records import InputError
from w2dual.results.summary import TableSettings

ROOT = Path(__file__).parents[3]
PAPER = reader.load([ROOT / "config.yaml"])
WITHOUT = ("baselines", "celeba64_baselines", "meta_sinkhorn", "meta_color", "lagrangian")
WITHOUT += ("metric_recovery",)
PAPER |= {"methods": {}} | {name: PAPER[name] | {"methods": []} for name in WITHOUT}
NEEDS = {
    "affine": (),
    "critic": ("potential",),
    "fitted": ("potential", "solver"),
    "both": ("solver", "amortization", "amortization_model", "potential"),
}
"""Kinds of methods that there are in these tests, besides `dual`."""


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for modules in `training/methods`."""
    exists, constant, modules_with = (
        closure.exists,
        closure.constant,
        closure.modules_with,
    )

    def kind_of(module: str) -> str:
        return module.removeprefix(f"{cells.METHODS}.")

    def found(module: str, package: Path = closure.PACKAGE) -> bool:
        return kind_of(module) in NEEDS or exists(module, package)

    def read(module: str, name: str, package: Path = closure.PACKAGE) -> Any:
        known = NEEDS.get(kind_of(module))
        return constant(module, name, package) if known is None else known

    def with_these(room: str, function: str) -> list[str]:
        return [*modules_with(room, function), *(NEEDS if room == cells.METHODS else ())]

    monkeypatch.setattr(closure, "exists", found)
    monkeypatch.setattr(closure, "constant", read)
    monkeypatch.setattr(closure, "modules_with", with_these)


load = partial(changed.load, base=PAPER)
refusal = partial(changed.refusal, base=PAPER)


def added(methods: str, row: str, more: str = "") -> dict[str, Any]:
    """The paper's config at n = 2 with methods, and one row that is added to its own."""
    rest = f"dimensions: [2], more_methods: [{row}]"
    return load(f"methods: {methods}\nhd: {{{rest}}}\n{more}")


def new_cells(config: dict[str, Any]) -> dict[str, cells.Cell]:
    """The cells on the benchmark that `more_methods` adds."""
    before = copy.deepcopy(config)
    before["hd"]["more_methods"] = []
    known = {cell.name: cell.hash for cell in cells_in("hd", before)}
    found = {cell.name: cell for cell in cells_in("hd", config)}
    assert {name: cell.hash for name, cell in found.items() if name in known} == known
    return {name: cell for name, cell in found.items() if name not in known}


CASES = {
    # methods, row, and of each new cell: name, potential, amortization, solver
    "own networks": (
        "{maps: {kind: affine, rate: 0.1}}",
        "{method: maps}",
        [("hd2-maps", "own", "maps", "none")],
    ),
    "each potential": (
        "{gan: {kind: critic}}",
        "{method: gan}",
        [("hd2-icnn-gan", "icnn", "gan", "none"), ("hd2-mlp-gan", "mlp", "gan", "none")],
    ),
    "a potential of its own": (
        "{gan: {kind: critic, potential: mlp_image}}",
        "{method: gan}",
        [("hd2-mlp_image-gan", "mlp_image", "gan", "none")],
    ),
    "a solver by the row": (
        "{tj: {kind: fitted, potential: icnn}}",
        "{method: tj, solver: adam}",
        [("hd2-icnn-tj-adam", "icnn", "tj", "adam")],
    ),
    "a solver by the method": (
        "{tj: {kind: fitted, potential: icnn, solver: adam}}",
        "{method: tj}",
        [("hd2-icnn-tj", "icnn", "tj", "adam")],
    ),
    "a loss by the row": (
        "{x: {kind: both, potential: mlp, solver: lbfgs}}",
        "{method: x, amortization: cycle}",
        [("hd2-mlp-x-cycle", "mlp", "x-cycle", "lbfgs")],
    ),
    "dual with settings of its own": (
        "{slow: {kind: dual, potential: mlp, training: {learning_rate: 1.0e-5}}}",
        "{method: slow, amortization: cycle, solver: none}",
        [("hd2-mlp-slow-cycle-none", "mlp", "slow-cycle", "none")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_row_of_a_method_is_a_cell_more(case: str):
    methods, row, expected = CASES[case]
    config = added(methods, row)
    found = new_cells(config)
    assert [
        (name, cell.potential, cell.amortization, cell.solver) for name, cell in found.items()
    ] == expected
    for cell in found.values():
        entry = next(iter(config["methods"].values()))
        assert cells.method_kind(cell.settings) == entry["kind"]
        parts = {part for part in rows.PARTS if part in cell.settings}
        assert parts == set(cells.needs(entry["kind"]))
        assert cells.Cell.from_json(cell.to_json()) == cell
    labels = [name for name, *_ in expected]
    assert [cell.name for cell in grid(config) if cell.name in labels] == labels


def test_settings_of_a_method_reach_its_cell():
    config = added(
        "{x: {kind: both, potential: mlp, solver: adam, amortization: cycle, weight: dimension, "
        "inner: {steps: 3}, amortization_model: {kind: mlp_skip, activation: relu}, "
        "training: {batch_size: 64, b1: 0.9}, pretraining: {tolerance: 1.0e-3}}}",
        "{method: x}",
    )
    (cell,) = new_cells(config).values()
    hd = config["hd"]
    assert cell.settings["method"] == {"kind": "both", "weight": 2.0, "inner": {"steps": 3}}
    assert cell.settings["potential"] == config["potentials"]["mlp"] | {"hidden": [64, 64, 32]}
    assert cell.settings["amortization_model"]["activation"] == "relu"
    assert cell.settings["amortization_model"]["hidden"] == [64, 64, 32]
    assert cell.settings["amortization"] == {"kind": "cycle", "weight": 2.0}
    assert cell.settings["solver"] == config["solvers"]["adam"]
    assert (cell.training.batch_size, cell.training.b1) == (64, 0.9)
    assert cell.training.b2 == hd["training"]["b2"]
    assert cell.settings["pretraining"] == hd["pretraining"] | {"tolerance": 1.0e-3}
    assert cell.settings["evaluation"] == hd["evaluation"]


def test_a_method_sets_the_pretraining_that_its_grid_has():
    text = (
        "methods: {{gan: {{kind: critic, potential: mlp, "
        "pretraining: {{spread: 2.0, weight_decay: 0.5}}}}}}\n"
        "{}: {{dimensions: [2], {}: [{{method: gan}}]}}"
    )
    (cell,) = cells_in("baselines", load(text.format("baselines", "methods")))
    grids = PAPER["baselines"]["pretraining"]
    assert cell.settings["pretraining"] == grids | {"spread": 2.0, "weight_decay": 0.5}
    assert cell.settings["pretraining"] != grids
    assert refusal(text.format("hd", "more_methods")) == (
        "config key `methods.gan.pretraining.spread`: `hd.pretraining`, which it would change, has "
        "no such key; it has iterations, learning_rate, bound, tolerance, min_iterations"
    )


def test_a_grid_on_the_plane_takes_methods_too():
    grids = [
        {"pairs": ["moons", "rings"], "potentials": ["mlp_leaky"], "hidden": [4]}
        | {"methods": [{"method": "maps"}, {"method": "gan"}]}
    ]
    methods = {"maps": {"kind": "affine"}, "gan": {"kind": "critic"}}
    figures = dict.fromkeys(PAPER["synthetic"]["figures"])
    plane = {"grids": grids, "figures": figures}
    config = load(yaml.safe_dump({"methods": methods, "synthetic": plane}))
    assert [cell.name for cell in cells_in("synthetic", config)] == [
        *("moons-mlp_leaky-gan", "moons-maps", "rings-mlp_leaky-gan", "rings-maps"),
    ]
    figures["transport"] = {"pairs": ["moons"], "potential": "mlp_leaky"}
    assert "that the method `dual` trains" in refusal(
        yaml.safe_dump({"methods": methods, "synthetic": plane})
    )


REFUSED = {
    "unknown": (
        "{}",
        "{method: gan}",
        "`hd.more_methods.0.method`: unknown name `gan`; `methods` has none so far",
    ),
    "unknown kind": (
        "{gan: {kind: critik}}",
        "{method: gan}",
        "`methods.gan.kind`: there is no module w2dual.training.methods.critik of that kind; add "
        "src/w2dual/training/methods/critik.py",
    ),
    "a part it does not take": (
        "{gan: {kind: critic}}",
        "{method: gan, solver: adam}",
        "`hd.more_methods.0.solver`: the method `gan`, of the kind `critic`, takes none; it takes "
        "potential",
    ),
    "a part that its entry does not take": (
        "{maps: {kind: affine, potential: icnn}}",
        "{method: maps}",
        "`methods.maps.potential`: the method `maps`, of the kind `affine`, takes none; it takes "
        "nothing of the config",
    ),
    "a part that is missing": (
        "{tj: {kind: fitted}}",
        "{method: tj}",
        "`hd.more_methods.0` lacks `solver`, of which the method `tj` is made; name one here or in "
        "`methods.tj`",
    ),
    "a part named twice": (
        "{tj: {kind: fitted, solver: adam}}",
        "{method: tj, solver: lbfgs}",
        "`hd.more_methods.0.solver`: `methods.tj.solver` names one already",
    ),
    "an unknown part": (
        "{gan: {kind: critic, potential: cnn}}",
        "{method: gan}",
        "`methods.gan.potential`: unknown name `cnn`; `potentials` has icnn, mlp",
    ),
    "an unknown kind of model": (
        "{x: {kind: both, potential: mlp, amortization_model: {kind: nosuch}}}",
        "{method: x, amortization: cycle, solver: adam}",
        "`methods.x.amortization_model.kind`: there is no module w2dual.amortization.models.nosuch",
    ),
    "the name of a loss": (
        "{cycle: {kind: affine}}",
        "{method: cycle}",
        "`methods.cycle`: `amortizations` has the same name",
    ),
    "twice": (
        "{gan: {kind: critic}}",
        "{method: gan}, {method: gan}",
        "`hd.more_methods.1`: duplicate method gan + none",
    ),
    "neither method nor parts": (
        "{}",
        "{solver: adam}",
        "`hd.more_methods.0` lacks `amortization`",
    ),
    "unknown training": (
        "{gan: {kind: critic, training: {iteration: 3}}}",
        "{method: gan}",
        "`methods.gan.training.iteration` is not known (did you mean `iterations`?)",
    ),
    "unknown pre-training": (
        "{gan: {kind: critic, pretraining: {bounds: 3}}}",
        "{method: gan}",
        "`methods.gan.pretraining.bounds` is not known (did you mean `bound`?)",
    ),
    "unknown setting of dual": (
        "{slow: {kind: dual, rate: 3}}",
        "{method: slow, amortization: cycle, solver: none}",
        "`methods.slow.rate` is not known",
    ),
    "dual without what conjugates": (
        "{slow: {kind: dual, amortization: none}}",
        "{method: slow, solver: none}",
        "`hd.more_methods.0`: with neither an amortization loss nor a solver",
    ),
}


def test_a_potential_is_named_by_the_method_or_the_grid():
    text = "methods: {{gan: {}}}\nbaselines: {{methods: [{{method: gan}}]}}"
    assert refusal(text.format("{kind: critic}")) == (
        "config key `baselines.methods.0` lacks a potential, of which the method `gan` is made; "
        "name one in `methods.gan.potential`, or `potentials` in its grid"
    )
    config = load(text.format("{kind: critic, potential: mlp}"))
    assert {cell.potential for cell in cells_in("baselines", config)} == {"mlp"}
    parts = "baselines: {methods: [{amortization: cycle, solver: none}]}"
    assert "`methods.NAME.potential`" in refusal(parts)


def test_a_cell_is_of_one_table_of_the_benchmark():
    text = (
        "methods: {{tj: {{kind: fitted, potential: mlp}}}}\n"
        "hd: {{more_methods: [{{method: tj, solver: adam}}]}}\n"
        "baselines: {{methods: [{{method: tj, solver: {}}}]}}"
    )
    assert refusal(text.format("adam")) == (
        "config key `baselines.methods`: `hd.methods` has cells of the same names, "
        "hdN-mlp-tj-adam; leave out one of each two"
    )
    names = [cell.name for cell in benchmark_grid(load(text.format("lbfgs")))]
    assert len(names) == len(set(names))
    assert {"hd2-mlp-tj-adam", "hd2-mlp-tj-lbfgs"} <= set(names)


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_row_may_not_say(case: str):
    methods, row, words = REFUSED[case]
    found = refusal(f"methods: {methods}\nhd: {{more_methods: [{row}]}}")
    assert words in found, found


def test_tables_have_the_rows_of_their_potential():
    config = added(
        "{maps: {kind: affine}, gan: {kind: critic, potential: mlp}, tj: {kind: fitted}}",
        "{method: maps}, {method: gan}, {method: tj, solver: adam}",
    )
    assert rows.potentials(config, config["hd"]) == ["icnn", "mlp", "own"]
    record = arguments.table(config)
    settings = TableSettings.from_json(record)
    papers = [(m["amortization"], m["solver"]) for m in PAPER["hd"]["methods"]]
    assert settings.methods == (*papers, ("maps", "none"), ("gan", "none"), ("tj", "adam"))
    assert settings.methods_of("icnn") == [*papers, ("tj", "adam")]
    assert settings.methods_of("mlp") == [*papers, ("gan", "none"), ("tj", "adam")]
    assert settings.methods_of("own") == [("maps", "none")]
    for potential in ("icnn", "mlp", "own"):
        cells_of = {c.name for c in cells_in("hd", config) if c.potential == potential}
        assert len(cells_of) == len(settings.methods_of(potential))
    # Without a method, tables are told what they were before there was any.
    assert arguments.table(PAPER)["methods"] == PAPER["hd"]["methods"]


def test_studies_and_figures_take_cells_of_the_dual():
    config = added("{maps: {kind: affine}, gan: {kind: critic}}", "{method: gan}, {method: maps}")
    assert studies.method(config) == ("regression", "lbfgs")
    config["hd"]["methods"] = []
    assert studies.method(config) is None


def test_studies_and_figures_take_no_cells_that_are_reversed():
    dual = "methods: {{back: {{kind: dual, reversed: {}}}}}\n"
    row = "{method: back, amortization: regression, solver: lbfgs}"
    hd = f"hd: {{methods: [{row}]}}\n"
    assert studies.method(load(dual.format("true") + hd)) is None
    assert studies.method(load(dual.format("false") + hd)) == ("back-regression", "lbfgs")
    grid = f"{{pairs: [moons], potentials: [mlp_leaky], hidden: [4], methods: [{row}]}}"
    figures = dict.fromkeys(PAPER["synthetic"]["figures"])
    figures["transport"] = {"pairs": ["moons"], "potential": "mlp_leaky"}
    plane = f"synthetic: {{grids: [{grid}], figures: {json.dumps(figures)}}}"
    drawn = load(dual.format("false") + plane)
    (cell,) = cells_in("synthetic", drawn)
    assert arguments.cells_of_figure(figures["transport"], [cell]) == [cell.name]
    assert "that the method `dual` trains, not `reversed`" in refusal(dual.format("true") + plane)
    assert "`methods.back.reversed`: 3 is not of type 'boolean'" in refusal(dual.format(3))


# ---------------------------------------------------------------- what a module declares


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.undo()
    folder = tmp_path / "pack"
    (folder / "training" / "methods").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("NEEDS = ()", ()),
        ("NEEDS: tuple = ('solver', 'potential')", ("potential", "solver")),
        ("import jax\nNEEDS = ['solver']", ("solver",)),
    ],
)
def test_needs_are_read_without_importing(package: Path, text: str, found: tuple[str, ...]):
    (package / "training" / "methods" / "mine.py").write_text(text)
    assert cells.needs("mine", package) == found
    assert cells.needs("other", package) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no such line; expected `NEEDS = "),
        ("NEEDS = tuple(x for x in ())", "has no such line"),
        ("NEEDS = ('solver', 'critic')", r"has \('solver', 'critic'\); expected .* out of potenti"),
        ("NEEDS = 'solver'", "has 'solver'"),
    ],
)
def test_needs_have_to_be_written_out(package: Path, text: str, words: str):
    (package / "training" / "methods" / "mine.py").write_text(text)
    with pytest.raises(InputError, match=f"src/w2dual/training/methods/mine.py {words}"):
        cells.needs("mine", package)


def test_dual_needs_what_its_cells_have():
    assert set(cells.needs("dual")) == set(rows.PARTS)

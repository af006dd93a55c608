"""The config: what is merged, what is refused, and whether the message names the key."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from w2dual.config import reader, rows
from w2dual.config.grid import grid, hd_grid, synthetic_grid
from w2dual.potentials import activations
from w2dual.records import InputError

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "config.yaml"
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))

PARSED = reader.load([PAPER])


def load(text: str) -> dict[str, Any]:
    """Merge YAML over the paper's config and check it, as `config.load` does with files."""
    merged = reader.merge(PARSED, yaml.safe_load(text))
    reader.validate(merged)
    return merged


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        load(text)
    return str(caught.value)


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


def test_a_full_budget_admits_no_generated_images():
    message = refusal("measures: {celeba64: {sources: [mirror, generated]}}")
    assert "`measures.celeba64.sources`" in message
    assert "`preset.reduced: false`" in message
    load("preset: {reduced: true}\nmeasures: {celeba64: {sources: [generated]}}")


def test_a_pair_that_no_cell_uses_is_not_prepared():
    unused = "measures: {synthetic: {mine: {kind: synthetic, source: rings, target: rings}}}"
    assert "mine" not in reader.pairs(load(unused))
    grid = {
        "pairs": ["mine"],
        "potentials": ["mlp_leaky"],
        "methods": [{"amortization": "none", "solver": "adam"}],
        "hidden": [4],
    }
    grids = [*PARSED["synthetic"]["grids"], grid]
    used = reader.pairs(load(unused + "\n" + yaml.safe_dump({"synthetic": {"grids": grids}})))
    assert "mine" in used


def test_dimensions_of_no_method_are_not_prepared():
    text = "baselines: {{dimensions: [3], methods: [{}]}}"
    config = load(text.format(""))
    assert "hd3" not in reader.pairs(config)
    assert {cell.pair for cell in grid(config)} == {*reader.pairs(config)} - {
        reader.CELEBA64_GENERATOR
    }
    assert "`baselines.dimensions`: the benchmark has no weights for n = 3" in refusal(
        text.format("{method: mm}")
    )


def test_measures_of_no_method_are_not_prepared():
    sections = ("lagrangian", "metric_recovery", "meta_sinkhorn", "meta_color")
    config = load(yaml.safe_dump({name: {"methods": []} for name in sections}))
    assert {cell.pair for cell in grid(config)} == {*reader.pairs(config)} - {
        reader.CELEBA64_GENERATOR
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
        potentials = {cell.potential for cell in synthetic_grid(preset)}
        assert potentials == {cell.potential for cell in synthetic_grid(paper)}
        kinds = {settings["kind"] for settings in reader.pairs(preset).values()}
        assert kinds == {settings["kind"] for settings in known.values()} - {"sphere"}
    else:
        assert preset["hd"]["methods"] == paper["hd"]["methods"]
        assert preset["hd"]["potentials"] == paper["hd"]["potentials"]
    assert {k: v for k, v in preset["potentials"].items() if k not in added} == paper["potentials"]
    for key in ("amortization_model", "amortizations", "solvers"):
        assert preset[key] == paper[key]
    assert preset["measures"]["synthetic"] == paper["measures"]["synthetic"]
    assert preset["synthetic"]["figures"].keys() == paper["synthetic"]["figures"].keys()
    names = [
        {cell.name for cell in synthetic_grid(given) if cell.potential not in added}
        for given in (preset, paper)
    ]
    assert names[0] <= names[1]
    assert reader.pairs(preset).keys() <= known.keys()


def test_presets_are_found():
    assert {path.stem for path in PRESETS} >= {"smoke", "laptop"}


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


def test_new_method_is_a_line_of_config():
    text = "hd: {methods: [{amortization: none, solver: lbfgs_high_precision}]}"
    assert load(text)["hd"]["methods"][0]["solver"] == "lbfgs_high_precision"


def test_unpublished_dimension_may_be_generated_at_full_budget():
    load("measures: {benchmark: {sources: [generated]}}\nhd: {dimensions: [3]}")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("hdd: {}", ["`hdd` is not known", "did you mean `hd`"], id="top-level"),
        pytest.param(
            "hd: {training: {iteration: 5}}",
            ["`hd.training.iteration` is not known", "did you mean `iterations`"],
            id="hd",
        ),
        pytest.param(
            "measures: {benchmark: {generated: {epochs: 5}}}",
            ["`measures.benchmark.generated.epochs` is not known", "known here: iterations"],
            id="measures",
        ),
        pytest.param(
            "hd: {methods: [{amortization: cycle, solver: lbfgs, weight: 2}]}",
            ["`hd.methods.0.weight` is not known"],
            id="method",
        ),
        pytest.param(
            "solvers: {lbfgs: {histori: 3}}",
            ["`solvers.lbfgs.histori` is not known", "did you mean `history`"],
            id="solver",
        ),
        pytest.param("potentials: {mlp: {actnorm: true}}", ["`potentials.mlp.actnorm`"], id="mlp"),
        pytest.param(
            "amortizations: {objective: {weight: 2}}",
            ["`amortizations.objective.weight` is not known"],
            id="loss",
        ),
        pytest.param(
            "synthetic: {training: {hidden: [4]}}",
            ["`synthetic.training.hidden` is not known", "did you mean `model_hidden`"],
            id="synthetic",
        ),
        pytest.param(
            "synthetic: {figures: {flow: {pair: [rings]}}}",
            ["`synthetic.figures.flow.pair` is not known", "did you mean `pairs`"],
            id="figure",
        ),
        pytest.param(
            "checkpoint: {every: 5}", ["`checkpoint.every` is not known"], id="checkpoint"
        ),
    ],
)
def test_unknown_key_is_named(text: str, parts: list[str]):
    message = refusal(text)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("tables: {decimals: two}", "tables.decimals"),
        ("hd: {training: {batch_size: 1}}", "hd.training.batch_size"),
        ("hd: {training: {b1: 1}}", "hd.training.b1"),
        ("hd: {training: {hidden: wide}}", "hd.training.hidden"),
        ("hd: {seeds: [0, 0]}", "hd.seeds"),
        ("hd: {seeds: [true]}", "hd.seeds.0"),
        ("hd: {seeds_per_job: 2}", "hd.seeds_per_job"),
        ("hd: {dimensions: []}", "hd.dimensions"),
        ("hd: {dimensions: [1]}", "hd.dimensions.0"),
        ("hd: null", "hd"),
        ("solvers: {lbfgs: {shrink: 1}}", "solvers.lbfgs.shrink"),
        ("solvers: {lbfgs: {armijo: 0}}", "solvers.lbfgs.armijo"),
        ("solvers: {adam: {max_iterations: 0}}", "solvers.adam.max_iterations"),
        ("solvers: {L-BFGS: {kind: lbfgs}}", "solvers"),
        ("potentials: {icnn: {actnorm: 1}}", "potentials.icnn.actnorm"),
        ("potentials: {mlp: {activation: tanh}}", "potentials.mlp.activation"),
        ("amortizations: {cycle: {weight: -1}}", "amortizations.cycle.weight"),
        ("amortizations: {cycle: {weight: size}}", "amortizations.cycle.weight"),
        ("measures: {benchmark: {sources: [disk]}}", "measures.benchmark.sources.0"),
        ("measures: {benchmark: {url: 'http://a'}}", "measures.benchmark.url"),
        ("resources: {runtime_min: {2: 0}}", "resources.runtime_min.2"),
        ("resources: {runtime_min: {two: 5}}", "resources.runtime_min"),
        ("synthetic: {grids: []}", "synthetic.grids"),
        ("synthetic: {seeds: [1, 1]}", "synthetic.seeds"),
        ("synthetic: {evaluation: {samples: 8193}}", "synthetic.evaluation.samples"),
        ("synthetic: {evaluation: {history_samples: 1}}", "synthetic.evaluation.history_samples"),
        ("synthetic: {evaluation: {epsilon: 0}}", "synthetic.evaluation.epsilon"),
        ("synthetic: {pretraining: {bound: -1}}", "synthetic.pretraining.bound"),
        ("synthetic: {figures: {flow: {pairs: []}}}", "synthetic.figures.flow.pairs"),
        ("synthetic: {figures: {Flow: {pairs: [rings]}}}", "synthetic.figures"),
        ("measures: {synthetic: {rings: {scale: 2.0}}}", "measures.synthetic.rings"),
        ("measures: {synthetic: {rings: {kind: fractal}}}", "measures.synthetic.rings.kind"),
        ("measures: {synthetic: {images: {scale: 0}}}", "measures.synthetic.images"),
        ("measures: {synthetic: {hd2: {kind: synthetic}}}", "measures.synthetic"),
        ("checkpoint: {every_s: 0}", "checkpoint.every_s"),
        ("checkpoint: {keep: 0}", "checkpoint.keep"),
        ("preset: {name: 'a/b'}", "preset.name"),
        ('preset: {name: "mine\\n"}', "preset.name"),
        ('solvers: {"mine\\n": {kind: lbfgs}}', "solvers"),
        ("measures: {benchmark: {mirror: ''}}", "measures.benchmark.mirror"),
        ("measures: {synthetic: {images: {source: ''}}}", "measures.synthetic.images"),
        ("preset: {reduced: 'yes'}", "preset.reduced"),
    ],
)
def test_ill_typed_value_is_named(text: str, key: str):
    assert f"config key `{key}`: " in refusal(text)


def test_number_that_yaml_reads_as_text_says_how_to_write_it():
    message = refusal("hd: {training: {divergence_loss: 1e5}}")
    assert "`hd.training.divergence_loss`" in message
    assert "YAML reads 1e5 as text; write it like 1.0e-3 or 1.0e+5" in message


@pytest.mark.parametrize("text", ["1.0e+3", "5.0"])
def test_count_with_a_decimal_point_is_no_integer(text: str):
    message = refusal(f"hd: {{training: {{iterations: {text}}}}}")
    assert "`hd.training.iterations`" in message
    assert "expected a whole number above 0" in message


@pytest.mark.parametrize("text", [".inf", "-.inf", ".nan"])
def test_number_must_be_finite(text: str):
    message = refusal(f"hd: {{training: {{learning_rate: {text}}}}}")
    assert "`hd.training.learning_rate`" in message


@pytest.mark.parametrize(
    ("name", "valid"),
    [(name, True) for name in ("elu", "celu", "relu", "softplus", "softplus_10", "softplus_0.5")]
    + [(name, True) for name in ("leaky_relu_0.2", "leaky_relu_1")]
    + [(name, False) for name in ("softplus_0", "softplus_0.0", "softplus_.", "softplus_1.2.3")]
    + [(name, False) for name in ("leaky_relu_0", "leaky_relu_", "leaky_relu", "gelu")],
)
def test_config_and_networks_know_the_same_activations(name: str, valid: bool):
    text = f"potentials: {{mlp: {{kind: mlp, activation: {name}}}}}"
    if valid:
        load(text)
        activations.activation(name)
    else:
        assert "potentials.mlp.activation" in refusal(text)
        with pytest.raises(InputError, match=name):
            activations.activation(name)


def test_missing_keys_are_named_once(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("preset: {name: a, label: b}\n")
    with pytest.raises(InputError) as caught:
        reader.load([path])
    top_level, preset = str(caught.value).splitlines()
    assert "lacks `measures`, `potentials`" in top_level
    assert preset == "config key `preset` lacks `reduced`"


def test_all_faults_are_told_at_once():
    message = refusal("tables: {decimals: two}\nhd: {training: {batch_size: 1}}")
    assert "tables.decimals" in message
    assert "hd.training.batch_size" in message


def test_regression_without_solver():
    message = refusal("hd: {methods: [{amortization: regression, solver: none}]}")
    assert "`hd.methods.0`" in message
    assert "regression loss needs a conjugate solver" in message


def test_neither_loss_nor_solver():
    message = refusal("hd: {methods: [{amortization: none, solver: none}]}")
    assert "`hd.methods.0`" in message
    assert "nothing computes the conjugate" in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "hd: {methods: [{amortization: cycles, solver: lbfgs}]}",
            [
                "`hd.methods.0.amortization`",
                "unknown name `cycles`",
                "none, objective, cycle, regression",
            ],
        ),
        (
            "hd: {methods: [{amortization: cycle, solver: newton}]}",
            ["`hd.methods.0.solver`", "unknown name `newton`", "none, lbfgs, lbfgs_high_precision"],
        ),
        (
            "hd: {potentials: [vit]}",
            ["`hd.potentials`", "unknown name `vit`", "icnn, mlp"],
        ),
    ],
)
def test_unknown_method_name_is_named_with_what_there_is(text: str, parts: list[str]):
    message = refusal(text)
    for part in parts:
        assert part in message


GRID = """\
synthetic:
  grids:
    - {pairs: [PAIR], potentials: [POTENTIAL], methods: [{amortization: LOSS, solver: SOLVER}],
       hidden: [4]}
"""


def one_grid(pair="rings", potential="mlp_leaky", loss="regression", solver="lbfgs") -> str:
    names = {"PAIR": pair, "POTENTIAL": potential, "LOSS": loss, "SOLVER": solver}
    text = GRID
    for word, name in names.items():
        text = text.replace(word, name)
    return text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            one_grid(pair="ring"),
            [
                "`synthetic.grids.0.pairs`",
                "unknown name `ring`; `measures.synthetic` has ",
                "maf_moon, rings",
            ],
        ),
        (one_grid(pair="hd2"), ["`synthetic.grids.0.pairs`", "unknown name `hd2`"]),
        (
            one_grid(potential="vit"),
            ["`synthetic.grids.0.potentials`", "unknown name `vit`", "icnn, "],
        ),
        (
            one_grid(loss="cycles"),
            [
                "`synthetic.grids.0.methods.0.amortization`",
                "unknown name `cycles`; `amortizations` has ",
            ],
        ),
        (one_grid(solver="sgd"), ["`synthetic.grids.0.methods.0.solver`", "unknown name `sgd`"]),
        (one_grid(solver="none"), ["`synthetic.grids.0.methods.0`", "regression loss needs"]),
    ],
    ids=["pair", "benchmark", "potential", "loss", "solver", "no-solver"],
)
def test_grid_on_the_plane_with_an_unknown_name(text: str, parts: list[str]):
    message = refusal(text)
    for part in parts:
        assert part in message


def test_a_cell_of_two_grids():
    part = PARSED["synthetic"]["grids"][0]
    again = part | {"pairs": ["rings"], "hidden": [4]}
    message = refusal(yaml.safe_dump({"synthetic": {"grids": [part, again]}}))
    assert "`synthetic.grids.1`" in message
    assert (
        "rings-icnn_leaky-regression-lbfgs_high_precision is already in `synthetic.grids.0`"
        in message
    )


@pytest.mark.parametrize(
    ("change", "name", "parts"),
    [
        ("{potential: icnn}", "flow", ["pair `maf_moon` with the potential `icnn`"]),
        ("{pairs: [rings, images]}", "flow", ["pair `images` with the potential `icnn_leaky`"]),
        ("{pairs: [ring], potential: mlp}", "mine", ["pair `ring` with the potential `mlp`"]),
    ],
)
def test_a_figure_of_a_cell_that_is_in_no_grid(change: str, name: str, parts: list[str]):
    message = refusal(f"synthetic: {{figures: {{{name}: {change}}}}}")
    assert f"`synthetic.figures.{name}`: no grid of `synthetic.grids` has a cell of" in message
    for part in parts:
        assert part in message


def test_method_given_twice():
    method = "{amortization: cycle, solver: adam}"
    message = refusal(f"hd: {{methods: [{method}, {method}]}}")
    assert "`hd.methods.1`" in message
    assert "duplicate method cycle + adam" in message


def test_a_preset_adds_methods_without_the_list():
    added = {"amortization": "none", "solver": "lbfgs_high_precision"}
    config = load("hd: {more_methods: [{amortization: none, solver: lbfgs_high_precision}]}")
    assert rows.methods(config["hd"]) == [*PARSED["hd"]["methods"], added]
    names = {(cell.amortization, cell.solver) for cell in hd_grid(config)}
    assert names - {(c.amortization, c.solver) for c in hd_grid(PARSED)} == {
        ("none", "lbfgs_high_precision")
    }


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("{amortization: cycle, solver: adam}", "duplicate method cycle + adam"),
        ("{amortization: cycle, solver: newton}", "unknown name `newton`"),
        ("{amortization: none, solver: none}", "nothing computes the conjugate"),
        ("{amortization: cycle, solver: lbfgs, weight: 2}", "weight` is not known"),
        ("{amortization: cycle}", "lacks `solver`"),
    ],
)
def test_a_method_that_is_added_is_checked_as_the_others(method: str, said: str):
    message = refusal(f"hd: {{more_methods: [{method}]}}")
    assert "`hd.more_methods.0" in message
    assert said in message


def test_methods_that_are_added_are_a_list():
    message = refusal("hd: {more_methods: {amortization: cycle, solver: adam}}")
    assert "`hd.more_methods`" in message
    assert "a list of methods to add to `hd.methods`" in message


@pytest.mark.parametrize(
    ("text", "key", "module"),
    [
        ("solvers: {mine: {kind: newton}}", "solvers.mine.kind", "w2dual.conjugate.newton"),
        ("solvers: {mine: {kind: base}}", "solvers.mine.kind", "w2dual.conjugate.base"),
        ("potentials: {mine: {kind: unet}}", "potentials.mine.kind", "w2dual.potentials.unet"),
        (
            "amortizations: {mine: {kind: huber}}",
            "amortizations.mine.kind",
            "add src/w2dual/amortization/huber.py",
        ),
        (
            "measures: {synthetic: {mine: {kind: square, side: 1}}}",
            "measures.synthetic.mine.kind",
            "add src/w2dual/measures/pairs/square.py",
        ),
    ],
)
def test_kind_without_a_module(text: str, key: str, module: str):
    message = refusal(text)
    assert f"`{key}`" in message
    assert module in message


def test_what_metric_recovery_names_is_known():
    message = refusal("metric_recovery: {sets: [square]}")
    assert "`metric_recovery.sets`: unknown name `square`" in message
    assert "mass_splitting" in message
    message = refusal("measures: {snapshots: {circle: {bounds: [[1.5, -1.5], [-1.5, 1.5]]}}}")
    assert "`measures.snapshots.circle.bounds`" in message
    message = refusal("metric_recovery: {methods: [{amortization: cycle, solver: lbfgs}]}")
    assert "`metric_recovery.methods.0` lacks a potential" in message
    message = refusal(
        "measures: {synthetic: {circle: {kind: synthetic, source: rings, target: rings}}}"
    )
    assert "`measures.synthetic` has the same name" in message
    none = load("metric_recovery: {sets: []}")
    assert not {"circle", "mass_splitting", "x_paths"} & set(reader.pairs(none))


def test_what_celeba64_names_is_known():
    message = refusal("celeba64: {methods: [{amortization: cycle, solver: newton}]}")
    assert "`celeba64.methods.0.solver`" in message


def test_images_that_are_generated_have_the_cells_dimension():
    small = "measures: {celeba64: {sources: [generated], generated: {size: 16}}}\n"
    reduced = "preset: {name: small, reduced: true}\n"
    message = refusal(reduced + small)
    assert "`celeba64.dimension`: 12288" in message
    assert "768 numbers of 16 x 16 pixels" in message
    none = load(reduced + small + "celeba64: {generators: []}")
    assert not [name for name in reader.pairs(none) if name.startswith("celeba64")]
    load(reduced + small + "celeba64: {dimension: 768}")


def test_a_figure_may_be_left_out():
    assert load("synthetic: {figures: {flow: null}}")["synthetic"]["figures"]["flow"] is None


def test_dimension_that_the_benchmark_lacks():
    message = refusal("hd: {dimensions: [2, 3]}")
    assert "`hd.dimensions`" in message
    assert "n = 3" in message
    assert "2, 4, 8, 16, 32, 64, 128, 256" in message
    assert "`generated`" in message


def test_generated_pair_at_full_budget():
    text = "measures: {benchmark: {sources: [mirror, generated]}}"
    message = refusal(text)
    assert "`measures.benchmark.sources`" in message
    assert "`preset.reduced: false`" in message
    load(text + "\npreset: {name: small, reduced: true}")


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


def test_schema_describes_every_number_it_limits():
    """So that a message can say what would be right."""
    schema = yaml.safe_load(reader.SCHEMA.read_text())
    for name, definition in schema["$defs"].items():
        # What is an object limits its keys, and each of these says what it takes.
        if name != "kinds" and definition.get("type", "object") != "object":
            assert definition["description"], name


def test_what_starts_of_entropic_transport_name_is_known():
    message = refusal("meta_sinkhorn: {tasks: [usps]}")
    assert "`meta_sinkhorn.tasks`: unknown name `usps`" in message
    message = refusal("meta_sinkhorn: {methods: [{method: w2}]}")
    assert "`meta_sinkhorn.methods.0.method`: `methods.w2` is of the kind `w2gn`" in message
    message = refusal("meta_sinkhorn: {study: {max_iterations: {mnist: {simplex: 5}}}}")
    assert "`meta_sinkhorn.study.max_iterations.mnist`: unknown name `simplex`" in message
    message = refusal("meta_sinkhorn: {study: {finetuners: {lbfgs: {solver: adam}}}}")
    assert "solver `adam` is of kind `adam`; expected one of kind `lbfgs`" in message
    message = refusal("meta_sinkhorn: {study: {pairs: {mnist: 5}}}")
    assert "`meta_sinkhorn.study.shown`: 10 is more than" in message


def test_epsilon_and_tolerances_that_number_types_do_not_hold_are_refused():
    message = refusal("measures: {discrete: {mnist: {epsilon: 1.0e-6}}}")
    assert "`measures.discrete.mnist.epsilon`" in message
    assert "expected a number from 1.2e-5, below which float32" in message
    message = refusal("meta_sinkhorn: {study: {tolerances: [1.0e-16]}}")
    assert "a number from 1.0e-12" in message
    message = refusal("meta_sinkhorn: {study: {check_every: [10]}}")
    assert "a list of whole numbers above 0, with 1" in message


def test_the_papers_config_admits_no_stand_in_for_discrete_measures():
    message = refusal("measures: {discrete: {sphere: {sources: [packaged]}}}")
    assert "`measures.discrete.sphere.sources`: a preset at full budget" in message
    known = load("preset: {reduced: true}\nmeasures: {discrete: {sphere: {sources: [packaged]}}}")
    assert {"mnist", "sphere"} <= reader.pairs(known).keys()
    assert "sphere" not in reader.pairs(PARSED)
    named = load("measures: {discrete: {sphere: {raster: people.tif}}}")
    assert "sphere" in reader.pairs(named)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{methods: [{amortization: regression, solver: lbfgs}]}", "lacks a potential"),
        ("{pair: rods}", "config key `lagrangian.pair`: unknown name `rods`"),
        (
            "{settings: {box: {obstacle: {kind: moat}}}}",
            "config key `lagrangian.settings.box.obstacle.kind`: there is no module",
        ),
        (
            "{settings: {box: {obstacle: {half_width: -1}}}}",
            "config key `lagrangian.settings.box.obstacle.half_width`: -1 is less than",
        ),
    ],
)
def test_settings_of_lagrangian_costs_that_do_not_fit_are_refused(text: str, part: str):
    given = reader.merge(reader.read([ROOT / "config.yaml"]), yaml.safe_load(f"lagrangian: {text}"))
    with pytest.raises(InputError) as caught:
        reader.validate(given)
    assert part in str(caught.value)


def test_what_a_method_says_of_an_unknown_setting_is_refused():
    own = "methods: {nlsb: {by_setting: {slot: {penalty: 1.0}}}}"
    given = reader.merge(reader.read([ROOT / "config.yaml"]), yaml.safe_load(own))
    words = "`methods.nlsb.by_setting`: unknown name `slot`; `lagrangian.settings` has box, slit"
    with pytest.raises(InputError, match=words):
        reader.validate(given)

"""What is wrong by the schema is told in words that name the key."""

from pathlib import Path

import pytest
import yaml
from tests.unit.config.changed import load, refusal

from w2dual.config import reader, schema
from w2dual.potentials import activations
from w2dual.records import InputError


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


def test_schema_describes_every_number_it_limits():
    """So that a message can say what would be right."""
    whole = yaml.safe_load(schema.SCHEMA.read_text())
    for name, definition in whole["$defs"].items():
        # What is an object limits its keys, and each of these says what it takes.
        if name != "kinds" and definition.get("type", "object") != "object":
            assert definition["description"], name

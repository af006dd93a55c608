"""The suite for methods: the dual passes, another does, and each way to be wrong has its words."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from tests.unit.settings import PAPER

from w2dual import closure
from w2dual.config.reader import merge
from w2dual.conformance import method, subjects
from w2dual.conformance.base import Verdict
from w2dual.records import InputError
from w2dual.training import methods

MAPS = """\
import optax
from w2dual.training.methods import Divergence, Method, Network, Step

COUNT = []

class Maps(NamedTuple):
    there: dict
    back: dict

class State(NamedTuple):
    params: Maps
    momentum: Maps
    step: Array
    diverged_at: Array

class Errors(NamedTuple):
    loss: Array

def affine(params, x):
    return x @ params["matrix"] + params["shift"][None]

def draw(key, points):
    n = points.shape[-1]
    return {"matrix": 0.1 * jax.random.normal(key, (n, n)), "shift": jnp.zeros(n)}

def error(params, x, y):
    there = jnp.mean((affine(params.there, x) - y) ** 2)
    return there + jnp.mean((affine(params.back, y) - x) ** 2)

@dataclass(frozen=True)
class Fit(Method):
    dimension: int
    rate: float
    divergence: Divergence = Divergence(1e5, 1)
    metrics = Errors

    @property
    def networks(self):
        return {"there": Network("there", draw, affine), "back": Network("back", draw, affine)}

    def assemble(self, trees):
        return Maps(**trees)

    def init(self, params):
        seeds = params.there["shift"].shape[0]
        still = jax.tree.map(jnp.zeros_like, params)
        return State(params, still, jnp.zeros((), jnp.int32), jnp.full(seeds, -1, jnp.int32))

    def update(self, state, batches, over=None):
        x = batches.source()
        y = batches.truth(x)
        loss, slope = jax.vmap(jax.value_and_grad(error))(state.params, x, y)
        if over is not None:
            loss, slope = jax.lax.pmean((loss, slope), over)
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, state.momentum, slope)
        params = jax.tree.map(lambda p, m: p - self.rate * m, state.params, momentum)
        (params, momentum), diverged_at = self.divergence.settle(
            state, loss, params, (momentum, state.momentum)
        )
        return Step(State(params, momentum, state.step + 1, diverged_at), Errors(loss))

    def push(self, params, x):
        return jax.vmap(affine)(params.there, x)

    def pull(self, params, y):
        return jax.vmap(affine)(params.back, y)

def make(settings, dimension):
    return Fit(dimension, settings["method"]["rate"])
"""
SETTINGS = {"method": {"rate": 0.05}}

Write = Callable[[ModuleType, str], None]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    sys.modules.pop(f"{methods.__name__}.mine", None)


def failed(verdicts: list[Verdict]) -> dict[str, str]:
    return {verdict.check: verdict.words for verdict in verdicts if not verdict.passed}


def test_every_kind_of_ours_is_examined() -> None:
    """But for those of images, measures and snapshots, which the suite's points are not."""
    config = merge(PAPER, {"hd": {"more_methods": [{"method": "ours"}]}})
    kinds = set(closure.modules_with("training.methods", "make"))
    sections = ("celeba64_baselines", "meta_sinkhorn", "meta_color", "metric_recovery")
    names = {row["method"] for section in sections for row in PAPER[section]["methods"]}
    others = {PAPER["methods"][name]["kind"] for name in names}
    images, rest = {"w2gn_images", "maximin_map"}, {"meta_dual", "meta_w2gn"}
    rest |= {"metric_recovery", "scarvelis"}
    assert others == images | rest < kinds
    ours = kinds - others
    found = [subject.kind for kind in ours for subject in subjects("method", kind, config)]
    assert set(found) == ours > {"dual"}
    for name in others | names:
        with pytest.raises(InputError, match=f"method '{name}': no row of `hd`, `baselines` or"):
            subjects("method", name, PAPER)


@pytest.mark.long
def test_the_dual_passes() -> None:
    (subject,) = subjects("method", "dual", PAPER)
    assert subject.settings["amortization"]["kind"] == "regression"
    assert subject.settings["solver"]["kind"] == "lbfgs"
    settings: dict[str, Any] = subject.settings | {
        "potential": PAPER["potentials"]["mlp"],
        "amortization": {"kind": "objective"},
        "solver": PAPER["solvers"]["none"],
    }
    verdicts = method.verdicts("dual", settings)
    assert len(verdicts) == 13
    assert not failed(verdicts)


@pytest.mark.long
def test_a_method_of_paths_passes() -> None:
    """The steps of a fit are the one metric that counts what a loop of all seeds does."""
    (subject,) = subjects("method", "nlot_newton", PAPER)
    given = subject.settings["method"]
    small = {"action": given["action"] | {"segments": 8}, "path": given["path"] | {"hidden": [8]}}
    widths = {
        part: subject.settings[part] | {"hidden": [8]}
        for part in ("potential", "amortization_model")
    }
    settings: dict[str, Any] = subject.settings | widths | {"method": given | small}
    verdicts = method.verdicts(settings["method"]["kind"], settings)
    assert len(verdicts) == 13
    assert not failed(verdicts)


def test_the_entries_of_a_config_are_examined_with_their_parts() -> None:
    config = merge(
        PAPER,
        {
            "methods": {
                "small": {"kind": "dual", "potential": "mlp", "solver": "adam"},
                "large": {"kind": "dual", "weight": "dimension"},
            },
            "hd": {
                "methods": [
                    {"method": "small", "amortization": "cycle"},
                    {"method": "small", "amortization": "none"},
                    {"method": "large", "amortization": "cycle", "solver": "lbfgs"},
                ]
            },
        },
    )
    first, second = subjects("method", "dual", config)
    assert (first.name, second.name) == ("small", "large")
    assert first.settings["potential"] == PAPER["potentials"]["mlp"]
    assert first.settings["amortization"] == {"kind": "cycle", "weight": 3.0}
    assert first.settings["solver"]["kind"] == "adam"
    assert second.settings["method"] == {"kind": "dual", "weight": 3.0}
    assert [subject.name for subject in subjects("method", "large", config)] == ["large"]


def test_another_one_passes(write: Write) -> None:
    write(methods, MAPS)
    assert not failed(method.verdicts("mine", SETTINGS))


WRONG = {
    "keeps what is not finite": (
        "        (params, momentum), diverged_at = self.divergence.settle(\n"
        "            state, loss, params, (momentum, state.momentum)\n        )\n",
        "        diverged_at = state.diverged_at\n",
        {"diverged seeds": "lead to parameters that are not; `Divergence.settle`"},
    ),
    "marks no seed": (
        "state.step + 1, diverged_at)",
        "state.step + 1, state.diverged_at)",
        {"diverged seeds": "leaves `diverged_at` at -1; expected the step's number, 1"},
    ),
    "all seeds diverge": (
        "(momentum, state.momentum)\n        )\n",
        "(momentum, state.momentum)\n        )\n        diverged_at = diverged_at.max()[None]"
        " + 0 * diverged_at\n",
        {"diverged seeds": "a seed diverges because another one does"},
    ),
    "devices go their own ways": (
        "if over is not None",
        "if False",
        {"shares a batch": "devices that share a batch end with different states.*pmean"},
    ),
    "seeds share a step": (
        "        if over is",
        "        slope = jax.tree.map(lambda g: g / (1 + loss.sum()), slope)\n        if over is",
        {"seeds are independent": "the state of a seed changes with another seed's"},
    ),
    "all seeds are one": (
        "jax.random.normal(key, (n, n))",
        "jax.random.normal(jax.random.key(0), (n, n))",
        {"learns": "different keys give the same parameters"},
    ),
    "points move one another": (
        "affine)(params.back, y)",
        "affine)(params.back, y - y.mean(1, keepdims=True))",
        {"points are independent": "`pull` of a point changes with the other points"},
    ),
    "a counter in the module": (
        "x = batches.source()",
        "COUNT.append(1); x = batches.source() * 0.9 ** len(COUNT)",
        {"keeps no state": "two calls differ.*keep no state"},
    ),
    "a metric over the batch": (
        "Errors(loss))",
        "Errors(loss[:, None]))",
        {"shapes and types": r"`loss` is shape \(2, 1\) .*shape \(seeds,\), a mean over the batch"},
    ),
    "a map to one number": (
        "affine)(params.there, x)",
        "affine)(params.there, x).sum(-1)",
        {"shapes and types": r"`push` gives shape \(2, 16\) of float32 for points of shape"},
    ),
    "another type after a step": (
        "return Step(State(params,",
        "return Step(State(jax.tree.map(lambda p: p.astype(jnp.bfloat16), params),",
        {"shapes and types": "`update` changes `.params.there.*to shape .* of bfloat16; expected"},
    ),
    "steps are not counted": (
        "state.step + 1, ",
        "state.step, ",
        {"learns": "leads from step 0 to 0; expected 1"},
    ),
    "nothing is learned": (
        "p - self.rate * m",
        "p - 0 * m",
        {"learns": "three steps change no parameter"},
    ),
    "one stream for two networks": (
        'Network("back"',
        'Network("there"',
        {"networks": "two networks draw from the same stream"},
    ),
    "a network that is not assembled": (
        "        return Maps(**trees)",
        "        return (trees['there'], trees['back'])",
        {"networks": "`assemble` gives tuple.*a named tuple with a field for each of there, back"},
    ),
    "a map that stays": (
        'Network("back", draw, affine)',
        'Network("back", draw, lambda params, x: 0 * affine(params, x))',
        {"pre-training": "a gradient step takes the `map` of back from .*; expected less"},
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_way_to_be_wrong_has_its_words(write: Write, case: str) -> None:
    old, new, expected = WRONG[case]
    assert old in MAPS
    write(methods, MAPS.replace(old, new))
    found = failed(method.verdicts("mine", SETTINGS))
    for check, words in expected.items():
        assert re.search(words, found.get(check, "passed")), found

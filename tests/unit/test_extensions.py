"""Modules of one's own that are written wrongly: each mistake is told in words that help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.unit import settings

from w2dual import amortization, conjugate, potentials
from w2dual.measures import base as measures_base
from w2dual.measures import own, pairs, preparation
from w2dual.records import InputError
from w2dual.training.methods.dual import make as make_problem

Write = Callable[[ModuleType, str], None]


def cell_settings(**changes: Any) -> dict[str, Any]:
    return {
        "potential": {"kind": "mlp", "activation": "elu", "hidden": [4]},
        "amortization_model": {"kind": "mlp_skip", "activation": "elu", "hidden": [4]},
        "amortization": {"kind": "regression"},
        "solver": settings.solver(),
        "training": settings.training(iterations=3),
    } | changes


def message(action: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as raised:
        action()
    return str(raised.value)


def expect(said: str, *parts: str) -> None:
    for part in parts:
        assert part in said, said


# ---------------------------------------------------------------- what holds for all four


SIGNATURES = [
    (potentials, lambda: potentials.make({"kind": "mine", "a": 1}, 2), "make(settings, dimension)"),
    (amortization, lambda: amortization.make_loss({"kind": "mine", "a": 1}), "make(settings)"),
    (conjugate, lambda: conjugate.make({"kind": "mine", "a": 1}), "make(settings)"),
    (pairs, lambda: own.make("mine", {"a": 1}), "make(settings)"),
]
IDS = ["potential", "loss", "solver", "pair"]


@pytest.mark.parametrize(("package", "action", "signature"), SIGNATURES, ids=IDS)
def test_missing_module_make_and_signature(
    write: Write, package: ModuleType, action: Callable[[], Any], signature: str
) -> None:
    full = f"{package.__name__}.mine"
    expect(message(action), f"there is no module {full}; add it")
    write(package, "import no_such_library")
    expect(message(action), f"{full} cannot be imported", "no_such_library")
    write(package, "def make(settings:")
    expect(message(action), f"{full} cannot be imported", "SyntaxError")
    write(package, "x = 1")
    expect(message(action), f"{full} lacks `{signature}`, which returns ")
    write(package, "def make(): return None")
    expect(message(action), "the settings {'a': 1}", f"expected `{signature}`", "positional")
    write(package, "def make(settings, *rest): return settings['b']")
    expect(message(action), "the settings {'a': 1}", "KeyError: 'b'")


# ---------------------------------------------------------------- potentials


POTENTIAL = "class P(nn.Module):\n    @nn.compact\n    def __call__(self, x):\n        {}\n"
MAKE_P = "def make(settings, dimension): return P()\n"


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (
            "return nn.Dense(1)(x)",
            ["points of shape (3, 5) to shape (3, 1)", "expected shape (3,), one number f(x)"],
        ),
        ("return jnp.sum(nn.Dense(2)(x))", ["to shape () of float32", "expected shape (3,)"]),
        ("return jnp.argmax(nn.Dense(2)(x), -1)", ["shape (3,) of int32", "one number f(x)"]),
        ("return nn.Dense(2)(x), 1", ["to tuple", "expected shape (3,)"]),
        (
            "return (x @ self.param('w', nn.initializers.ones, (4, 1)))[:, 0]",
            ["cannot be applied to points of shape (3, 5)", "TypeError"],
        ),
        ("return jnp.sum(x * x, -1)", ["has the collections []", "expected parameters"]),
        (
            "return nn.BatchNorm(use_running_average=False)(nn.Dense(1)(x))[:, 0]",
            ["'batch_stats'", "keeps a state"],
        ),
    ],
)
def test_wrong_potential(write: Write, body: str, parts: list[str]) -> None:
    write(potentials, POTENTIAL.format(body) + MAKE_P)
    said = message(lambda: potentials.make({"kind": "mine", "hidden": [4]}, 5))
    expect(said, "potential kind 'mine'", *parts)


def test_potential_that_is_no_module(write: Write) -> None:
    write(potentials, "def make(settings, dimension): return lambda x: x\n")
    said = message(lambda: potentials.make({"kind": "mine"}, 2))
    expect(said, "`make` gives function", "expected a flax.linen.Module")


# ---------------------------------------------------------------- amortization losses


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ("lambda batch: (batch.x_tilde - batch.x_hat) ** 2", ["gives shape (3, 2) of float32"]),
        ("lambda batch: jnp.sum(batch.x_tilde, -1)", ["gives shape (3,)", "as of `jnp.mean(...)`"]),
        ("lambda batch: 1", ["gives shape () of int32", "one number"]),
        ("lambda batch: None", ["gives NoneType"]),
        ("lambda x, y: 0.0", ["does not work on an `AmortizationBatch`", "positional"]),
        ("lambda batch: batch.x_star", ["does not work on an `AmortizationBatch`", "'x_star'"]),
        ("lambda batch: float(jnp.mean(batch.y))", ["does not work", "Error"]),
    ],
)
def test_wrong_loss(write: Write, loss: str, parts: list[str]) -> None:
    write(amortization, f"def make(settings): return {loss}\n")
    said = message(lambda: make_problem(cell_settings(amortization={"kind": "mine"}), 2))
    expect(said, "amortization loss kind 'mine'", *parts)


def test_loss_that_is_no_function(write: Write) -> None:
    write(amortization, "def make(settings): return 3\n")
    said = message(lambda: amortization.make_loss({"kind": "mine"}))
    expect(said, "`make` gives int", "a function from an `AmortizationBatch`")


# ---------------------------------------------------------------- conjugate solvers


SOLVER = """\
from w2dual.conjugate.base import ConjugateSolver

class State(NamedTuple):
    x: Array
    value: Array
    gradient: Array
    status: Array
    iterations: Array
    evaluations: Array

class S(ConjugateSolver):
    def init(self, x_init):
        count = jnp.zeros(x_init.shape[1:], jnp.int32)
        return State(x_init, count * 0.0, x_init * 0, count, count, count)

    def step(self, objective, state):
        value, gradient = objective(state.x)
        return state._replace(value=value, gradient=gradient, status=state.status + 1)

def make(settings):
    return S()
"""


def test_a_right_solver_passes(write: Write) -> None:
    write(conjugate, SOLVER)
    assert conjugate.make({"kind": "mine"}) is not None


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("def step", "def stride", ["abstract", "'?step'?"]),
        ("class S(ConjugateSolver)", "class S", ["S lacks `restart`", "derive it from"]),
        ("return S()", "return None", ["NoneType lacks `init`, `step`, `restart`"]),
        ("def init(self, x_init)", "def init(self)", [r"`init\(x_init\)` does not work"]),
        (
            "def step(self, objective, state)",
            "def step(self, state)",
            [r"`step\(objective, state\)` does not work", "positional"],
        ),
        (
            "x_init.shape[1:]",
            "x_init.shape[:1]",
            [
                "`value` of the state",
                r"shape \(2,\) of float32",
                r"expected floats of shape \(3, 5\)",
            ],
        ),
        ("jnp.int32", "jnp.float32", ["`status` of the state", "whole numbers"]),
        (
            "    iterations: Array\n",
            "    turns: Array\n",
            ["`iterations` of the state", "NoneType"],
        ),
        (
            "status=state.status + 1",
            "status=state.status + 1.0",
            ["changes `status` from shape .* of int32 to shape .* of float32", "loop carries"],
        ),
        ("gradient=gradient", "gradient=gradient[0]", ["changes `gradient`"]),
        ("return state._replace(value=value", "return dict(value=value", ["another structure"]),
        ("objective(state.x)", "objective(state.x.T)", ["does not work|changes `"]),
    ],
)
def test_wrong_solver(write: Write, old: str, new: str, parts: list[str]) -> None:
    assert old in SOLVER
    write(conjugate, SOLVER.replace(old, new))
    with pytest.raises(InputError, match="conjugate solver kind 'mine'") as raised:
        conjugate.make({"kind": "mine"})
    for part in parts:
        assert raised.match(part)


# ---------------------------------------------------------------- pairs of measures


PAIR = """\
from w2dual.measures.synthetic.laws import LAWS, Law
from w2dual.measures.pairs.synthetic import SyntheticPair
from w2dual.measures.base import Pair

@dataclass(frozen=True)
class Square(Law):
    side: float
    def sample(self, key, size):
        return jax.random.uniform(key, (size, 2), maxval=self.side)

def make(settings):
    return SyntheticPair(dimension=2, source=Square(**settings), target=LAWS["rings"])
"""


def test_a_right_pair_is_read_back_from_its_file(write: Write, tmp_path: Path) -> None:
    from w2dual import measures
    from w2dual.records import save_arrays

    write(pairs, PAIR)
    save_arrays(tmp_path / "p.safetensors", *own.prepare("p", "mine", {"side": 2.0}))
    pair = measures.load(tmp_path / "p.safetensors")
    assert isinstance(pair, measures_base.Pair)
    assert pair == own.make("mine", {"side": 2.0})


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("(size, 2)", "(size, 3)", [r"`sample_source\(key, 5\)` gives shape \(5, 3\)", "a row"]),
        ("(size, 2)", "(2, size)", [r"gives shape \(2, 5\)"]),
        ("def sample(self, key, size)", "def sample(self, size)", ["does not work", "positional"]),
        ("def sample", "def draw", ["abstract", "'?sample'?"]),
        ('LAWS["rings"]', 'LAWS["ring"]', ["KeyError: 'ring'"]),
        ("dimension=2", "dimension=3", ["has the dimension 3", "expected 2"]),
        (
            'SyntheticPair(dimension=2, source=Square(**settings), target=LAWS["rings"])',
            "(Square(**settings), LAWS['rings'])",
            ["gives tuple, which lacks `sample_source` and `sample_target`", "SyntheticPair"],
        ),
        (
            "def make(settings):\n",
            "@dataclass(frozen=True, kw_only=True)\n"
            "class Own(Pair):\n"
            "    def sample_source(self, key, size): return jnp.zeros((size, 2))\n"
            "    def sample_target(self, key, size): return jnp.zeros((size, 2))\n"
            "def make(settings):\n    return Own(dimension=2)\n",
            ["Own is unknown to JAX", "register_dataclass"],
        ),
    ],
)
def test_wrong_pair(write: Write, old: str, new: str, parts: list[str]) -> None:
    assert old in PAIR
    write(pairs, PAIR.replace(old, new))
    with pytest.raises(InputError, match="pair of measures kind 'mine'") as raised:
        own.make("mine", {"side": 2.0})
    for part in parts:
        assert raised.match(part)


def test_pair_without_one_of_its_samplers(write: Write) -> None:
    text = PAIR.replace("def make(settings):\n", "class M:\n    dimension = 2\n\n") + ""
    text = text.split("    return SyntheticPair")[0]
    text += "    def sample_target(self, key, size): return key\n\ndef make(settings): return M()\n"
    write(pairs, text)
    said = message(lambda: own.make("mine", {}))
    expect(said, "gives M, which lacks `sample_source`;", "expected a `w2dual.measures.Pair`")


def test_prepare_names_the_module_that_a_pairs_kind_needs(tmp_path: Path) -> None:
    out = tmp_path / "p.safetensors"
    said = message(lambda: preparation.prepare("p", {"kind": "nowhere"}, out))
    expect(said, "there is no module w2dual.measures.pairs.nowhere; add it")
    assert not out.exists()

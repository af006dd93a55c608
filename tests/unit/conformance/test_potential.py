"""The suite for potentials."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

import pytest
from tests.unit.settings import PAPER

from w2dual import closure, potentials
from w2dual.conformance import potential
from w2dual.conformance.base import Verdict

RIDGES = """\
COUNT = []

@jax.custom_vjp
def bent(z):
    return jax.nn.softplus(z)

bent.defvjp(lambda z: (bent(z), z), lambda z, ct: (ct * jnp.tanh(z),))

class Ridges(nn.Module):
    width: int
    factor: float = 1.0

    @nn.compact
    def __call__(self, x):
        ridges = jax.nn.softplus(nn.Dense(self.width)(x))
        return jnp.sum(ridges, axis=-1) * self.factor + 0.5 * jnp.sum(x * x, axis=-1)

def make(settings, dimension):
    return Ridges(settings["hidden"][0])
"""

Write = Callable[[ModuleType, str], None]


def failed(verdicts: list[Verdict]) -> dict[str, str]:
    return {verdict.check: verdict.words for verdict in verdicts if not verdict.passed}


def test_every_kind_of_ours_has_an_entry_that_is_examined() -> None:
    kinds = {entry["kind"] for entry in PAPER["potentials"].values()}
    assert kinds == set(closure.modules_with("potentials", "make"))


@pytest.mark.parametrize("name", ["icnn", "mlp_leaky"])
def test_ours_pass(name: str) -> None:
    settings = dict(PAPER["potentials"][name])
    verdicts = potential.verdicts(settings.pop("kind"), settings)
    assert len(verdicts) == 8
    assert not failed(verdicts)
    assert ("convexity", True, "convex as far as 64 tries show") in verdicts or name != "icnn"


def test_a_right_one_passes(write: Write) -> None:
    write(potentials, RIDGES)
    assert not failed(potential.verdicts("mine", {}))


def test_one_that_is_not_convex_passes_and_is_told(write: Write) -> None:
    write(potentials, RIDGES.replace("softplus(nn", "tanh(-4 * nn"))
    verdicts = potential.verdicts("mine", {})
    assert not failed(verdicts)
    assert "not convex: f is above its chord at" in verdicts[-1].words


WRONG = {
    "wrong gradient": ("jax.nn.softplus(nn", "bent(nn", "gradient", "wrong gradient: along"),
    "wrong shape": ("axis=-1) *", "axis=-1, keepdims=True) *", "shapes and types", r"shape \(3,"),
    "NaN": (
        "jax.nn.softplus(nn.Dense(self.width)(x))",
        "jnp.log(nn.Dense(self.width)(x))",
        "finite",
        r"f\(x\) is not finite",
    ),
    "keeps a state": (
        "ridges = ",
        "COUNT.append(1); x = x * len(COUNT); ridges = ",
        "keeps no state",
        "two calls differ",
    ),
    "make keeps a state": (
        "return Ridges(settings['hidden'][0])".replace("'", '"'),
        "COUNT.append(1); return Ridges(8, 1.0 * len(COUNT))",
        "keeps no state",
        "from one call of it to the next",
    ),
    "points of a batch mix": (
        "ridges = ",
        "x = x - jnp.mean(x, 0, keepdims=True); ridges = ",
        "points are independent",
        "changes with the other points",
    ),
    "same parameters for all seeds": (
        "nn.Dense(self.width)",
        "nn.Dense(self.width, kernel_init=nn.initializers.ones)",
        "parameters",
        "all seeds would be one",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_way_to_be_wrong_has_its_words(write: Write, case: str) -> None:
    old, new, check, words = WRONG[case]
    assert old in RIDGES
    write(potentials, RIDGES.replace(old, new))
    found = failed(potential.verdicts("mine", {}))
    assert check in found
    assert re.search(words, found[check]), found

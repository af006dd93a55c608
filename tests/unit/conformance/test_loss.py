"""The suite for amortization losses."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

import pytest
from tests.unit.settings import PAPER

from w2dual import amortization, closure
from w2dual.config.rows import at_dimension
from w2dual.conformance import loss
from w2dual.conformance.base import Verdict

Write = Callable[[ModuleType, str], None]


def failed(verdicts: list[Verdict]) -> dict[str, str]:
    return {verdict.check: verdict.words for verdict in verdicts if not verdict.passed}


@pytest.mark.parametrize("kind", closure.modules_with("amortization", "make"))
def test_ours_pass(kind: str) -> None:
    entries = [name for name, e in PAPER["amortizations"].items() if e["kind"] == kind]
    assert entries
    for name in entries:
        settings = at_dimension(PAPER["amortizations"][name], 3)
        verdicts = loss.verdicts(settings.pop("kind"), settings)
        assert len(verdicts) == 8
        assert not failed(verdicts)


REGRESSION = "jnp.mean((batch.x_tilde - batch.x_hat) ** 2)"
WRONG = {
    "wrong gradient": (
        f"jax.lax.stop_gradient({REGRESSION})",
        "gradient reaches the model",
        "model learns nothing",
    ),
    "wrong sign": (f"-{REGRESSION}", "least at the argmin", "away from them"),
    "moves f": (
        "jnp.mean((batch.gradient(batch.x_tilde) - batch.y) ** 2)",
        "f is held fixed",
        "take `potential_fixed` and `gradient_fixed`",
    ),
    "NaN": ("jnp.mean(jnp.log(batch.x_tilde - 100))", "finite", "the loss is nan"),
    "gradient is NaN": (
        f"{REGRESSION} + 0 * jnp.sqrt(jnp.sum((batch.x_tilde * 0) ** 2))",
        "finite",
        "gradient is not finite",
    ),
    "wrong shape": (
        "jnp.mean((batch.x_tilde - batch.x_hat) ** 2, -1)",
        "shapes and types",
        r"gives shape \(16,\) of float32; expected one number",
    ),
    "keeps a state": (f"(C.append(1) or len(C)) * {REGRESSION}", "keeps no state", "two calls"),
    "order": (
        "jnp.mean(jnp.arange(16.0)[:, None] * (batch.x_tilde - batch.x_hat) ** 2)",
        "order of points",
        "in another order is",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_way_to_be_wrong_has_its_words(write: Write, case: str) -> None:
    body, check, words = WRONG[case]
    write(amortization, f"C = []\ndef make(settings): return lambda batch: {body}\n")
    found = failed(loss.verdicts("mine", {}))
    assert next(iter(found)) == check
    assert re.search(words, found[check]), found

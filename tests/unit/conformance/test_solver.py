"""The suite for conjugate solvers: ours pass, and each way to be wrong has its own words."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from tests.unit.settings import PAPER

from w2dual import closure, conjugate
from w2dual.conformance import problems, solver
from w2dual.conformance.base import Verdict

DESCENT = """\
from w2dual.conjugate.base import ConjugateSolver, Status, all_finite, max_norm

class State(NamedTuple):
    x: Array
    value: Array
    gradient: Array
    status: Array
    iterations: Array
    evaluations: Array

CALLS = []

@dataclass(frozen=True)
class Descent(ConjugateSolver):
    rate: float
    gradient_tolerance: float
    max_iterations: int

    def init(self, x_init):
        count = jnp.zeros(x_init.shape[1:], jnp.int32)
        value = jnp.zeros(x_init.shape[1:], x_init.dtype)
        return State(x_init, value, jnp.zeros_like(x_init), count, count, count)

    def step(self, objective, state):
        x = state.x - self.rate * state.gradient
        value, gradient = objective(x)
        iterations = jnp.where(state.evaluations == 0, 0, state.iterations + 1)
        limit = iterations >= self.max_iterations
        stopped = jnp.where(limit, Status.ITERATION_LIMIT, Status.RUNNING)
        converged = max_norm(gradient) <= self.gradient_tolerance
        status = jnp.where(converged, Status.CONVERGED, stopped)
        status = jnp.where(all_finite(value, gradient), status, Status.NON_FINITE)
        status = status.astype(jnp.int32)
        return State(x, value, gradient, status, iterations, state.evaluations + 1)

def make(settings):
    return Descent(**settings)
"""
SETTINGS = {"rate": 0.3, "gradient_tolerance": 0.1, "max_iterations": 50}

Write = Callable[[ModuleType, str], None]


def failed(verdicts: list[Verdict]) -> dict[str, str]:
    return {verdict.check: verdict.words for verdict in verdicts if not verdict.passed}


ENTRIES = [name for name, entry in PAPER["solvers"].items() if entry["kind"] != "none"]


def test_every_kind_of_ours_has_an_entry_that_is_examined() -> None:
    kinds = {PAPER["solvers"][name]["kind"] for name in ENTRIES}
    assert kinds == set(closure.modules_with("conjugate", "make"))


@pytest.mark.parametrize("name", ENTRIES)
def test_ours_pass(name: str) -> None:
    settings = dict(PAPER["solvers"][name])
    verdicts = solver.verdicts(settings.pop("kind"), settings)
    assert len(verdicts) == 10
    assert not failed(verdicts)


def test_a_right_one_passes_and_needs_no_names_of_ours(write: Write) -> None:
    write(conjugate, DESCENT)
    assert not failed(solver.verdicts("mine", SETTINGS))
    renamed = DESCENT.replace("gradient_tolerance", "tol").replace("max_iterations", "limit")
    write(conjugate, renamed)
    assert not failed(solver.verdicts("mine", {"rate": 0.3, "tol": 0.01, "limit": 100}))


WRONG = {
    "wrong gradient": (
        "converged = max_norm(gradient)",
        "gradient = gradient / 10; converged = max_norm(gradient)",
        {"reports its results": "wrong gradient_norm at"},
    ),
    "wrong value": (
        "return State(x, value,",
        "return State(x, value + 1,",
        {"reports its results": "wrong value at"},
    ),
    "x of another point": (
        "return State(x, value,",
        "return State(x + 0.5, value,",
        {"reports its results": "belong to the same point"},
    ),
    "never ends": (
        "limit = iterations >= self.max_iterations",
        "limit = False",
        {"ends": r"never ends: .* RUNNING after .* where J is linear.*ITERATION_LIMIT"},
    ),
    "more iterations than it says": (
        "limit = iterations >= self.max_iterations",
        "limit = iterations >= 2 * self.max_iterations",
        {"ends": "counts 100 iterations where `max_iterations` is 50"},
    ),
    "NaN passes for converged": (
        "converged = max_norm(gradient) <= self.gradient_tolerance",
        "converged = ~(max_norm(gradient) > self.gradient_tolerance); all_finite = lambda *_: True",
        {"not a number": "a start that is NaN ends as CONVERGED; expected NON_FINITE"},
    ),
    "wrong shape": (
        "gradient, status, iter",
        "gradient[0], status, iter",
        {"shapes and types": "`step` changes `gradient`"},
    ),
    "a counter in the module": (
        "x = state.x -",
        "CALLS.append(1); x = state.x - 0.9 ** len(CALLS) *",
        {"keeps no state": "two calls differ.*keep no state"},
    ),
    "a counter in make": (
        "def make(settings):\n",
        "def make(settings):\n    CALLS.append(1)\n"
        "    settings = settings | {'rate': 0.3 * 0.9 ** len(CALLS)}\n",
        {"keeps no state": "from one call of it to the next"},
    ),
    "uphill": (
        "state.x - self.rate",
        "state.x + self.rate",
        {"converges": "points with a minimiser close by end as ITERATION_LIMIT"},
    ),
    "claims to converge": (
        "converged = max_norm(gradient) <= self.gradient_tolerance",
        "converged = iterations == 3",
        {"converges": r"says CONVERGED where max\|gradient\|", "no answer": "J is linear"},
    ),
    "gives up early": (
        "limit, Status.ITERATION_LIMIT,",
        "iterations == 2, Status.LINE_SEARCH_FAILED,",
        {"converges": "points with a minimiser close by end as LINE_SEARCH_FAILED"},
    ),
    "lanes share a step": (
        "self.rate * state.gradient",
        "self.rate * state.gradient / (1 + jnp.mean(jnp.nan_to_num(state.value)))",
        {"lanes are independent": "changes with the problems in other lanes"},
    ),
    "a restart that keeps the gradient": (
        "    def step(self",
        "    def restart(self, state, where, x_init):\n"
        "        new = super().restart(state, where, x_init)\n"
        "        return new._replace(gradient=state.gradient)\n\n"
        "    def step(self",
        {"lanes restart": "must give the lanes of `where` all that `init` gives"},
    ),
    "no hash": (
        "@dataclass(frozen=True)\nclass D",
        "@dataclass\nclass D",
        {"keeps no state": "frozen dataclass"},
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_way_to_be_wrong_has_its_words(write: Write, case: str) -> None:
    old, new, expected = WRONG[case]
    assert old in DESCENT
    write(conjugate, DESCENT.replace(old, new))
    found = failed(solver.verdicts("mine", SETTINGS))
    for check, words in expected.items():
        assert re.search(words, found.get(check, "passed")), found


def test_the_answers_are_minimisers() -> None:
    trial = problems.trial()
    context = problems.Context(*(leaf[:, : problems.SOLVABLE] for leaf in trial.context))
    _, gradient = problems.exactly(context, trial.answer)
    # The context is rounded to single precision, the answers are not.
    assert np.abs(gradient).max() < 1e-5

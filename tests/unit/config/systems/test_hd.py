"""The benchmark's rows and pairs: what is refused, and by which words."""

import pytest
from tests.unit.config.changed import load, refusal
from tests.unit.settings import PAPER

from w2dual.config import rows
from w2dual.config.grid import cells_in


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


def test_method_given_twice():
    method = "{amortization: cycle, solver: adam}"
    message = refusal(f"hd: {{methods: [{method}, {method}]}}")
    assert "`hd.methods.1`" in message
    assert "duplicate method cycle + adam" in message


def test_a_preset_adds_methods_without_the_list():
    added = {"amortization": "none", "solver": "lbfgs_high_precision"}
    config = load("hd: {more_methods: [{amortization: none, solver: lbfgs_high_precision}]}")
    assert rows.methods(config["hd"]) == [*PAPER["hd"]["methods"], added]
    names = {(cell.amortization, cell.solver) for cell in cells_in("hd", config)}
    assert names - {(c.amortization, c.solver) for c in cells_in("hd", PAPER)} == {
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


def test_generated_pair_at_full_budget_of_the_benchmarks_own_methods():
    """They are trained on the same pairs, in dimensions of their own."""
    text = "measures: {benchmark: {sources: [mirror, generated]}}\nhd: {dimensions: [3]}\n"
    own = "baselines: {dimensions: [2, 3, 4], methods: [{method: mm}]}"
    message = refusal(text + own)
    assert "`measures.benchmark.sources`" in message
    assert "[2, 4] of `baselines.dimensions`" in message
    load(text + own.replace("[2, 3, 4]", "[3]"))
    load(text + "baselines: {dimensions: [2, 4], methods: []}")


def test_unpublished_dimension_may_be_generated_at_full_budget():
    text = "measures: {benchmark: {sources: [generated]}}\nhd: {dimensions: [3]}\n"
    load(text + "baselines: {dimensions: [3]}")


def test_new_method_is_a_line_of_config():
    text = "hd: {methods: [{amortization: none, solver: lbfgs_high_precision}]}"
    assert load(text)["hd"]["methods"][0]["solver"] == "lbfgs_high_precision"

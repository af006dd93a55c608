"""Lagrangian costs: what is refused, and by which words."""

from pathlib import Path

import pytest
from tests.unit.config.changed import refusal

from w2dual.config.grid import cells_in
from w2dual.config.reader import load
from w2dual.config.systems import lagrangian
from w2dual.report.tables.hd import budget_notes
from w2dual.results.lagrangian import LagrangianSettings

ROOT = Path(__file__).parents[4]


def test_the_note_on_a_reduced_budget_is_of_budgets_that_cells_have():
    config = load([ROOT / "config.yaml", ROOT / "presets/laptop.yaml"])
    spent = [cell.training for cell in cells_in("lagrangian", config)]
    assert {(one.iterations, one.batch_size) for one in spent} == {(400, 128), (1000, 128)}
    (note,) = budget_notes(LagrangianSettings.from_json(lagrangian.table(config)))
    assert "laptop" in note
    assert "400 to 1,000 iterations at batch size 128, 3 seeds" in note


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
    assert part in refusal(f"lagrangian: {text}")


def test_what_a_method_says_of_an_unknown_setting_is_refused():
    own = "methods: {nlsb: {by_setting: {slot: {penalty: 1.0}}}}"
    words = "`methods.nlsb.by_setting`: unknown name `slot`; `lagrangian.settings` has box, slit"
    assert words in refusal(own)

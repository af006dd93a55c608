"""Lagrangian costs: what is refused, and by which words."""

import pytest
from tests.unit.config.changed import refusal


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

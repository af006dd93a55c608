"""Colour transport: what is refused, and by which words; and its pairs."""

import pytest
from tests.unit.config.changed import load, refusal
from tests.unit.settings import PAPER

from w2dual.config import reader
from w2dual.config.grid import cells_in


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{methods: [{method: w2}]}", "`meta_color.methods.0.method`: `methods.w2`, of the kind"),
        ("{methods: [{method: mine}]}", "`meta_color.methods.0.method`: unknown name `mine`"),
        ("{finetuning: {solver: none}}", "`meta_color.finetuning.solver`: names no solver"),
        ("{finetuning: {steps: 7}}", "`meta_color.finetuning.steps`: is not a multiple of"),
        (
            "{evaluation: {samples: 512}}",
            "`meta_color.evaluation.samples`: 512 is not `measures.palettes.test_points` = 1024",
        ),
    ],
)
def test_what_does_not_fit_is_refused(text: str, part: str):
    assert part in refusal(f"meta_color: {text}")


def test_an_encoder_without_a_module_is_named():
    message = refusal("methods: {meta_histogram: {encoder: words}}")
    assert "`methods.meta_histogram.encoder`: encoder 'words': unknown; expected one of" in message


def test_there_are_cells_where_there_are_images_and_a_stand_in_only_at_a_reduced_budget():
    stand_in = "measures: {palettes: {sources: [drawn]}}"
    assert "`measures.palettes.sources`: a preset at full budget" in refusal(stand_in)
    assert cells_in("meta_color", PAPER) == []
    for text in (
        "measures: {palettes: {folder: pictures}}",
        f"preset: {{reduced: true}}\n{stand_in}",
    ):
        config = load(text)
        pairs = {cell.pair for cell in cells_in("meta_color", config)}
        assert pairs == {name for name in reader.pairs(config) if name.startswith("palettes")}
        assert pairs == {"palettes_image", "palettes_histogram"}

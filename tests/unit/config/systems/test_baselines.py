"""The benchmark's own methods: which pairs they need."""

from tests.unit.config.changed import load, refusal

from w2dual.config import places, reader
from w2dual.config.grid import grid


def test_dimensions_of_no_method_are_not_prepared():
    text = "baselines: {{dimensions: [3], methods: [{}]}}"
    config = load(text.format(""))
    assert "hd3" not in reader.pairs(config)
    assert {cell.pair for cell in grid(config)} == {*reader.pairs(config)} - {
        places.CELEBA64_GENERATOR
    }
    assert "`baselines.dimensions`: the benchmark has no weights for n = 3" in refusal(
        text.format("{method: mm}")
    )

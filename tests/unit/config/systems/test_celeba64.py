"""Cells on images: what is refused, and by which words."""

from tests.unit.config.changed import load, refusal

from w2dual.config import reader


def test_what_celeba64_names_is_known():
    message = refusal("celeba64: {methods: [{amortization: cycle, solver: newton}]}")
    assert "`celeba64.methods.0.solver`" in message


def test_images_that_are_generated_have_the_cells_dimension():
    small = "measures: {celeba64: {sources: [generated], generated: {size: 16}}}\n"
    reduced = "preset: {name: small, reduced: true}\n"
    message = refusal(reduced + small)
    assert "`celeba64.dimension`: 12288" in message
    assert "768 numbers of 16 x 16 pixels" in message
    none = load(reduced + small + "celeba64: {generators: []}")
    assert not [name for name in reader.pairs(none) if name.startswith("celeba64")]
    load(reduced + small + "celeba64: {dimension: 768}")


def test_a_full_budget_admits_no_generated_images():
    message = refusal("measures: {celeba64: {sources: [mirror, generated]}}")
    assert "`measures.celeba64.sources`" in message
    assert "`preset.reduced: false`" in message
    load("preset: {reduced: true}\nmeasures: {celeba64: {sources: [generated]}}")

"""The benchmark's own methods on images: what is refused, and by which words."""

from tests.unit.config.changed import refusal


def test_its_rows_are_checked():
    parts = "celeba64_baselines: {methods: [{amortization: cycle, solver: lbfgs}]}"
    assert "`celeba64_baselines.methods.0` lacks a potential" in refusal(parts)
    unknown = "celeba64_baselines: {methods: [{method: mine}]}"
    assert "`celeba64_baselines.methods.0.method`: unknown name `mine`" in refusal(unknown)

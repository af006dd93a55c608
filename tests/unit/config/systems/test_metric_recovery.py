"""Recovered metrics: what is refused, and by which words."""

from pathlib import Path

from tests.unit.config.changed import load, refusal

from w2dual.config import reader
from w2dual.config.grid import cells_in
from w2dual.config.systems import metric_recovery
from w2dual.report.tables.hd import budget_notes
from w2dual.report.tables.metric_recovery import RecoverySettings

ROOT = Path(__file__).parents[4]


def test_the_note_on_a_reduced_budget_is_of_budgets_that_cells_have():
    config = reader.load([ROOT / "config.yaml", ROOT / "presets/laptop.yaml"])
    spent = [cell.training for cell in cells_in("metric_recovery", config)]
    assert {one.iterations for one in spent} == {700, 1500}
    assert {one.batch_size for one in spent} == {100}
    settings = RecoverySettings.from_json(metric_recovery.table(config))
    (note,) = budget_notes(settings)
    assert "700 to 1,500 iterations at batch size 100, " in note


def test_what_metric_recovery_names_is_known():
    message = refusal("metric_recovery: {sets: [square]}")
    assert "`metric_recovery.sets`: unknown name `square`" in message
    assert "mass_splitting" in message
    message = refusal("measures: {snapshots: {circle: {bounds: [[1.5, -1.5], [-1.5, 1.5]]}}}")
    assert "`measures.snapshots.circle.bounds`" in message
    message = refusal("metric_recovery: {methods: [{amortization: cycle, solver: lbfgs}]}")
    assert "`metric_recovery.methods.0` lacks a potential" in message
    message = refusal(
        "measures: {synthetic: {circle: {kind: synthetic, source: rings, target: rings}}}"
    )
    assert "`measures.synthetic` has the same name" in message
    none = load("metric_recovery: {sets: []}")
    assert not {"circle", "mass_splitting", "x_paths"} & set(reader.pairs(none))


def test_what_a_method_says_of_an_unknown_set_is_refused():
    message = refusal("methods: {scarvelis: {by_set: {square: {rounds: 2}}}}")
    assert "`methods.scarvelis.by_set`: unknown name `square`; `measures.snapshots` has" in message
    message = refusal("methods: {scarvelis: {by_set: {circle: {hidden: [4]}}}}")
    assert "methods.scarvelis.by_set.circle" in message
    assert "hidden" in message

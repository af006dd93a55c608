"""Starts of entropic transport: what is refused, and by which words."""

from tests.unit.config.changed import load, refusal
from tests.unit.settings import PAPER

from w2dual.config import reader


def test_what_starts_of_entropic_transport_name_is_known():
    message = refusal("meta_sinkhorn: {tasks: [usps]}")
    assert "`meta_sinkhorn.tasks`: unknown name `usps`" in message
    message = refusal("meta_sinkhorn: {methods: [{method: w2}]}")
    assert "`meta_sinkhorn.methods.0.method`: `methods.w2` is of the kind `w2gn`" in message
    message = refusal("meta_sinkhorn: {study: {max_iterations: {mnist: {simplex: 5}}}}")
    assert "`meta_sinkhorn.study.max_iterations.mnist`: unknown name `simplex`" in message
    message = refusal("meta_sinkhorn: {study: {finetuners: {lbfgs: {solver: adam}}}}")
    assert "solver `adam` is of kind `adam`; expected one of kind `lbfgs`" in message
    factor = "{annealed_newton: {annealing: {factor: 1.5}}}"
    message = refusal(f"meta_sinkhorn: {{study: {{finetuners: {factor}}}}}")
    assert "`meta_sinkhorn.study.finetuners.annealed_newton`" in message
    assert "annealing: null or {start: NUMBER from 1, factor: NUMBER below 1" in message
    message = refusal("meta_sinkhorn: {study: {pairs: {mnist: 5}}}")
    assert "`meta_sinkhorn.study.shown`: 10 is more than" in message


def test_epsilon_and_tolerances_that_number_types_do_not_hold_are_refused():
    message = refusal("measures: {discrete: {mnist: {epsilon: 1.0e-6}}}")
    assert "`measures.discrete.mnist.epsilon`" in message
    assert "expected a number from 1.2e-5, below which float32" in message
    message = refusal("meta_sinkhorn: {study: {tolerances: [1.0e-16]}}")
    assert "a number from 1.0e-12" in message
    message = refusal("meta_sinkhorn: {study: {check_every: [10]}}")
    assert "a list of whole numbers above 0, with 1" in message


def test_the_papers_config_admits_no_stand_in_for_discrete_measures():
    message = refusal("measures: {discrete: {sphere: {sources: [packaged]}}}")
    assert "`measures.discrete.sphere.sources`: a preset at full budget" in message
    known = load("preset: {reduced: true}\nmeasures: {discrete: {sphere: {sources: [packaged]}}}")
    assert {"mnist", "sphere"} <= reader.pairs(known).keys()
    assert "sphere" not in reader.pairs(PAPER)
    named = load("measures: {discrete: {sphere: {raster: people.tif}}}")
    assert "sphere" in reader.pairs(named)

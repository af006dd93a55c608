"""Methods: what is trained and how, one module a kind; the first is the dual of the paper.

A kind of method is one module of this package with `make(settings, dimension) -> Method`, where the
settings are all of a cell's; and with `NEEDS = (...)`, the parts of a cell's settings that it is
made of, out of potential, amortization_model, amortization and solver. `NEEDS` is read without
importing the module, so it has to be written out. A cell names its kind under `method`, next to the
method's own settings; one that names none is of the kind `dual`. A module may name what evaluates
its cells, as `EVALUATION = "KIND"` (`w2dual.evaluation.kinds`).
"""

from w2dual.training.methods.base import (
    Batches,
    Conjugating,
    Divergence,
    Given,
    Looped,
    Method,
    Network,
    State,
    Step,
    Trees,
    make,
)

__all__ = [
    "Batches",
    "Conjugating",
    "Divergence",
    "Given",
    "Looped",
    "Method",
    "Network",
    "State",
    "Step",
    "Trees",
    "make",
]

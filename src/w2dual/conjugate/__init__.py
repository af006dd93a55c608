"""Conjugate solvers: x_hat(y) = argmin_x J_f(x; y) with J_f(x; y) = f(x) + c(x, y).

For the convex conjugate the cost c is -<x, y>, which it is where none is named.
"""

from w2dual.conjugate.base import (
    ConjugateResult,
    ConjugateSolver,
    Oracle,
    SolverState,
    Status,
    evaluate,
    make,
)
from w2dual.conjugate.costs import Cost, InnerProduct
from w2dual.conjugate.solving import solve

__all__ = [
    "ConjugateResult",
    "ConjugateSolver",
    "Cost",
    "InnerProduct",
    "Oracle",
    "SolverState",
    "Status",
    "evaluate",
    "make",
    "solve",
]

"""Conjugate solvers: x_hat(y) = argmin_x J_f(x; y) with J_f(x; y) = f(x) - <x, y>."""

from w2dual.conjugate.base import (
    ConjugateResult,
    ConjugateSolver,
    Oracle,
    SolverState,
    Status,
    make,
)
from w2dual.conjugate.solving import solve

__all__ = [
    "ConjugateResult",
    "ConjugateSolver",
    "Oracle",
    "SolverState",
    "Status",
    "make",
    "solve",
]

"""Conjugation by w2dual, the plain loop, jaxopt and optimistix, on one of our potentials.

All stop at the same place, as `w2dual.studies.libraries` says, which has the libraries' solvers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from jaxtyping import Array

from benchmarks.case import Case
from benchmarks.contestants import Conjugation, plain
from w2dual import potentials
from w2dual.studies import libraries


def ours(case: Case) -> Conjugation:
    """w2dual's driver and L-BFGS."""
    single = partial(potentials.value_and_gradient, case.problem.potential)

    def oracle(params: Any) -> Any:
        def evaluate(x: Array) -> tuple[Array, Array]:
            value, gradient = single(params, x[0])
            return value[None], gradient[None]

        return evaluate

    return Conjugation(libraries.ours(case.problem.solver, oracle))


def plain_loop(case: Case) -> Conjugation:
    """The plain loop's mapped L-BFGS."""
    return Conjugation(plain.conjugation(case))


def jaxopt(case: Case, linesearch: Literal["zoom", "backtracking"]) -> Conjugation:
    """Jaxopt's L-BFGS with its own settings, mapped over points."""
    one = libraries.jaxopt(_value(case), case.cell.settings["solver"], linesearch)
    return Conjugation(libraries.mapped(one))


def optimistix(case: Case) -> Conjugation:
    """Optimistix's L-BFGS, mapped over points."""
    one = libraries.optimistix(_value(case), case.cell.settings["solver"])
    return Conjugation(libraries.mapped(one))


def _value(case: Case) -> libraries.Value:
    """Return f of one point, by w2dual's network."""
    return lambda params, x: potentials.value(case.problem.potential, params, x[None])[0]


MAKERS: dict[str, Callable[[Case], Conjugation]] = {
    "ours": ours,
    "plain": plain_loop,
    "jaxopt_zoom": partial(jaxopt, linesearch="zoom"),
    "jaxopt_backtracking": partial(jaxopt, linesearch="backtracking"),
    "optimistix": optimistix,
}

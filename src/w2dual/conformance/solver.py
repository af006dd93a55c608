"""The suite for a conjugate solver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from w2dual import conjugate
from w2dual.conformance import problems
from w2dual.conformance.base import Check, Suite, Verdict, judge, require, same
from w2dual.conformance.problems import ASCENT, LINEAR, NOT_A_NUMBER, SOLVABLE
from w2dual.conjugate import ConjugateResult, Status
from w2dual.conjugate.base import choose, objective_of, result_of

COST = problems.Problems()
SOME_LANES = 5
"""Fewer than there are points, so that lanes are used again."""
FREE_LIMIT = 1000
"""Iterations that a solver may take which states no `max_iterations`."""
EVALUATIONS = 50
"""Evaluations in an iteration that a solver may take which states no `trials`."""
ROUNDED = 1e-3
"""max|gradient| below which J may not decrease in single precision: about sqrt(epsilon |J|)."""
CLOSE = 1e-3
"""Difference in x that rounding may make where the same points are solved in other lanes."""


def verdicts(kind: str, settings: Mapping[str, Any]) -> list[Verdict]:
    """Check a kind of conjugate solver.

    Args:
        kind: the module in `w2dual.conjugate`.
        settings: of `make`. `gradient_tolerance`, `max_iterations` and `trials` mean what they do
            for our own; where one is missing, a bound of this suite's own stands in.
    """
    suite = _Suite(kind, settings)
    return judge(
        [
            Check("shapes and types", suite.shapes, needed=True),
            Check("keeps no state", suite.no_state),
            Check("ends", suite.ends, needed=True),
            Check("reports its results", suite.reports),
            Check("converges", suite.converges),
            Check("not a number", suite.not_a_number),
            Check("no answer", suite.no_answer),
            Check("same bits again", suite.same_bits),
            Check("lanes are independent", suite.independent),
            Check("lanes restart", suite.restarts),
        ]
    )


class _Suite(Suite[conjugate.ConjugateSolver[Any]]):
    """A solver, and what it does on the trial's points, computed once."""

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        super().__init__(kind, settings)
        self.trial = problems.trial()

    def make(self) -> conjugate.ConjugateSolver[Any]:
        solver = conjugate.make(self.settings)
        assert solver is not None  # noqa: S101  (None is of the kind `none`, which is no module)
        return solver

    @cached_property
    def most_steps(self) -> int:
        """Return more steps than the solver can need."""
        iterations = int(self.settings.get("max_iterations", FREE_LIMIT))
        return iterations * int(self.settings.get("trials", EVALUATIONS)) + EVALUATIONS

    @cached_property
    def run(self) -> Callable[[Any, Any], ConjugateResult]:
        """Return what steps all points until each has finished, or the steps are used up."""
        return jax.jit(partial(_bounded, self.made, self.most_steps))

    @cached_property
    def result(self) -> Any:
        return _host(self.run(self.trial.context, self.trial.start))

    def shapes(self) -> str:
        name = type(self.made).__name__  # made, and checked in doing so
        return f"`init` and `step` of {name} give states that a loop can carry"

    def traced(
        self, made: conjugate.ConjugateSolver[Any]
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        context = jax.tree.map(partial(jnp.moveaxis, source=-1, destination=0), self.trial.context)

        def step(start: Array) -> Any:
            objective = objective_of(problems.zero, context, COST)
            return made.step(objective, made.step(objective, made.init(start)))

        return step, (jnp.moveaxis(jnp.asarray(self.trial.start), -1, 0),)

    def no_state(self) -> str:
        words = super().no_state()
        first, second = self.made, self.make()
        hashable = type(first).__hash__ is not None
        require(
            hashable and first == second and hash(first) == hash(second),
            "two solvers of the same settings are not equal or have no hash, so that whatever "
            "takes one would be compiled again; make the class a frozen dataclass of its settings",
        )
        return words

    def ends(self) -> str:
        status = self.result.status
        running = status == Status.RUNNING
        limit = self.settings.get("max_iterations")
        stated = "no `max_iterations`" if limit is None else f"`max_iterations` {limit}"
        require(
            not running.any(),
            f"never ends: {running.sum()} of {running.size} points are RUNNING after "
            f"{self.most_steps:,} steps (settings: {stated}), {_where(running)}; have `step` set "
            "a lane's status to ITERATION_LIMIT after a number of iterations",
        )
        unknown = sorted(set(status.ravel().tolist()) - set(Status))
        require(not unknown, f"status {unknown}: expected the values of `conjugate.Status`")
        most = self.result.iterations.max()
        require(
            limit is None or most <= limit,
            f"counts {most} iterations where `max_iterations` is {limit}",
        )
        return f"every point leaves RUNNING, after {most} iterations at most"

    def reports(self) -> str:
        found = self.result
        told = (found.status != Status.NON_FINITE) & np.isfinite(found.x).all(axis=-1)
        x = np.where(np.isfinite(found.x), found.x, 0.0).astype(np.float64)
        value, gradient = problems.exactly(self.trial.context, x)
        for name, reported, true in (
            ("value", found.value, value),
            ("gradient_norm", found.gradient_norm, np.abs(gradient).max(axis=-1)),
        ):
            scale = 1.0 + np.abs(true) + np.sum(x * x, axis=-1)
            with np.errstate(invalid="ignore", over="ignore"):
                off = told & ~(np.abs(reported - true) <= 1e-4 * scale)
            if off.any():
                place = tuple(np.argwhere(off)[0])
                require(
                    False,
                    f"wrong {name} at {off.sum()} of {told.sum()} points: it is "
                    f"{reported[place]:.6g} in the result, and {true[place]:.6g} at the result's "
                    "x; x, `value` and `gradient` of a state belong to the same point, and are "
                    "what `objective(x)` gave",
                )
        return "`value` and `gradient_norm` are those of J at the result's x"

    def converges(self) -> str:
        context = jax.tree.map(lambda leaf: leaf[:, :SOLVABLE], self.trial.context)
        x, status = self.result.x[:, :SOLVABLE], self.result.status[:, :SOLVABLE]
        _, last = problems.exactly(context, x)
        steepest = np.abs(last).max(axis=-1)
        rounded = (status == Status.LINE_SEARCH_FAILED) & (steepest <= ROUNDED)
        short = (status != Status.CONVERGED) & ~rounded
        named = sorted({Status(value).name for value in status[short].tolist()})
        require(
            not short.any(),
            f"{short.sum()} of {short.size} points with a minimiser close by end as "
            f"{', '.join(named)}; expected CONVERGED on quadratics and on log-sum-exp plus a "
            "quadratic, with curvatures from 0.5 to 2.5",
        )
        _, first = problems.exactly(context, self.trial.start[:, :SOLVABLE])
        tolerance = self.settings.get("gradient_tolerance", 0.05 * float(np.abs(first).max()))
        worst = float(steepest[~rounded].max(initial=0.0))
        require(
            worst <= 1.01 * tolerance + 1e-5,
            f"says CONVERGED where max|gradient| of J is {worst:.3g}; expected {tolerance:.3g} at "
            "most",
        )
        # By strong convexity ||x - x*|| <= ||gradient|| / least curvature.
        least = max(tolerance, ROUNDED) if rounded.any() else tolerance
        bound = np.sqrt(problems.N) * least / min(problems.CURVATURES) + CLOSE
        distance = float(np.linalg.norm(x - self.trial.answer, axis=-1).max())
        require(
            distance <= bound,
            f"ends at a distance of {distance:.3g} from the minimiser; expected {bound:.3g} at "
            f"most for gradients below {least:.3g}",
        )
        words = f"within {distance:.2g} of the closed form and of SciPy's minimisers"
        if rounded.any():
            words += f"; {rounded.sum()} of {rounded.size} points end where J no longer decreases "
            words += "in single precision, as LINE_SEARCH_FAILED"
        return words

    def not_a_number(self) -> str:
        named = {Status(value).name for value in self.result.status[:, NOT_A_NUMBER].tolist()}
        require(
            named == {Status.NON_FINITE.name},
            f"a start that is NaN ends as {', '.join(sorted(named))}; expected NON_FINITE wherever "
            "`value` or `gradient` is not finite, as `conjugate.base.all_finite` tells",
        )
        return "a start that is NaN ends as NON_FINITE"

    def no_answer(self) -> str:
        named = {Status(value).name for value in self.result.status[:, LINEAR].tolist()}
        require(
            Status.CONVERGED.name not in named,
            "says CONVERGED where J is linear and its gradient is 1 everywhere",
        )
        return f"where J is linear it ends as {', '.join(sorted(named))}"

    def same_bits(self) -> str:
        again = _host(self.run(self.trial.context, self.trial.start))
        require(same(self.result, again), "the same call gives other numbers when it is repeated")
        return "the same call gives the same bits"

    def independent(self) -> str:
        # Every second point becomes another problem, and its neighbours must not notice.
        other = np.arange(problems.POINTS) % 2 == 1
        source = problems.trial(seed=1)
        context, start = jax.tree.map(
            lambda new, old: np.where(other[None, :, None], new, old),
            (source.context, source.start),
            (self.trial.context, self.trial.start),
        )
        changed = _host(self.run(context, start))
        require(
            same(*(jax.tree.map(lambda a: a[:, ~other], r) for r in (self.result, changed))),
            "a point's result changes with the problems in other lanes; every operation of `step` "
            "must act on each lane by itself",
        )
        turned = jax.tree.map(lambda leaf: leaf[::-1, ::-1], (self.trial.context, self.trial.start))
        moved = _host(self.run(*turned))
        self._agree(
            jax.tree.map(lambda leaf: leaf[::-1, ::-1], moved),
            "a point's result changes with its place among the lanes",
        )
        return "a point's result depends on no other point, nor on its place"

    def restarts(self) -> str:
        solve = partial(conjugate.solve, self.made, problems.zero, lanes=SOME_LANES, cost=COST)
        queued = _host(jax.jit(solve)(self.trial.context, x_init=self.trial.start))
        self._agree(
            queued,
            "results differ where lanes are used again; `restart(state, where, x_init)` must give "
            "the lanes of `where` all that `init` gives",
        )
        return f"{problems.POINTS} points in {SOME_LANES} lanes end as they do all at once"

    def _agree(self, other: Any, otherwise: str) -> None:
        mine, theirs = (
            jax.tree.map(lambda leaf: leaf[:, :SOLVABLE], r) for r in (self.result, other)
        )
        require(
            same(mine[3:], theirs[3:])  # status, iterations and evaluations
            and np.allclose(mine.x, theirs.x, atol=CLOSE, rtol=CLOSE)
            and same(self.result.status[:, NOT_A_NUMBER], other.status[:, NOT_A_NUMBER]),
            otherwise,
        )


def _bounded(solver: Any, most: int, context: Any, start: Array) -> ConjugateResult:
    """Step all points until each has finished, as `solve` does, but at most so many times."""
    first = partial(jnp.moveaxis, source=-1, destination=0)
    objective = objective_of(problems.zero, jax.tree.map(first, context), COST)

    def body(carry: Any) -> Any:
        state, kept, count = carry
        state = solver.step(objective, state)
        running = kept.status == Status.RUNNING
        kept = jax.tree.map(partial(choose, running), result_of(state), kept)
        return state, kept, count + 1

    def goes_on(carry: Any) -> Array:
        return jnp.any(carry[1].status == Status.RUNNING) & (carry[2] < most)

    state = solver.init(first(jnp.asarray(start)))
    _, result, _ = jax.lax.while_loop(goes_on, body, (state, result_of(state), 0))
    return result._replace(x=jnp.moveaxis(result.x, 0, -1))


def _host(result: ConjugateResult) -> Any:
    return jax.tree.map(np.asarray, result)


def _where(lanes: np.ndarray) -> str:
    """Return in words which of the trial's points some lanes are."""
    words = {
        "where J has a minimiser": lanes[:, :SOLVABLE],
        "where J is linear": lanes[:, LINEAR],
        "where the gradient leads up": lanes[:, ASCENT],
        "where the start is NaN": lanes[:, NOT_A_NUMBER],
    }
    return ", ".join(word for word, part in words.items() if part.any())

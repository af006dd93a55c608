"""A conjugate solver's way down, iterate by iterate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from w2dual.conjugate import ConjugateSolver, Oracle, Status
from w2dual.conjugate.base import objective_of

Points = Float[np.ndarray, "points n"]


@dataclass(frozen=True)
class Trace:
    """The iterates for one point, the start first: one more than there are iterations.

    Attributes:
        x: the iterates.
        value: J_f there; not a number where it is not finite.
        gradient_norm: max|grad J_f| there.
        status: how it ended.
    """

    x: Float[np.ndarray, "iterates n"]
    value: Float[np.ndarray, " iterates"]
    gradient_norm: Float[np.ndarray, " iterates"]
    status: Status


def traces(solver: ConjugateSolver[Any], oracle: Oracle, y: Points, starts: Points) -> list[Trace]:
    """Minimise J_f(.; y) from each start and keep the iterates; trial points are left out.

    Each `step` of the solver is one evaluation; an iteration of L-BFGS may take several.

    Args:
        solver: the solver.
        oracle: f and its gradient, of one seed: an axis of length 1 comes first.
        y: points to conjugate at.
        starts: a start for each.
    """
    targets = jnp.asarray(y, jnp.float32).T[:, None]
    step = jax.jit(partial(solver.step, objective_of(oracle, targets)))
    state = solver.init(jnp.asarray(starts, jnp.float32).T[:, None])
    found: list[list[tuple[Any, float, float]]] = [[] for _ in y]
    ended = np.full(len(y), Status.RUNNING)
    while (running := ended == Status.RUNNING).any():
        state = step(state)
        x, value = np.asarray(state.x)[:, 0].T, np.asarray(state.value)[0]
        norm = np.abs(np.asarray(state.gradient)[:, 0]).max(axis=0)
        iterations, status = np.asarray(state.iterations)[0], np.asarray(state.status)[0]
        for lane in np.flatnonzero(running):
            if iterations[lane] == len(found[lane]):
                bad = status[lane] == Status.NON_FINITE
                numbers = (np.nan, np.nan) if bad else (float(value[lane]), float(norm[lane]))
                found[lane].append((x[lane], *numbers))
        ended[running] = status[running]
    return [
        Trace(
            x=np.stack([x for x, _, _ in iterates]),
            value=np.array([value for _, value, _ in iterates]),
            gradient_norm=np.array([norm for _, _, norm in iterates]),
            status=Status(int(status)),
        )
        for iterates, status in zip(found, ended, strict=True)
    ]

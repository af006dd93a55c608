"""What happens to each seed over the whole of its training, besides its loss: spikes, conjugates.

A *spike* is a step whose |loss| is above the config's `divergence_loss`, or not finite. Most pass:
one point of a batch whose conjugate was not found can make one, and the next steps show nothing
of it. So spikes are recorded; whether a seed has diverged is for its method to judge.

On the device a record covers the steps of one chunk, in 32-bit numbers; the host adds chunks up in
64-bit ones (`Totals`). Both are functions of the steps alone, however those fall into chunks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from w2dual import backend
from w2dual.conjugate import ConjugateResult, Status
from w2dual.records import finite

Numbers = Array | np.ndarray
SOLVED = tuple(status for status in Status if status != Status.RUNNING)
"""How a solver may end."""


class Incidents(NamedTuple):
    """Of each seed over some steps; a seed that has diverged adds nothing.

    Attributes:
        spikes: number of steps that were a spike.
        largest: |loss| of the largest, infinite where one is not finite; 0 without a spike.
        first, last: the first and the last such step, counted from 1; 0 without.
        statuses: points conjugated, by `SOLVED`.
        worst_residual: largest finite max|grad J_f(x_hat; y)| of these points; 0 without any.
    """

    spikes: Int[Numbers, " seeds"]
    largest: Float[Numbers, " seeds"]
    first: Int[Numbers, " seeds"]
    last: Int[Numbers, " seeds"]
    statuses: Int[Numbers, "seeds statuses"]
    worst_residual: Float[Numbers, " seeds"]


def none_yet(seeds: int, like: ModuleType = jnp, integers: Any = jnp.int32) -> Incidents:
    """Return the record of no steps."""
    count, number = like.zeros(seeds, integers), like.zeros(seeds, like.float32)
    statuses = like.zeros((seeds, len(SOLVED)), integers)
    return Incidents(count, number, count, count, statuses, number)


def of_step(
    step: Int[Array, ""],
    alive: Bool[Array, " seeds"],
    loss: Float[Array, " seeds"],
    bound: float,
    conjugated: Summary | None,
) -> Incidents:
    """Return the record of one step.

    Args:
        step: its number, from 1.
        alive: which seeds have not diverged before it.
        loss: of each seed.
        bound: a larger |loss| is a spike.
        conjugated: the conjugates of the batch, or None without a solver.
    """
    size = jnp.abs(loss)
    spike = alive & ~(size <= bound)
    size = jnp.where(jnp.isnan(size), jnp.inf, size)
    at = jnp.where(spike, step, 0).astype(jnp.int32)
    found = none_yet(loss.shape[0])._replace(
        spikes=spike.astype(jnp.int32),
        largest=jnp.where(spike, size, 0.0).astype(jnp.float32),
        first=at,
        last=at,
    )
    if conjugated is None:
        return found
    counts, worst, _ = conjugated
    return found._replace(
        statuses=jnp.where(alive[:, None], counts, 0).astype(jnp.int32),
        worst_residual=jnp.where(alive, worst, 0.0).astype(jnp.float32),
    )


class Summary(NamedTuple):
    """Of the conjugates of a batch, for each seed.

    Attributes:
        counts: points by `SOLVED`.
        worst: the largest finite gradient norm, 0 without any.
        iterations: their mean.
    """

    counts: Int[Array, "seeds statuses"]
    worst: Float[Array, " seeds"]
    iterations: Float[Array, " seeds"]


def summary(conjugated: ConjugateResult) -> Summary:
    """Sum conjugates up; by one operation where few launches count."""
    status, norm = conjugated.status, conjugated.gradient_norm
    norm = jnp.where(jnp.isfinite(norm), norm, 0.0)
    iterations = conjugated.iterations.astype(jnp.float32)
    if not backend.few_launches():
        counts = jnp.stack([jnp.sum(status == s, axis=1) for s in SOLVED], axis=1)
        return Summary(counts, jnp.max(norm, axis=1), jnp.mean(iterations, axis=1))
    counted = [(status == s).astype(jnp.int32) for s in SOLVED]

    def combine(left: tuple[Array, ...], right: tuple[Array, ...]) -> tuple[Array, ...]:
        *sums, worst = (a + b for a, b in zip(left, right, strict=True))
        del worst
        return (*sums, jnp.maximum(left[-1], right[-1]))

    zeros = (*(np.int32(0) for _ in counted), np.float32(0), norm.dtype.type(0))
    *sums, total, worst = jax.lax.reduce((*counted, iterations, norm), zeros, combine, (1,))
    return Summary(jnp.stack(sums, axis=1), worst, total / status.shape[1])


def added(earlier: Incidents, later: Incidents, like: ModuleType = jnp) -> Incidents:
    """Return the record of both spans of steps, the second of which follows the first."""
    return Incidents(
        spikes=earlier.spikes + later.spikes,
        largest=like.maximum(earlier.largest, later.largest),
        first=like.where(earlier.spikes > 0, earlier.first, later.first),
        last=like.maximum(earlier.last, later.last),
        statuses=earlier.statuses + later.statuses,
        worst_residual=like.maximum(earlier.worst_residual, later.worst_residual),
    )


@dataclass
class Totals:
    """Of all steps so far, on the host.

    Attributes:
        incidents: NumPy arrays, 64-bit where they count.
    """

    incidents: Incidents

    @staticmethod
    def start(seeds: int) -> Totals:
        """Begin before the first step."""
        return Totals(none_yet(seeds, np, np.int64))

    def add(self, chunk: Incidents) -> None:
        """Count a chunk of steps that follow the ones so far."""
        on_host = Incidents(*(np.asarray(leaf) for leaf in chunk))
        self.incidents = Incidents(
            *(
                np.asarray(new, old.dtype)
                for new, old in zip(added(self.incidents, on_host, np), self.incidents, strict=True)
            )
        )

    @property
    def spikes(self) -> int:
        """Number of spikes of all seeds."""
        return int(self.incidents.spikes.sum())

    @property
    def conjugated(self) -> tuple[int, int]:
        """Number of points conjugated, and of those that converged."""
        statuses = self.incidents.statuses
        return int(statuses.sum()), int(statuses[:, SOLVED.index(Status.CONVERGED)].sum())

    @property
    def not_converged(self) -> float | None:
        """Share of conjugated points that did not converge; None where none was conjugated."""
        points, converged = self.conjugated
        return 1 - converged / points if points else None

    def of_seed(self, index: int) -> dict[str, Any]:
        """Return what metrics.json says of the seed at an index of the leading axis."""
        seed = Incidents(*(leaf[index] for leaf in self.incidents))
        spiked = seed.spikes > 0
        solved = int(seed.statuses.sum()) > 0
        return {
            "spikes": {
                "steps": int(seed.spikes),
                "largest_loss": finite(float(seed.largest)) if spiked else None,
                "first_step": int(seed.first) if spiked else None,
                "last_step": int(seed.last) if spiked else None,
            },
            "training_conjugate_status": {
                status.name.lower(): int(count)
                for status, count in zip(SOLVED, seed.statuses, strict=True)
            },
            "worst_conjugate_residual": float(seed.worst_residual) if solved else None,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays to be stored, by name."""
        return {name: np.asarray(leaf) for name, leaf in self.incidents._asdict().items()}

    @staticmethod
    def of_arrays(arrays: Mapping[str, np.ndarray]) -> Totals:
        """Read what `arrays` returned.

        Raises:
            KeyError: one is missing.
        """
        return Totals(Incidents(*(arrays[name] for name in Incidents._fields)))

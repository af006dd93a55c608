"""A trained cell to draw and to study: one seed's maps and potentials, and the pair's samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from w2dual import measures, potentials, rng
from w2dual.backend import jit
from w2dual.config.cells import Cell, method_kind
from w2dual.conjugate import ConjugateResult, tally
from w2dual.conjugate.tally import Tally
from w2dual.measures import Pair
from w2dual.records import InputError, read_json
from w2dual.training import methods
from w2dual.training.files import load_params
from w2dual.training.methods.dual import DualProblem

Points = Float[np.ndarray, "points n"]
Values = Float[np.ndarray, " points"]


@dataclass(frozen=True)
class Trained:
    """One seed of a trained cell.

    Attributes:
        cell: the cell.
        record: its metrics.
        seed: which seed is shown, the first that has not diverged.
        problem: networks and solver; of another method only where whoever loads it asks for that.
        params: of that seed, with a leading axis of one.
        pair: the measures.
        tallies: how the points drawn so far fared, for whoever draws to say.
    """

    cell: Cell
    record: Mapping[str, Any]
    seed: int
    problem: Any
    params: Any
    pair: Pair
    tallies: list[Tally] = field(default_factory=list, compare=False, repr=False)

    @property
    def conjugated(self) -> Tally | None:
        """How the conjugates drawn so far fared; None before the first."""
        return tally.add(self.tallies)

    @property
    def reduced(self) -> str | None:
        """The preset's name where it is a reduced one, which a figure has to say."""
        preset = self.record["preset"]
        return preset["name"] if preset["reduced"] else None

    def source(self, size: int) -> Points:
        """Samples of the source, of a stream of their own: always the same."""
        return _drawn(self.pair.sample_source, rng.stream(self.seed, "figure source"), size)

    def target(self, size: int) -> Points:
        """Samples of the target, of a stream of their own: always the same."""
        return _drawn(self.pair.sample_target, rng.stream(self.seed, "figure target"), size)

    def value(self, x: Points) -> Values:
        """f(x)."""
        return np.asarray(self._oracle(jnp.asarray(x, jnp.float32))[0])

    def forward(self, x: Points) -> Points:
        """T(x) = grad f(x), which moves the source to the target."""
        return np.asarray(self._oracle(jnp.asarray(x, jnp.float32))[1])

    def amortized(self, y: Points) -> Points:
        """x_tilde(y), where the solver starts."""
        return np.asarray(self.problem.amortized(self.params, jnp.asarray(y, jnp.float32)[None])[0])

    def conjugate(self, y: Points, drawn: bool = True) -> ConjugateResult:
        """x_hat(y), f*(y) = -value, and how the solver fared; without the axis of seeds.

        Args:
            y: the points.
            drawn: whether the result is drawn; how it fared is then kept in `tallies`, so that no
                figure leaves it unsaid.
        """
        result = self._conjugate(jnp.asarray(y, jnp.float32))
        if drawn:
            self.tallies.append(Tally.of(result, self.problem.solver is not None))
        return result

    def inverse(self, y: Points) -> Points:
        """x_hat(y) = grad f*(y), which moves the target to the source."""
        return np.asarray(self.conjugate(y).x)

    def log_det_hessian(self, x: Points) -> Values:
        """Log |det Hess f(x)|, by automatic differentiation; at y = T(x), minus that of f*."""
        return np.asarray(self._log_det(jnp.asarray(x, jnp.float32)))

    @cached_property
    def _single(self) -> Any:
        return jax.tree.map(lambda leaf: leaf[0], self.params.potential)

    @cached_property
    def _oracle(self) -> Any:
        return jax.jit(partial(potentials.value_and_gradient, self.problem.potential, self._single))

    @cached_property
    def _conjugate(self) -> Any:
        def solve(y: Array) -> ConjugateResult:
            result = self.problem.conjugate(self.params, y[None])
            return jax.tree.map(lambda leaf: leaf[0], result)

        return jax.jit(solve)

    @cached_property
    def _log_det(self) -> Any:
        def one(x: Array) -> Array:
            def value(point: Array) -> Array:
                return potentials.value(self.problem.potential, self._single, point[None])[0]

            return jnp.linalg.slogdet(jax.hessian(value)(x))[1]

        return jax.jit(jax.vmap(one))


def _drawn(sample: Callable[[Array, int], Array], key: Array, size: int) -> Points:
    return np.asarray(jit(lambda key: sample(key, size), once=True)(key))  # else program by program


def load(
    params: Path, metrics: Path, pair: Path, kinds: tuple[type, ...] = (DualProblem,)
) -> Trained:
    """Read a trained cell.

    Args:
        params: its params.safetensors.
        metrics: its metrics.json.
        pair: the prepared file of its measures.
        kinds: classes of methods that are read.

    Raises:
        InputError: a file cannot be used, they are not of one cell, every seed has diverged, or the
            cell's method is not one of `kinds`.
    """
    arrays, cell, seeds = load_params(params)
    record = read_json(metrics)
    if record["cell"]["hash"] != cell.hash:
        raise InputError(
            f"{metrics} is of the cell {record['cell']['name']} ({record['cell']['hash']}), "
            f"{params} of {cell.name} ({cell.hash})"
        )
    live = [entry["seed"] for entry in record["seeds"] if entry["status"] != "diverged"]
    if is_lost(record):
        raise InputError(f"{metrics}: every seed has diverged, so there is nothing to look at")
    place = seeds.index(live[0])
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[place : place + 1]), arrays)
    prepared = measures.load(pair)
    if prepared.dimension != cell.dimension:
        raise InputError(
            f"{pair}: holds measures on R^{prepared.dimension}, not R^{cell.dimension}"
        )
    problem = methods.make(cell.settings, cell.dimension)
    if not isinstance(problem, kinds):
        needed = " or ".join(kind.__name__ for kind in kinds if kind is not DualProblem)
        raise InputError(
            f"{params}: is of the method {method_kind(cell.settings)!r}; "
            + (
                f"expected one whose class is {needed}"
                if needed
                else "figures and studies of potentials and conjugates need `dual`"
            )
        )
    return Trained(cell, record, live[0], problem, one, prepared)


def is_lost(record: Mapping[str, Any]) -> bool:
    """Return whether every seed of a cell has diverged, by its metrics: a result, and no error."""
    return all(entry["status"] == "diverged" for entry in record["seeds"])

"""The cost between the points of two measures, as log-sum-exps of its kernel exp(-C/eps).

`Dense` has the whole matrix. `Grid` is the squared distance on a square grid, whose kernel is a
product over the axes: a sum over all points is two sums over one axis each (Solomon et al. 2015,
section 5). Its sums are taken in the kernel's domain, shifted by the largest entry of each line,
where the number type holds the kernel of an axis; else in the log domain.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from w2dual.measures.discrete.support import Support
from w2dual.records import InputError

Rows = Float[Array, " n_a"]
Columns = Float[Array, " n_b"]

NOTHING = -1.0e30
"""Stands for log 0: finite, so that a multiple or a difference of it is one too."""


class Geometry(abc.ABC):
    """The kernel exp(-C/eps) between n_a rows and n_b columns; potentials are divided by eps.

    Functions are of one instance; `jax.vmap` makes them those of many.
    """

    @abc.abstractmethod
    def over_rows(self, u: Rows) -> Columns:
        """Return log sum_i exp(u_i - C_ij/eps) of each column; one kernel product."""

    @abc.abstractmethod
    def over_columns(self, v: Columns) -> Rows:
        """Return log sum_j exp(v_j - C_ij/eps) of each row; one kernel product."""

    @abc.abstractmethod
    def scaled_cost(self) -> Float[Array, "n_a n_b"]:
        """Return C/eps."""

    @abc.abstractmethod
    def warmer(self, factor: Float[Array, ""]) -> Geometry:
        """Return the same with an epsilon that is so many times as large; 1 at least."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dense(Geometry):
    """A matrix of costs.

    Attributes:
        cost: C/eps.
    """

    cost: Float[Array, "n_a n_b"]

    def over_rows(self, u: Rows) -> Columns:
        """Return log sum_i exp(u_i - C_ij/eps)."""
        return jax.nn.logsumexp(u[:, None] - self.cost, axis=0)

    def over_columns(self, v: Columns) -> Rows:
        """Return log sum_j exp(v_j - C_ij/eps)."""
        return jax.nn.logsumexp(v[None] - self.cost, axis=1)

    def scaled_cost(self) -> Float[Array, "n_a n_b"]:
        """Return the matrix."""
        return self.cost

    def warmer(self, factor: Float[Array, ""]) -> Dense:
        """Return the matrix over a larger epsilon."""
        return Dense(self.cost / factor)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Grid(Geometry):
    """Squared distances on a square grid of the unit square, the same for rows and columns.

    Attributes:
        axis: squared distances along one axis over eps, [side, side].
        largest: the largest of them; static under `jit`.
    """

    axis: Float[Array, "side side"]
    largest: float = field(metadata={"static": True})

    def over_rows(self, u: Rows) -> Columns:
        """Return log sum_i exp(u_i - C_ij/eps)."""
        side = self.axis.shape[0]
        image = u.reshape(side, side)
        across = self._along_lines(image)
        return self._along_lines(across.T).T.ravel()

    def over_columns(self, v: Columns) -> Rows:
        """Return the same: the cost is symmetric."""
        return self.over_rows(v)

    def scaled_cost(self) -> Float[Array, "n n"]:
        """Return C/eps, all of it."""
        side = self.axis.shape[0]
        whole = self.axis[:, None, :, None] + self.axis[None, :, None, :]
        return whole.reshape(side**2, side**2)

    def warmer(self, factor: Float[Array, ""]) -> Grid:
        """Return the grid with a larger epsilon; what the number type holds, it holds then too."""
        return Grid(self.axis / factor, self.largest)

    def _along_lines(self, image: Float[Array, "side side"]) -> Array:
        """Return log sum_k exp(image_..k - axis_kl), line by line."""
        if self.largest > -np.log(jnp.finfo(image.dtype).tiny):
            return jax.nn.logsumexp(image[:, :, None] - self.axis[None], axis=1)
        top = jax.lax.stop_gradient(jnp.max(image, axis=-1, keepdims=True))
        return top + jnp.log(jnp.exp(image - top) @ jnp.exp(-self.axis))


def _grid(support: Support) -> Geometry:
    side = support.side
    if side is None or side**2 != len(support.rows) or side**2 != len(support.columns):
        raise InputError(
            f"a square grid of side {side} does not have {len(support.rows)} and "
            f"{len(support.columns)} points"
        )
    along = jnp.linspace(0.0, 1.0, side)
    axis = (along[:, None] - along[None]) ** 2 / support.epsilon
    return Grid(axis, 1.0 / support.epsilon)


def _squared_distance(support: Support) -> Geometry:
    difference = jnp.asarray(support.rows)[:, None] - jnp.asarray(support.columns)[None]
    return Dense(jnp.sum(difference**2, axis=-1) / support.epsilon)


def _sphere(support: Support) -> Geometry:
    cosines = jnp.asarray(support.rows) @ jnp.asarray(support.columns).T
    return Dense(jnp.arccos(cosines / (1.0 + support.cosine_margin)) / support.epsilon)


COSTS: dict[str, Callable[[Support], Geometry]] = {
    "grid": _grid,
    "squared_distance": _squared_distance,
    "sphere": _sphere,
}
"""Name of a cost -> what makes its geometry."""


def make(support: Support) -> Geometry:
    """Return the geometry of a support, in JAX's number type.

    Raises:
        InputError: the cost is unknown; or epsilon is not positive, or so small that costs over it
            have no digits left in the number type.
    """
    if support.cost not in COSTS:
        raise InputError(f"unknown cost {support.cost!r}; known are {', '.join(COSTS)}")
    dtype = jnp.zeros(()).dtype
    check_epsilon(support.epsilon, dtype)
    return COSTS[support.cost](support)


def check_epsilon(epsilon: float, dtype: np.dtype | type) -> None:
    """Check that costs of the size of 1 over epsilon are known to 0.01 in a number type.

    Raises:
        InputError: they are not, or epsilon is not positive.
    """
    least = 100 * float(np.finfo(dtype).eps)
    if not epsilon >= least:
        raise InputError(
            f"epsilon {epsilon!r}: expected at least {least:.1e}; below, {np.dtype(dtype).name} "
            "does not hold the kernel's exponents"
        )


def check_tolerance(tolerance: float, dtype: np.dtype | type, atoms: int) -> None:
    """Check that an error of marginals can be told from rounding: a sum over so many atoms.

    Raises:
        InputError: it cannot, or the tolerance is not below 2, which every plan meets.
    """
    least = float(np.finfo(dtype).eps) * np.sqrt(atoms)
    if not least <= tolerance < 2.0:
        raise InputError(
            f"tolerance {tolerance!r}: expected a number from {least:.1e}, rounding in "
            f"{np.dtype(dtype).name} over {atoms} atoms, to below 2, which every plan meets"
        )


def restricted(
    geometry: Geometry, rows: Int[Array, " fewer"], columns: Int[Array, " less"]
) -> Dense:
    """Return the matrix on some rows and columns alone."""
    return Dense(geometry.scaled_cost()[rows[:, None], columns[None]])

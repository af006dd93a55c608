"""Supply and demand on the sphere: places are fixed, and every instance draws its weights.

A point of the source is the supply of each of n_a places, a Bernoulli mask times U(0, 1); a point
of the target is the demand of each of n_b places, U(0, 1); both are normalised.

The prepared file's arrays, both float32: `supply` [n_a, 3] and `demand` [n_b, 3], unit vectors.
Source: Amos, Cohen, Luise, Redko, Meta Optimal Transport, ICML 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.measures import base
from w2dual.measures.base import Pair
from w2dual.measures.discrete.support import Support
from w2dual.records import InputError

KIND = "sphere"


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class SupplyAndDemand(Pair):
    """Places of supply and of demand; the dimension is the number of the first.

    Attributes:
        supply: unit vectors, [n_a, 3].
        demand: unit vectors, [n_b, 3].
        probability: of a place to supply anything; static under `jit`.
        epsilon: weight of the entropy; static.
        cosine_margin: of the cost arccos(<x, y> / (1 + margin)); static.
    """

    supply: Float[Array, "n_a 3"]
    demand: Float[Array, "n_b 3"]
    probability: float = field(metadata={"static": True})
    epsilon: float = field(metadata={"static": True})
    cosine_margin: float = field(metadata={"static": True})

    @property
    def target_dimension(self) -> int:
        """The number of places of demand."""
        return len(self.demand)

    @property
    def support(self) -> Support:
        """The places, with the distance along the sphere as cost."""
        return Support(
            rows=self.supply,
            columns=self.demand,
            cost="sphere",
            epsilon=self.epsilon,
            cosine_margin=self.cosine_margin,
        )

    def held_out(self) -> SupplyAndDemand:
        """Return the law itself: fresh draws are held out."""
        return self

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw supplies; where no place would supply anything, all do."""
        active, amounts = jax.random.split(key)
        shape = (size, len(self.supply))
        mask = jax.random.bernoulli(active, self.probability, shape)
        mask |= ~jnp.any(mask, axis=1, keepdims=True)
        return _normalised(mask * _amounts(amounts, shape))

    def sample_target(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw demands."""
        return _normalised(_amounts(key, (size, len(self.demand))))


def _amounts(key: Key[Array, ""], shape: tuple[int, int]) -> Float[Array, "size n"]:
    # A draw of 0 would be a place without weight, which a mask alone decides.
    return jax.random.uniform(key, shape, minval=jnp.finfo(jnp.float32).tiny)


def _normalised(weights: Float[Array, "size n"]) -> Float[Array, "size n"]:
    return weights / jnp.sum(weights, axis=1, keepdims=True)


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> SupplyAndDemand:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite; or a number is
            missing.
    """
    n = base.dimension_of(metadata, name)
    numbers = {key: metadata.get(key) for key in ("probability", "epsilon", "cosine_margin")}
    if wrong := [key for key, value in numbers.items() if not isinstance(value, float)]:
        raise InputError(f"{name}: metadata {wrong} are no numbers")
    shapes = {"supply": (n, 3), "demand": (len(arrays.get("demand", ())), 3)}
    found = base.float_arrays(arrays, shapes, name)
    return SupplyAndDemand(dimension=n, **found, **numbers)  # pyright: ignore[reportArgumentType]

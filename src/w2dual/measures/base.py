"""What pairs of measures offer: samplers, and some the optimal map with its constants."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual.records import InputError

FORMAT = 1
"""Of a prepared file."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moments:
    """First and second moments of a pair, which normalise the metrics; float64 on the host.

    Attributes:
        mean_source: mean of the source measure, [n].
        cov_source: its covariance, [n, n]; None where n is too large to keep one.
        mean_target: mean of the target measure, [n].
        cov_target: its covariance, [n, n]; None where the source's is.
        var_source: trace of the source's covariance.
        var_target: trace of the target's covariance.
        cost: E||x - T*(x)||^2 / 2.
    """

    mean_source: Float[Any, " n"]
    cov_source: Float[Any, "n n"]
    mean_target: Float[Any, " n"]
    cov_target: Float[Any, "n n"]
    var_source: Float[Any, ""]
    var_target: Float[Any, ""]
    cost: Float[Any, ""]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Name the moments for a prepared file; it holds no covariances where there are none."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {key: np.asarray(item) for key, item in named.items() if item is not None}

    @staticmethod
    def from_arrays(
        arrays: Mapping[str, np.ndarray], dimension: int, name: str, covariances: bool = True
    ) -> Moments:
        """Take the moments from a prepared file's arrays.

        Args:
            arrays: of the file.
            dimension: n.
            name: of the pair, for messages.
            covariances: whether pairs of this kind have them.

        Raises:
            InputError: one is missing, of a wrong type or shape, or not finite.
        """
        axes = {"mean": (dimension,), "cov": (dimension, dimension), "var": (), "cost": ()}
        wanted = {item.name: axes[item.name.split("_")[0]] for item in fields(Moments)}
        if not covariances:
            wanted = {key: shape for key, shape in wanted.items() if not key.startswith("cov")}
        found = with_scalars(arrays, wanted)
        check_arrays(found, wanted, name, np.float64)
        absent = dict.fromkeys(item.name for item in fields(Moments))
        return Moments(**(absent | {key: found[key] for key in wanted}))


@dataclass(frozen=True, kw_only=True)
class Pair(abc.ABC):
    """A source and a target measure, as samplers; the optimal map between them may be unknown.

    Subclasses are frozen dataclasses registered as pytrees, so that a pair passes through
    `jax.jit` as an argument.

    Attributes:
        dimension: n; static under `jit`.
    """

    dimension: int = field(metadata={"static": True})
    whole_batches: ClassVar[bool] = False
    """Whether a batch is drawn in one piece: true where it may be all that there is, each once."""

    @property
    def target_dimension(self) -> int:
        """Of the target's points: n, but in laws over the weights of two sets of places."""
        return self.dimension

    @abc.abstractmethod
    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw points of the source measure."""

    @abc.abstractmethod
    def sample_target(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw points of the target measure."""

    def sample_both(
        self, keys: Key[Array, "2 seeds parts"], size: int
    ) -> tuple[Float[Array, "seeds parts {size} n"], Float[Array, "seeds parts {size} n"]]:
        """Draw points of the source with the first keys, and of the target with the second.

        They are the points that `sample_source` and `sample_target` draw with each key; a subclass
        may draw them in fewer operations.
        """
        source, target = self.sample_source, self.sample_target
        return _for_each(source, keys[0], size), _for_each(target, keys[1], size)

    def in_loop(self) -> Pair:
        """Return the measures as a loop over many batches takes them.

        What is the same for all batches may be computed here; what is drawn is the same.
        """
        return self


def _for_each(
    sample: Callable[[Key[Array, ""], int], Array], keys: Key[Array, "*batch"], size: int
) -> Float[Array, "*batch {size} n"]:
    for _ in keys.shape:
        sample = partial(_over_first_axis, sample)
    return sample(keys, size)


def _over_first_axis(sample: Callable[[Any, int], Array], keys: Any, size: int) -> Array:
    return jax.vmap(lambda key: sample(key, size))(keys)


@dataclass(frozen=True, kw_only=True)
class SolvedPair(Pair):
    """A source and a target measure with the optimal map T* between them.

    Attributes:
        dimension: n; static under `jit`.
        moments: what normalises the metrics.
    """

    moments: Moments

    @abc.abstractmethod
    def ground_truth(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Map points of the source by T*."""

    @abc.abstractmethod
    def ground_truth_unstandardised(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Map points as T* does before the target is brought to mean 0 and total variance n."""

    def sample_target(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw points of the target measure: fresh points of the source, mapped by T*."""
        return self.ground_truth(self.sample_source(key, size))

    @property
    def var_source(self) -> Float[Any, ""]:
        """Total variance of the source, the trace of its covariance."""
        return self.moments.var_source

    @property
    def var_target(self) -> Float[Any, ""]:
        """Total variance of the target, the trace of its covariance."""
        return self.moments.var_target

    @property
    def cost(self) -> Float[Any, ""]:
        """E||x - T*(x)||^2 / 2."""
        return self.moments.cost


def with_scalars(
    arrays: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Restore the shape [] of wanted scalars that a file holds as [1]."""
    return {
        key: array.reshape(()) if wanted.get(key) == () and array.size == 1 else array
        for key, array in arrays.items()
    }


def dimension_of(metadata: Mapping[str, Any], name: str) -> int:
    """Take the dimension from a prepared file's metadata.

    Raises:
        InputError: it is missing or no positive integer.
    """
    dimension = metadata.get("dimension")
    if not isinstance(dimension, int) or isinstance(dimension, bool) or dimension < 1:
        raise InputError(f"{name}: metadata `dimension` is {dimension!r}, not a positive integer")
    return dimension


def check_arrays(
    arrays: Mapping[str, np.ndarray],
    wanted: Mapping[str, tuple[int, ...]],
    name: str,
    dtype: type[np.floating] = np.float32,
) -> None:
    """Check that arrays are there, are finite, and have the wanted shapes and type.

    Raises:
        InputError: one is not; the message names it.
    """
    if missing := [key for key in wanted if key not in arrays]:
        raise InputError(f"{name}: lacks {missing}")
    for key, shape in wanted.items():
        found = arrays[key]
        if found.shape != tuple(shape) or found.dtype != dtype:
            raise InputError(
                f"{name}: {key} is {found.dtype} {list(found.shape)}, "
                f"where {np.dtype(dtype).name} {list(shape)} is right"
            )
        if not np.isfinite(found).all():
            raise InputError(f"{name}: {key} holds numbers that are not finite")


def float_arrays(
    arrays: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]], name: str
) -> dict[str, Array]:
    """Return wanted float32 arrays of a prepared file, on the device.

    Args:
        arrays: of the file; a scalar may be of shape [1].
        wanted: the shape of each array by name.
        name: of the pair, for messages.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite.
    """
    found = with_scalars(arrays, wanted)
    check_arrays(found, wanted, name)
    return {key: jnp.asarray(found[key]) for key in wanted}

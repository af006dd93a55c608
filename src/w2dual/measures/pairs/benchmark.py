"""Mix3ToMix10: the pair of measures of the Wasserstein-2 HD benchmark.

The source is a mixture of three Gaussians. T* is the gradient of the sum of two DenseICNN
potentials, minus its mean and over the root of its mean variance, both frozen in the prepared file:
T*(x) = scale (grad D1(x) + grad D2(x) - shift). The target is the source pushed by T*.
Source: Korotin et al., NeurIPS 2021, section 4.1 and the repository's Mix3ToMix10Benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from w2dual import backend
from w2dual.measures import base
from w2dual.measures.base import Moments, SolvedPair
from w2dual.measures.benchmark import icnn_dense, mixture
from w2dual.measures.benchmark.icnn_dense import VERSIONS, DenseICNN, Joint
from w2dual.measures.benchmark.mixture import Mixture

KIND = "benchmark"
STRONG_CONVEXITY = 1e-2
"""Of each of the two potentials in the ground truth; while they were trained it was 1e-4."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class BenchmarkPair(SolvedPair):
    """A prepared Mix3ToMix10 pair.

    Attributes:
        source: the mixture that is the source measure.
        potentials: D1 and D2, stacked along a leading axis of 2.
        strong_convexity: of each potential.
        shift: mean of the unstandardised push, subtracted.
        scale: factor after the shift.
        joint: the potentials as one network, which then maps the points (see `in_loop`).
    """

    source: Mixture
    potentials: DenseICNN
    strong_convexity: Float[Array, ""]
    shift: Float[Array, " n"]
    scale: Float[Array, ""]
    joint: Joint | None = None

    def sample_both(
        self, keys: Key[Array, "2 seeds parts"], size: int
    ) -> tuple[Float[Array, "seeds parts {size} n"], Float[Array, "seeds parts {size} n"]]:
        """Draw points of the mixture with all keys, and map those of the second."""
        flat = keys.reshape(-1)
        points = jax.vmap(lambda key: mixture.sample(self.source, key, size))(flat)
        x, y = points.reshape(*keys.shape, size, self.dimension)
        return x, self.ground_truth(y)

    def in_loop(self) -> BenchmarkPair:
        """Return the pair with both potentials as one network, on a GPU."""
        if not backend.few_launches():
            return self
        return replace(self, joint=icnn_dense.join(self.potentials))

    def sample_source(self, key: Key[Array, ""], size: int) -> Float[Array, "{size} n"]:
        """Draw points of the mixture."""
        return mixture.sample(self.source, key, size)

    def ground_truth_unstandardised(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Map points by the gradient of D1 + D2."""
        # Full single precision also where a GPU would round products to TF32: this map is what
        # errors of less than a percent are measured against.
        with jax.default_matmul_precision("highest"):
            points = jnp.reshape(x, (-1, self.dimension))
            if self.joint is None:
                pushed = icnn_dense.push_sum(self.potentials, self.strong_convexity, points)
            else:
                pushed = icnn_dense.push_joint(self.joint, self.strong_convexity, points)
        return jnp.reshape(pushed, x.shape)

    def ground_truth(self, x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Map points by T*(x) = scale (grad D1(x) + grad D2(x) - shift)."""
        pushed = self.ground_truth_unstandardised(x)
        return self.scale * (pushed - jnp.broadcast_to(self.shift, x.shape))


def source_arrays(dimension: int) -> dict[str, np.ndarray]:
    """Name the source mixture for a prepared file."""
    centers, maps = mixture.draw_source(dimension)
    return {"centers": centers, "maps": maps, "std": np.array(mixture.COMPONENT_STD, np.float32)}


def from_arrays(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], name: str = "pair"
) -> BenchmarkPair:
    """Take a pair from a prepared file's content.

    Raises:
        InputError: an array is missing, of a wrong type or shape, or not finite.
    """
    n = base.dimension_of(metadata, name)
    wanted: dict[str, tuple[int, ...]] = {
        "centers": (mixture.SOURCE_COMPONENTS, n),
        "maps": (mixture.SOURCE_COMPONENTS, n, n),
        "shift": (n,),
        "scale": (),
        "std": (),
        "strong_convexity": (),
    }
    found = base.float_arrays(arrays, wanted, name)
    return BenchmarkPair(
        dimension=n,
        moments=Moments.from_arrays(arrays, n, name),
        source=Mixture(found["centers"], found["maps"], found["std"]),
        potentials=icnn_dense.stack(
            [icnn_dense.from_arrays(arrays, version, n, name) for version in VERSIONS]
        ),
        strong_convexity=found["strong_convexity"],
        shift=found["shift"],
        scale=found["scale"],
    )
